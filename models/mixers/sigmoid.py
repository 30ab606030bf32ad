"""Sigmoid attention: each weight from its own pair, without a row's maximum or sum.

Ramapuram et al., Theory, Analysis, and Best Practices for Sigmoid Self-Attention, ICLR 2025 (arXiv
2409.04431), section 2::

    y_i = sum_j sigmoid(q_i . k_j / sqrt(c) + b) v_j,    b = -log N

The bias keeps the sum of a row's weights near one at the start, as there are N of them. A trace shows one
node, the op `attention` with sigmoid weights, as their kernel FlashSigmoid does it: no matrix of scores is
written.
"""

from __future__ import annotations

from math import log

import torch
from torch import nn

from siliform.models.blocks.chunks import ahead
from siliform.models.blocks.heads import merge_heads, split_heads


class SigmoidMixer(nn.Module):
    """Self-attention: x [B, N, W] -> [B, N, W].

    Parameters
    ----------
    width, heads : W, and H heads of width c = W / H.
    causal : whether a token sees none behind it; N in b stays the whole length.
    bias : of the projections.
    """

    def __init__(self, width: int, heads: int, causal: bool = False, bias: bool = False) -> None:
        super().__init__()
        self.heads, self.scale = heads, (width // heads) ** -0.5
        self.causal = causal
        self.query = nn.Linear(width, width, bias=bias)
        self.key = nn.Linear(width, width, bias=bias)
        self.value = nn.Linear(width, width, bias=bias)
        self.out = nn.Linear(width, width, bias=bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.with_weights(x)[0]

    def with_weights(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """What `forward` gives, and the attention weights [B, H, N, N], each between 0 and 1."""
        q, k, v = (split_heads(layer(x), self.heads) for layer in (self.query, self.key, self.value))
        shift = -log(x.shape[1])
        scores = q @ k.transpose(-1, -2) * self.scale + shift
        if self.causal:
            scores = scores.masked_fill(ahead(scores), float("-inf"))
        weights = torch.sigmoid(scores)
        mixed: torch.Tensor = self.out(merge_heads(weights @ v))
        return mixed, weights
