"""PoolFormer: a pyramid whose blocks mix tokens by average pooling.

Yu et al., MetaFormer Is Actually What You Need for Vision, arXiv 2111.11418, section 3.2 and table 1. Both
branches of a block are behind a group norm of one group and scaled per channel by 1e-5 at first (section 4.1,
LayerScale, arXiv 2103.17239). Shapes: B batch, P pixels on a side, W width, S side of a map.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from siliform.models.blocks.transformer import TransformerBlock
from siliform.models.mixers.pooling import Pooling
from siliform.models.networks.pyramid import PatchEmbed, Place, Pyramid

#: What each branch is first multiplied by (arXiv 2111.11418, section 4.1).
FIRST_SCALE = 1e-5


class ScaledBranch(nn.Module):
    """A branch of maps [B, W, S, S] -> same, times one trained number a channel."""

    def __init__(self, branch: nn.Module, width: int) -> None:
        super().__init__()
        self.branch = branch
        self.scale = nn.Parameter(torch.full((width, 1, 1), FIRST_SCALE))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scaled: torch.Tensor = self.branch(x) * self.scale
        return scaled


def one_group(width: int) -> nn.Module:
    """Group norm of all channels and positions of a sample."""
    return nn.GroupNorm(1, width)


def patches(stage: int, inputs: int, width: int) -> PatchEmbed:
    """Patches of 7 every 4 pixels first, of 3 every 2 thereafter (section 3.2)."""
    return PatchEmbed(inputs, width, 7, 4, 2) if stage == 0 else PatchEmbed(inputs, width, 3, 2, 1)


class PoolFormer(Pyramid):
    """An image [B, 3, P, P] -> scores of classes [B, classes]; `ratio` is the MLP's inner width over W."""

    def __init__(
        self, image_pixels: int, widths: Sequence[int], depths: Sequence[int], ratio: int, classes: int
    ) -> None:
        def block(at: Place) -> nn.Module:
            mlp = nn.Sequential(
                nn.Conv2d(at.width, ratio * at.width, 1), nn.GELU(), nn.Conv2d(ratio * at.width, at.width, 1)
            )
            return TransformerBlock(
                at.width, ScaledBranch(Pooling(), at.width), ScaledBranch(mlp, at.width), norm=one_group
            )

        super().__init__(
            image_pixels, widths, depths, block, classes, patches, tokens=False, last_norm=one_group
        )
