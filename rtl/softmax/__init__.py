"""Softmax in silicon: three passes or online, clipped, and sigmoid."""
