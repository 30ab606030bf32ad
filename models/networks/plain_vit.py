"""The plain vision transformer: one grid of patches, a class token in front, blocks, a classifier.

Dosovitskiy et al., An Image is Worth 16x16 Words, arXiv 2010.11929, equations 1 to 4; with the sizes of
Touvron et al., DeiT, arXiv 2012.12877, table 1. Shapes: B batch, P pixels on a side, N tokens with the class
token, W width of the stream.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import nn

#: The authors' epsilon of each norm (google-research/vision_transformer keeps flax's 1e-6).
NORM_EPSILON = 1e-6


def layer_norm(width: int) -> nn.LayerNorm:
    """The norm of vision transformers."""
    return nn.LayerNorm(width, eps=NORM_EPSILON)


class PatchTokens(nn.Module):
    """Patches that do not overlap: [B, 3, P, P] -> [B, (P / patch)², W]."""

    def __init__(self, patch: int, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, width, patch, patch)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        tokens: torch.Tensor = self.conv(image).flatten(2).transpose(1, 2)
        return tokens


def sine_positions(tokens: int, width: int) -> torch.Tensor:
    """Fixed positions [1, tokens, width] of sines and cosines (arXiv 1706.03762, section 3.5)."""
    rates = torch.exp(torch.arange(0, width, 2) * (-math.log(10_000) / width))
    angles = torch.arange(tokens)[:, None] * rates
    return torch.stack((torch.sin(angles), torch.cos(angles)), dim=-1).reshape(1, tokens, width)


class PlainViT(nn.Module):
    """An image [B, 3, P, P] -> scores of classes [B, classes].

    Parameters
    ----------
    embed : [B, 3, P, P] -> [B, N - 1, W].
    tokens : N at the first block.
    width : W.
    blocks : each [B, N, W] -> [B, N', W], the class token first in both.
    classes : of the linear layer on the class token.
    positions : "learned" or "sine", of N tokens.
    """

    positions: torch.Tensor

    def __init__(
        self,
        embed: nn.Module,
        tokens: int,
        width: int,
        blocks: Sequence[nn.Module],
        classes: int = 1000,
        positions: str = "learned",
    ) -> None:
        super().__init__()
        self.embed = embed
        self.class_token = nn.Parameter(torch.zeros(1, 1, width))
        if positions == "learned":
            self.positions = nn.Parameter(torch.randn(1, tokens, width) * 0.02)
        else:
            self.register_buffer("positions", sine_positions(tokens, width), persistent=False)
        self.blocks = nn.ModuleList(blocks)
        self.norm = layer_norm(width)
        self.head = nn.Linear(width, classes)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        x = self.embed(image)
        first = self.class_token.expand(x.shape[0], -1, -1)
        x = self.through(torch.cat((first, x), dim=1) + self.positions)
        scores: torch.Tensor = self.head(self.norm(x[:, 0]))
        return scores

    def through(self, x: torch.Tensor) -> torch.Tensor:
        """The blocks in turn: [B, N, W] -> [B, N', W]."""
        for block in self.blocks:
            x = block(x)
        return x
