"""DeiT with fewer tokens from layer to layer, by the methods of `siliform.models.reducers`.

Touvron et al., DeiT, arXiv 2012.12877, table 1: patches of 16 pixels, a class token in front, biases
everywhere, MLPs of four times the width. Shapes: B batch, P pixels on a side, N tokens, W width.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from siliform.models.blocks.channels import MLP
from siliform.models.blocks.merging import MergingBlock, ProportionalAttention
from siliform.models.blocks.transformer import TransformerBlock
from siliform.models.mixers.softmax import SoftmaxMixer
from siliform.models.networks.plain_vit import PatchTokens, PlainViT, layer_norm
from siliform.models.reducers.ia_red2 import PatchPolicy
from siliform.models.reducers.pitome import FIRST_MARGIN, PiToMe
from siliform.models.reducers.token_transforming import TokenTransforming
from siliform.models.reducers.tome import ToMe
from siliform.models.reducers.zero_tprune import ObservedAttention, ZeroTPrune


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
    """Each block merges tokens by the reducer that `reducer` makes for its layer, where it makes one."""

    def __init__(self, sizes: DeiTSizes, reducer: Callable[[int], nn.Module | None]) -> None:
        blocks: list[nn.Module] = []
        for layer in range(sizes.layers):
            made = reducer(layer)
            mixer = ProportionalAttention(sizes.width, sizes.heads, getattr(made, "evidence", "keys"))
            blocks.append(MergingBlock(sizes.width, mixer, 4 * sizes.width, made, layer_norm))
        super().__init__(sizes, blocks)

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


class TransformingDeiT(MergingDeiT):
    """A share `kept` of the tokens is kept by each of the layers `at`."""

    def __init__(self, kept: float, at: Sequence[int], **sizes: int) -> None:
        super().__init__(DeiTSizes(**sizes), lambda layer: TokenTransforming(kept) if layer in at else None)


class ZeroTPruneDeiT(DeiT):
    """A share `kept` is kept by each of the layers `at`, after so many `iterations` of the page rank."""

    def __init__(self, kept: float, at: Sequence[int], iterations: Sequence[int], **sizes: int) -> None:
        made = DeiTSizes(**sizes)
        rounds: Mapping[int, int] = dict(zip(at, iterations, strict=True))
        blocks = [
            TransformerBlock(
                made.width,
                ObservedAttention(made.width, made.heads, bias=True),
                MLP(made.width, 4 * made.width),
                norm=layer_norm,
                reducer=ZeroTPrune(kept, rounds[layer]) if layer in rounds else None,
            )
            for layer in range(made.layers)
        ]
        super().__init__(made, blocks)


class IARed2DeiT(DeiT):
    """`groups` of blocks, in front of each a policy that keeps a share `kept`."""

    def __init__(self, kept: float, groups: int, **sizes: int) -> None:
        made = DeiTSizes(**sizes)
        blocks: list[nn.Module] = []
        for layer in range(made.layers):
            if layer % (made.layers // groups) == 0:
                blocks.append(PatchPolicy(made.width, made.heads, kept))
            mixer = SoftmaxMixer(made.width, made.heads, bias=True)
            blocks.append(
                TransformerBlock(made.width, mixer, MLP(made.width, 4 * made.width), norm=layer_norm)
            )
        super().__init__(made, blocks)
