"""BiFormer: a pyramid whose blocks route attention between regions of the map.

Zhu et al., BiFormer, arXiv 2303.08810, section 3.4 and table 1. A block is a depthwise convolution for
positions, the mixer and an MLP, each added to the stream; a stage begins with a convolution of stride 2, the
first with two of them. Shapes: B batch, P pixels on a side, N tokens, W width of a stage.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import nn

from siliform.models.blocks.channels import MLP
from siliform.models.blocks.grids import as_map, as_tokens
from siliform.models.blocks.transformer import TransformerBlock
from siliform.models.mixers.biformer import BiFormerMixer
from siliform.models.networks.pyramid import Embedding, PatchEmbed, Place, Pyramid


class Stem(nn.Module):
    """Two convolutions of 3 x 3 and stride 2: [B, 3, P, P] -> [B, W, P / 4, P / 4]."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.first = PatchEmbed(inputs, width // 2, 3, 2, 1, nn.BatchNorm2d)
        self.activation = nn.GELU()
        self.second = PatchEmbed(width // 2, width, 3, 2, 1, nn.BatchNorm2d)

    def side(self, side: int) -> int:
        return self.second.side(self.first.side(side))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        embedded: torch.Tensor = self.second(self.activation(self.first(x)))
        return embedded


def patches(stage: int, inputs: int, width: int) -> Embedding:
    """What a stage begins with."""
    return PatchEmbed(inputs, width, 3, 2, 1, nn.BatchNorm2d) if stage else Stem(inputs, width)


class BiFormerBlock(nn.Module):
    """Positions by a depthwise convolution, then a transformer block: [B, N, W] -> [B, N, W].

    The convolution is 3 x 3 in the released configurations of arXiv 2303.08810.
    """

    def __init__(self, width: int, block: nn.Module, kernel: int = 3) -> None:
        super().__init__()
        self.positions = nn.Conv2d(width, width, kernel, padding=kernel // 2, groups=width)
        self.block = block

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mixed: torch.Tensor = self.block(x + as_tokens(self.positions(as_map(x))))
        return mixed


class BiFormer(Pyramid):
    """An image [B, 3, P, P] -> scores of classes [B, classes].

    Parameters
    ----------
    image_pixels : P.
    widths, depths : of each stage.
    chosen : k of each stage; None for attention to all of the map.
    regions : S.
    head_width : of every head, so that a stage has W / head_width of them.
    ratio : the MLP's inner width over W.
    classes : of the classifier.
    selector_bits : of `BiFormerMixer`.
    """

    def __init__(
        self,
        image_pixels: int,
        widths: Sequence[int],
        depths: Sequence[int],
        chosen: Sequence[int | None],
        regions: int = 7,
        head_width: int = 32,
        ratio: int = 3,
        classes: int = 1000,
        selector_bits: int | None = None,
    ) -> None:
        norm = partial(nn.LayerNorm, eps=1e-6)  # the released configurations of arXiv 2303.08810

        def block(at: Place) -> nn.Module:
            mixer = BiFormerMixer(
                at.width,
                at.width // head_width,
                regions,
                chosen[at.stage],
                selector_bits=selector_bits,
            )
            channel = MLP(at.width, ratio * at.width)
            return BiFormerBlock(at.width, TransformerBlock(at.width, mixer, channel, norm))

        super().__init__(image_pixels, widths, depths, block, classes, patches, last_norm=nn.BatchNorm2d)
