"""IA-RED²: a small policy in front of each group of blocks says which patches are worth going on.

Pan et al., IA-RED²: Interpretability-Aware Redundancy Reduction for Vision Transformers, arXiv 2106.12620,
section 3.2. The interpreter of a group compares every patch with a learned policy token, head by head::

    I_i = mean over heads of sigmoid(F_q(x_i) . F_k(p))

The authors drop patches below a half, as many as the image says; here a share is kept, so that shapes are
known before the image is. Shapes: B batch, N tokens, W width, H heads, M tokens that stay.
"""

from __future__ import annotations

from math import ceil

import torch
from torch import nn

from siliform.models.blocks.selection import best, rows_at


class PatchPolicy(nn.Module):
    """x [B, N, W] -> [B, M, W], in the order of before; M is the share `kept` of N, rounded up.

    The class token stays first.
    """

    evidence = "none"

    def __init__(self, width: int, heads: int, kept: float) -> None:
        super().__init__()
        self.heads, self.kept = heads, kept
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.policy = nn.Parameter(torch.randn(1, width) * 0.02)

    def forward(self, x: torch.Tensor, evidence: torch.Tensor | None = None) -> torch.Tensor:
        kept = ceil(x.shape[1] * self.kept) - 1
        chosen = best(self.scores(x[:, 1:]), kept).sort(dim=-1).values + 1
        return rows_at(x, torch.cat((torch.zeros_like(chosen[:, :1]), chosen), dim=1), lead=1)

    def scores(self, x: torch.Tensor) -> torch.Tensor:
        """I [B, N] of x [B, N, W]: how informative each patch is, between 0 and 1."""
        products = self.query(x) * self.key(self.policy)
        by_head = products.unflatten(-1, (self.heads, -1)).sum(dim=-1)
        return torch.sigmoid(by_head).mean(dim=-1)
