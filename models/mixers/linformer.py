"""Linformer: keys and values projected along the tokens to k of them.

Wang et al., Linformer: Self-Attention with Linear Complexity (arXiv 2006.04768), equation 7: ``softmax(Q (E
K)ᵀ / sqrt(c)) (F V)`` with E and F [k, N]. They hold a number for each position, so that a layer is made
for one length. All heads share both, the paper's headwise sharing. Shapes: B batch, N tokens, W width of
the stream.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from siliform.models.blocks.heads import merge_heads, split_heads

PROJECTED = 256  # k of arXiv 2006.04768, section 5.1


class LinformerMixer(nn.Module):
    """Self-attention: x [B, N, W] -> [B, N, W], N tokens being `sequence`."""

    def __init__(
        self, width: int, heads: int, sequence: int = 1024, projected: int = PROJECTED, bias: bool = False
    ) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width, bias=bias)
        self.key = nn.Linear(width, width, bias=bias)
        self.value = nn.Linear(width, width, bias=bias)
        self.along_keys = nn.Linear(sequence, projected, bias=False)
        self.along_values = nn.Linear(sequence, projected, bias=False)
        self.out = nn.Linear(width, width, bias=bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        k = self.along_keys(self.key(x).transpose(1, 2)).transpose(1, 2)
        v = self.along_values(self.value(x).transpose(1, 2)).transpose(1, 2)
        q, k, v = (split_heads(part, self.heads) for part in (self.query(x), k, v))
        projected: torch.Tensor = self.out(merge_heads(functional.scaled_dot_product_attention(q, k, v)))
        return projected
