"""The requantiser: int32 sums to narrow integers."""
