"""Softmax attention (Vaswani et al., Attention Is All You Need, arXiv 1706.03762, section 3.2).

Shapes: B batch, N tokens, W width of the stream, H heads, c width of a head.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from siliform.models.blocks.heads import ProjectedAttention


class ScaledDotProduct(nn.Module):
    """``softmax(q kᵀ / sqrt(c)) v`` of q, k, v [B, H, N, c].

    `levels`, where given, is the greatest level of the integers to which the exponentials of a row are
    rounded, whose greatest is 1, before they are summed and multiplied by v: what the graph's `attention`
    does where v is quantised.
    """

    def __init__(self) -> None:
        super().__init__()
        self.levels: int | None = None

    def forward(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        if self.levels is None:
            return functional.scaled_dot_product_attention(q, k, v)
        scores = q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5
        grown = torch.exp(scores - scores.amax(-1, keepdim=True))
        # Rounded as in the forward pass, differentiated as if not.
        rounded = grown + (torch.round(grown * self.levels) / self.levels - grown).detach()
        return rounded @ v / rounded.sum(-1, keepdim=True)


class SoftmaxAttention(ProjectedAttention):
    """Self-attention with biases: x [B, N, W] -> [B, N, W]."""

    def __init__(self, width: int, heads: int, head_width: int) -> None:
        super().__init__(width, heads, head_width, ScaledDotProduct())
