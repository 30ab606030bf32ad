"""Attention of one set of tokens to another (arXiv 1706.03762, section 3.2.3).

Shapes: B batch, Q queries, K tokens that are seen, W width of both.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from siliform.models.blocks.heads import merge_heads, split_heads


class CrossAttention(nn.Module):
    """Queries of one set of tokens, keys and values of another: [B, Q, W], [B, K, W] -> [B, Q, W]."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
        q, k, v = (
            split_heads(part, self.heads) for part in (self.query(x), *self.key_value(seen).chunk(2, dim=-1))
        )
        mixed: torch.Tensor = self.out(merge_heads(functional.scaled_dot_product_attention(q, k, v)))
        return mixed
