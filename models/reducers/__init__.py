"""Reducers of tokens, one file per method: ``reducer(x [B, N, W], evidence) -> [B, N', W]``.

Each has an attribute `evidence`, what of the mixer before it is to be seen: "keys" [B, H, N, c], "weights"
[B, H, N, N] or "none". How many tokens go is set when it is made, so that every later shape follows. Those
that merge tokens are called ``reducer(x, evidence, size [B, N, 1]) -> x, size`` by the `MergingBlock` of
`blocks.merging`, with the number of input tokens that each stands for.
"""
