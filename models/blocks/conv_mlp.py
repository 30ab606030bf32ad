"""A channel mixer with a depthwise convolution inside, which tells tokens of a map where they are."""

from __future__ import annotations

import torch
from torch import nn

from siliform.models.blocks.channels import Activation


class ConvMLP(nn.Module):
    """Linear, depthwise 3 x 3 convolution, activation, linear: x [B, S², W] -> [B, S², W].

    The convolutional feed-forward layer of Wang et al., PVT v2, arXiv 2106.13797, section 3.3.
    """

    def __init__(self, width: int, inner: int, side: int, activation: Activation = nn.GELU) -> None:
        super().__init__()
        self.side = side
        self.up = nn.Linear(width, inner)
        self.conv = nn.Conv2d(inner, inner, 3, padding=1, groups=inner)
        self.activation = activation()
        self.down = nn.Linear(inner, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        grown = self.up(x).transpose(1, 2).unflatten(2, (self.side, self.side))
        mixed: torch.Tensor = self.down(self.activation(self.conv(grown).flatten(2).transpose(1, 2)))
        return mixed
