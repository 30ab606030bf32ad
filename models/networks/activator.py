"""Activator: a vision network of gated linear units alone, one to a block, where attention and its MLP were.

Abdullah and Aydin, Activator: GLU Activation Function as the Core Component of a Vision Transformer, arXiv
2405.15953. A block is ``x + down(gelu(gate(norm(x))) * up(norm(x)))`` and nothing behind it; it is built
over the channels of each token, so that tokens meet in the patches and in the mean that is classified.
Shapes: B batch, P pixels on a side, N patches, W width.
"""

from __future__ import annotations

import torch
from torch import nn

from siliform.models.blocks.channels import GatedMLP
from siliform.models.blocks.transformer import TransformerBlock
from siliform.models.networks.plain_vit import PatchTokens


class ActivatorMixer(GatedMLP):
    """The gated unit in a mixer's place: x [B, N, W] -> [B, N, W], `ratio` W numbers inside; no heads.

    A ratio of 4 is an assumption: that of the MLP of a vision transformer, whose place the unit takes too.
    """

    def __init__(self, width: int, heads: int, ratio: int = 4) -> None:
        super().__init__(width, ratio * width, nn.GELU, bias=True)


class Activator(nn.Module):
    """An image [B, 3, P, P] -> scores of classes [B, classes]."""

    def __init__(
        self, image_pixels: int, patch: int, width: int, layers: int, ratio: int, classes: int
    ) -> None:
        super().__init__()
        self.embed = PatchTokens(patch, width)
        self.positions = nn.Parameter(torch.randn((image_pixels // patch) ** 2, width) * 0.02)
        self.blocks = nn.Sequential(
            *(TransformerBlock(width, ActivatorMixer(width, 1, ratio), None) for _ in range(layers))
        )
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, classes)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        x = self.blocks(self.embed(image) + self.positions)
        scores: torch.Tensor = self.head(self.norm(x).mean(1))
        return scores
