"""Gated associative memory: a short causal convolution beside a look-up in a learned memory, gated together.

Acharya, Gated Associative Memory: A Parallel O(N) Architecture for Efficient Sequence Modeling, arXiv
2509.00605, section 3: local context is a depthwise causal convolution, global context ``softmax(x Mᵀ) M``
over a bank of slots that all tokens share, and a linear layer gives each of the two a gate per channel. No
token reads another but through the convolution. Shapes: B batch, N tokens, W width, M slots.
"""

from __future__ import annotations

import torch
from torch import nn

from siliform.models.blocks.causal_conv import CausalConv


class AssociativeMixer(nn.Module):
    """x [B, N, W] -> [B, N, W], causal.

    Parameters
    ----------
    width : W.
    heads : of other mixers; the memory has one.
    slots : M.
    taps : of the convolution. 512 and 3 are the settings of the authors' program.
    """

    def __init__(self, width: int, heads: int, slots: int = 512, taps: int = 3) -> None:
        super().__init__()
        self.conv = CausalConv(width, taps)
        self.memory = nn.Parameter(torch.randn(slots, width) * width**-0.5)
        self.gate = nn.Linear(width, 2 * width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        local, recalled = self.conv(x), self.recalled(x)
        first, second = self.gate(x).sigmoid().chunk(2, dim=-1)
        return first * local + second * recalled

    def recalled(self, x: torch.Tensor) -> torch.Tensor:
        """The average of slots that each token asks for by itself."""
        return (x @ self.memory.T).softmax(-1) @ self.memory
