"""What the attention blocks share: heads, and products as modules of their own.

A product between activations is a module, so that a quantisation policy can name it by its path and a
quantiser can hook its operands, as it can those of `torch.nn.Linear`. Shapes: B batch, N tokens, H heads,
c width of a head.
"""

from __future__ import annotations

import torch
from torch import nn


def split_heads(x: torch.Tensor, heads: int) -> torch.Tensor:
    """[..., N, H c] -> [..., H, N, c]."""
    return x.view(*x.shape[:-1], heads, x.shape[-1] // heads).transpose(-2, -3)


def merge_heads(x: torch.Tensor) -> torch.Tensor:
    """[..., H, N, c] -> [..., N, H c]."""
    return x.transpose(-2, -3).flatten(-2)


class Product(nn.Module):
    """``a @ b`` of two activations, [..., m, k] and [..., k, n]."""

    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return a @ b


class ProjectedAttention(nn.Module):
    """Self-attention with biases, x [B, N, W] -> [B, N, W], around any mix of q, k, v [B, H, N, c]."""

    def __init__(self, width: int, heads: int, head_width: int, mix: nn.Module) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, heads * head_width)
        self.key = nn.Linear(width, heads * head_width)
        self.value = nn.Linear(width, heads * head_width)
        self.mix = mix
        self.out = nn.Linear(heads * head_width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = (split_heads(layer(x), self.heads) for layer in (self.query, self.key, self.value))
        mixed: torch.Tensor = self.out(merge_heads(self.mix(q, k, v)))
        return mixed


class HeadLinear(nn.Module):
    """A linear layer without bias for each head: [B, H, N, k] -> [B, H, N, n]; its weight is [H, k, n]."""

    def __init__(self, heads: int, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(heads, inputs, outputs))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x @ self.weight
