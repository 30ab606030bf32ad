"""Norms of zero-mean vectors: what a LayerNorm becomes where the stream carries no mean.

Jiang et al., Pre-RMSNorm and Pre-CRMSNorm Transformers, arXiv 2305.14858. Shapes: d width of the stream
with its mean; vectors without it sum to zero, so that the last of d numbers is minus the sum of the others.
"""

from __future__ import annotations

import torch
from torch import nn


class PlainRMSNorm(nn.RMSNorm):
    """``x / sqrt(mean(x²) + eps)``, x [..., d] -> [..., d], without weights of its own."""

    def __init__(self, width: int, eps: float) -> None:
        super().__init__(width, eps=eps, elementwise_affine=False)


class CRMSNorm(nn.Module):
    """`PlainRMSNorm` of a zero-mean vector by all but its last number: x [..., d - 1] -> [..., d - 1].

    The missing number is minus the sum of the others, so the mean square is ``(sum(x²) + sum(x)²) / d``
    (arXiv 2305.14858, equation 9).
    """

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.full_width, self.eps = width + 1, eps

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        squares = (x * x).sum(-1, keepdim=True) + x.sum(-1, keepdim=True).square()
        return x * torch.rsqrt(squares / self.full_width + self.eps)
