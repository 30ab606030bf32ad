"""Attention to pooled tokens and along the axes of a map.

Elhassan et al., P2AT: Pyramid Pooling Axial Transformer for Real-time Semantic Segmentation, arXiv
2310.15025: two cheap views of the whole map side by side. The pyramid (Wu et al., P2T, arXiv 2106.12011):
every token attends to means over bins of several sizes, a few dozen keys. The axes (Ho et al., arXiv
1912.12180): every token attends to its row and to its column. Built as the sum of the three before one
output projection, all of them from the same queries, keys and values. Shapes: B batch, N tokens, W width, S
side of the map of N = S² tokens, H heads, c width of a head, M pooled tokens.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from siliform.models.blocks.grids import as_map, as_tokens, side_of
from siliform.models.blocks.heads import merge_heads, split_heads

#: Bins on a side of each level, 50 in all (Zhao et al., PSPNet, arXiv 1612.01105, section 3.2).
BINS = (1, 2, 3, 6)


class PyramidAxialMixer(nn.Module):
    """x [B, N, W] -> [B, N, W], N a square number."""

    def __init__(self, width: int, heads: int, bins: Sequence[int] = BINS) -> None:
        super().__init__()
        self.heads, self.bins = heads, tuple(bins)
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.norm = nn.LayerNorm(width)
        self.out = nn.Linear(width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = (split_heads(layer(x), self.heads) for layer in (self.query, self.key, self.value))
        mixed: torch.Tensor = self.out(merge_heads(self.of_pyramid(q, x) + along_axes(q, k, v)))
        return mixed

    def of_pyramid(self, q: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """q [B, H, N, c] over the pooled tokens of x [B, N, W] -> [B, H, N, c]."""
        grid = as_map(x)
        pooled = torch.cat([as_tokens(functional.adaptive_avg_pool2d(grid, bins)) for bins in self.bins], 1)
        pooled = self.norm(pooled)
        k, v = (split_heads(layer(pooled), self.heads) for layer in (self.key, self.value))
        return functional.scaled_dot_product_attention(q, k, v)


def along_axes(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """Attention within rows plus attention within columns: q, k, v [B, H, N, c] -> [B, H, N, c]."""
    side = side_of(q.shape[2])
    q, k, v = (part.unflatten(2, (side, side)) for part in (q, k, v))
    rows = functional.scaled_dot_product_attention(q, k, v)
    q, k, v = (part.transpose(2, 3) for part in (q, k, v))
    columns = functional.scaled_dot_product_attention(q, k, v)
    return (rows + columns.transpose(2, 3)).flatten(2, 3)
