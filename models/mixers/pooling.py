"""Average pooling as a token mixer: MetaFormer's existence proof, without parameters and without products.

Yu et al., MetaFormer Is Actually What You Need for Vision (arXiv 2111.11418), equation 4: each position gets
the mean of its 3 x 3 neighbourhood less itself, since the block adds it again::

    mixed[i, j] = mean of x[i + p - 2, j + q - 2] over p, q in 1..3 - x[i, j]

A mean counts the neighbours that there are, so that a constant map is mixed to nothing up to its border.
Shapes: B batch, N tokens, W width, S side of a square map of N = S² tokens.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from siliform.models.blocks.grids import as_map, as_tokens


class Pooling(nn.Module):
    """The mean of a `window` x `window` neighbourhood less the position itself: [B, W, S, S] -> same.

    3 x 3 is that of equation 4.
    """

    def __init__(self, window: int = 3) -> None:
        super().__init__()
        self.window = window

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        means = functional.avg_pool2d(x, self.window, 1, self.window // 2, count_include_pad=False)
        return means - x


class PoolingMixer(nn.Module):
    """`Pooling` of tokens that lie row by row on a square: x [B, N, W] -> [B, N, W], N a square number.

    It has no heads; `width` and `heads` are taken so that it is made as every mixer is. The window is that of
    equation 4.
    """

    def __init__(self, width: int, heads: int, window: int = 3) -> None:
        super().__init__()
        self.pooling = Pooling(window)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return as_tokens(self.pooling(as_map(x)))
