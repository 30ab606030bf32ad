"""The activation unit: GELU, SiLU and ReLU in fixed point."""
