"""A block whose tokens stand for several of the input each, and its attention, which counts them so.

Bolya et al., ToMe, arXiv 2210.09461, section 3. Shapes: B batch, N tokens, W width, H heads, c = W / H.
"""

from __future__ import annotations

import torch
from torch import nn

from siliform.models.blocks.channels import MLP
from siliform.models.blocks.heads import merge_heads, split_heads
from siliform.models.blocks.transformer import Norm


class ProportionalAttention(nn.Module):
    """``softmax(q kᵀ / sqrt(c) + log size) v`` of x [B, N, W] and sizes [B, N, 1]: what copies would give.

    Returns what it mixed [B, N, W], and the keys [B, H, N, c].
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.out = nn.Linear(width, width)

    def forward(self, x: torch.Tensor, size: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        q, k, v = (split_heads(layer(x), self.heads) for layer in (self.query, self.key, self.value))
        more = size.log().transpose(1, 2).unsqueeze(1)
        mixed = nn.functional.scaled_dot_product_attention(q, k, v, more)
        return self.out(merge_heads(mixed)), k


class MergingBlock(nn.Module):
    """Attention, merging, MLP: x [B, N, W] and sizes [B, N, 1] -> the same of N' tokens.

    `reducer` is called as ``reducer(x, keys, size)``.
    """

    def __init__(self, width: int, heads: int, inner: int, reducer: nn.Module, norm: Norm) -> None:
        super().__init__()
        self.mixer_norm, self.mixer = norm(width), ProportionalAttention(width, heads)
        self.reducer = reducer
        self.channel_norm, self.channel = norm(width), MLP(width, inner)

    def forward(self, x: torch.Tensor, size: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        mixed, keys = self.mixer(self.mixer_norm(x), size)
        x, size = self.reducer(x + mixed, keys, size)
        return x + self.channel(self.channel_norm(x)), size
