"""Softmax attention (Vaswani et al., Attention Is All You Need, arXiv 1706.03762, section 3.2).

Shapes: B batch, N tokens, W width of the stream, H heads, c width of a head.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from siliform.models.blocks.heads import merge_heads, split_heads


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


class SoftmaxAttention(nn.Module):
    """Self-attention with biases: x [B, N, W] -> [B, N, W]."""

    def __init__(self, width: int, heads: int, head_width: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, heads * head_width)
        self.key = nn.Linear(width, heads * head_width)
        self.value = nn.Linear(width, heads * head_width)
        self.mix = ScaledDotProduct()
        self.out = nn.Linear(heads * head_width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = (split_heads(layer(x), self.heads) for layer in (self.query, self.key, self.value))
        mixed: torch.Tensor = self.out(merge_heads(self.mix(q, k, v)))
        return mixed
