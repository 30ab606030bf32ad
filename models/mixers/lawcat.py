"""LAWCAT: short causal convolutions over queries and keys in front of normalised gated linear attention.

Liu et al., LAWCAT: Efficient Distillation from Quadratic to Linear Attention with Convolution across Tokens
for Long Context Modeling, arXiv 2509.18467, section 3. Gates and their low rank are those of gated linear
attention (arXiv 2312.06635, section 4.4), features are ``elu + 1`` (arXiv 2006.16236), which keep the
weights positive, so that normalised ones are an average: the paper distils its own from a Transformer.
Shapes: B batch, N tokens, W width of the stream, H heads of width c.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from siliform.models.blocks.causal_conv import CausalConv
from siliform.models.blocks.gated_linear import gated_linear_attention
from siliform.models.blocks.heads import merge_heads, split_heads

GATE_SOFTNESS = 16.0  # arXiv 2312.06635, section 4.4: sigmoid to the power of 1/16
GATE_RANK = 16  # as above


class LawcatMixer(nn.Module):
    """x [B, N, W] -> [B, N, W], causal.

    Parameters
    ----------
    width, heads : W and H.
    taps : of the two convolutions (assumption: 4, as DeltaNet and Mamba have them).
    chunk : tokens of a chunk (assumption: 64, near the width of a head; the function is the same for each).
    """

    def __init__(self, width: int, heads: int, taps: int = 4, chunk: int = 64) -> None:
        super().__init__()
        self.heads, self.chunk = heads, chunk
        self.query = nn.Linear(width, width, bias=False)
        self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, width, bias=False)
        self.query_conv = CausalConv(width, taps)
        self.key_conv = CausalConv(width, taps)
        self.gate_down = nn.Linear(width, GATE_RANK, bias=False)
        self.gate_up = nn.Linear(GATE_RANK, width)
        self.out = nn.Linear(width, width, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v, gate = self.parts(x)
        mixed = gated_linear_attention(q, k, v, gate, self.chunk, normalised=True)
        projected: torch.Tensor = self.out(merge_heads(mixed))
        return projected

    def parts(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Features of queries and keys, values, log gates: each [B, H, N, c]."""
        q = functional.elu(self.query_conv(self.query(x))) + 1
        k = functional.elu(self.key_conv(self.key(x))) + 1
        gate = functional.logsigmoid(self.gate_up(self.gate_down(x))) / GATE_SOFTNESS
        return tuple(split_heads(part, self.heads) for part in (q, k, self.value(x), gate))
