"""The binary and ternary matrix unit."""
