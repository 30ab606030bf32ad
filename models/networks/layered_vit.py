"""Vision transformers whose layers are described one by one, factored, or grown from two.

The plain one of arXiv 2010.11929 with the norms in front. Shapes: B batch, P pixels on a side, W width.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from siliform.models.blocks.expansion import expanded
from siliform.models.blocks.layered import layer_block
from siliform.models.blocks.low_rank import low_rank_shape, replace_linears
from siliform.models.networks.plain_vit import PatchTokens, PlainViT, layer_norm


class LayeredViT(PlainViT):
    """An image [B, 3, P, P] -> scores of classes [B, classes].

    Parameters
    ----------
    image_pixels, patch : P, and the side of a patch.
    width, head_width : W, and the width of every head.
    layers : one description a layer, see `siliform.models.blocks.layered.layer_block`.
    classes : of the linear layer on the class token.
    """

    def __init__(
        self,
        image_pixels: int,
        patch: int,
        width: int,
        head_width: int,
        layers: Sequence[Mapping[str, Any]],
        classes: int,
    ) -> None:
        blocks = [layer_block(width, head_width, layer, "pre", layer_norm) for layer in layers]
        super().__init__(PatchTokens(patch, width), (image_pixels // patch) ** 2 + 1, width, blocks, classes)


class LowRankViT(LayeredViT):
    """The same with every linear layer of its blocks as a product of two that have `share` of its weights."""

    def __init__(self, share: float, **vit: Any) -> None:
        super().__init__(**vit)
        replace_linears(self.blocks, lambda linear: low_rank_shape(linear, share))


class ExpandedViT(PlainViT):
    """A vision transformer of `depth` layers that were expanded from two of one description (TLEG)."""

    def __init__(
        self,
        image_pixels: int,
        patch: int,
        width: int,
        head_width: int,
        layer: Mapping[str, Any],
        depth: int,
        classes: int,
    ) -> None:
        base, slope = (layer_block(width, head_width, layer, "pre", layer_norm) for _ in range(2))
        blocks: list[nn.Module] = expanded(base, slope, depth)
        super().__init__(PatchTokens(patch, width), (image_pixels // patch) ** 2 + 1, width, blocks, classes)
