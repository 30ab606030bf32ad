"""Channel mixers: x [B, N, W] -> [B, N, W], each token by itself."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

#: Makes an activation: a class, or a function of no arguments.
Activation = Callable[[], nn.Module]


class MLP(nn.Module):
    """Two linear layers about an activation (arXiv 1706.03762, section 3.3)."""

    def __init__(self, width: int, inner: int, activation: Activation = nn.GELU, bias: bool = True) -> None:
        super().__init__()
        self.up = nn.Linear(width, inner, bias=bias)
        self.activation = activation()
        self.down = nn.Linear(inner, width, bias=bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mixed: torch.Tensor = self.down(self.activation(self.up(x)))
        return mixed


class GatedMLP(nn.Module):
    """``down(activation(gate(x)) * up(x))``, SwiGLU by default (Shazeer, arXiv 2002.05202, equation 6)."""

    def __init__(self, width: int, inner: int, activation: Activation = nn.SiLU, bias: bool = False) -> None:
        super().__init__()
        self.gate = nn.Linear(width, inner, bias=bias)
        self.up = nn.Linear(width, inner, bias=bias)
        self.activation = activation()
        self.down = nn.Linear(inner, width, bias=bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mixed: torch.Tensor = self.down(self.activation(self.gate(x)) * self.up(x))
        return mixed
