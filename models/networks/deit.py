"""DeiT with fewer tokens from layer to layer, by the methods of `siliform.models.reducers`.

Touvron et al., DeiT, arXiv 2012.12877, table 1: patches of 16 pixels, a class token in front, biases
everywhere, MLPs of four times the width. Shapes: B batch, P pixels on a side, N tokens, W width.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from siliform.models.blocks.merging import MergingBlock
from siliform.models.networks.plain_vit import PatchTokens, PlainViT, layer_norm
from siliform.models.reducers.pitome import FIRST_MARGIN, PiToMe
from siliform.models.reducers.tome import ToMe


@dataclass(frozen=True)
class DeiTSizes:
    """P, side of a patch, W, number of blocks, heads and classes."""

    image_pixels: int
    patch: int
    width: int
    layers: int
    heads: int
    classes: int

    @property
    def tokens(self) -> int:
        """N at the first block."""
        return (self.image_pixels // self.patch) ** 2 + 1


class DeiT(PlainViT):
    """An image [B, 3, P, P] -> scores [B, classes], through the given blocks."""

    def __init__(self, sizes: DeiTSizes, blocks: Sequence[nn.Module]) -> None:
        embed = PatchTokens(sizes.patch, sizes.width)
        super().__init__(embed, sizes.tokens, sizes.width, blocks, sizes.classes)


class MergingDeiT(DeiT):
    """Each block merges tokens by the reducer that `reducer` makes for its layer."""

    def __init__(self, sizes: DeiTSizes, reducer: Callable[[int], nn.Module]) -> None:
        made = [
            MergingBlock(sizes.width, sizes.heads, 4 * sizes.width, reducer(layer), layer_norm)
            for layer in range(sizes.layers)
        ]
        super().__init__(sizes, made)

    def through(self, x: torch.Tensor) -> torch.Tensor:
        size = torch.ones_like(x[..., :1])
        for block in self.blocks:
            x, size = block(x, size)
        return x


class ToMeDeiT(MergingDeiT):
    """`tokens_merged` tokens fewer in each block."""

    def __init__(self, tokens_merged: int, **sizes: int) -> None:
        super().__init__(DeiTSizes(**sizes), lambda layer: ToMe(tokens_merged))


class PiToMeDeiT(MergingDeiT):
    """In each block a share `kept` of the tokens is kept."""

    def __init__(self, kept: float, **sizes: int) -> None:
        layers = sizes["layers"]
        super().__init__(DeiTSizes(**sizes), lambda layer: PiToMe(kept, FIRST_MARGIN * (1 - layer / layers)))
