"""The pyramid that vision networks share: stages of one patch embedding and blocks, then a classifier.

Each stage embeds overlapping patches of the map before it, so that the map gets smaller and wider, and runs
its blocks at that size (Wang et al., PVT v2, arXiv 2106.13797, section 3.2). A callable makes each block::

    Pyramid(224, (32, 64), (2, 2), block=lambda at: TransformerBlock(at.width, ...))

Shapes: B batch, C channels of a map, S side of a square map, N = S² tokens, W width of a stage.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import nn

from siliform.models.blocks.transformer import Norm


@dataclass(frozen=True)
class Place:
    """Where a block stands: `layer` of its `stage`, `index` of all; `width` W, `side` S of its map."""

    stage: int
    layer: int
    index: int
    width: int
    side: int

    @property
    def tokens(self) -> int:
        """N, the positions of the map."""
        return self.side**2


#: Makes the block of a place: [B, N, W] -> [B, N, W], or [B, W, S, S] -> [B, W, S, S] in a pyramid of maps.
Block = Callable[[Place], nn.Module]


class Embedding(Protocol):
    """What a stage begins with: an nn.Module, map [B, C, S, S] -> map [B, W, S', S']."""

    def side(self, side: int) -> int:
        """S' of S."""

    def __call__(self, x: torch.Tensor) -> torch.Tensor: ...


#: Makes the embedding of a stage from (stage, C, W).
Embed = Callable[[int, int, int], Embedding]


class PatchEmbed(nn.Module):
    """A convolution over overlapping patches: [B, C, S, S] -> [B, W, S', S']; `norm` is one of maps."""

    def __init__(
        self, inputs: int, width: int, patch: int, stride: int, padding: int, norm: Norm | None = None
    ) -> None:
        super().__init__()
        self.patch, self.stride, self.padding = patch, stride, padding
        self.conv = nn.Conv2d(inputs, width, patch, stride, padding)
        self.norm = None if norm is None else norm(width)

    def side(self, side: int) -> int:
        return (side + 2 * self.padding - self.patch) // self.stride + 1

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.conv(x)
        return x if self.norm is None else self.norm(x)


def overlapping(stage: int, inputs: int, width: int) -> PatchEmbed:
    """Patches of 7 every 4 pixels first, of 3 every 2 thereafter (arXiv 2106.13797, section 3.2)."""
    patch, stride = (7, 4) if stage == 0 else (3, 2)
    return PatchEmbed(inputs, width, patch, stride, patch // 2)


class Stage(nn.Module):
    """An embedding and the blocks behind it: map [B, C, S, S] -> map [B, W, S', S'].

    With `tokens`, both norms and the blocks see [B, N, W], else the map itself.
    """

    def __init__(
        self,
        embed: nn.Module,
        blocks: Sequence[nn.Module],
        tokens: bool,
        embed_norm: nn.Module | None = None,
        norm: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.embed, self.embed_norm = embed, embed_norm
        self.blocks = nn.ModuleList(blocks)
        self.norm = norm
        self.tokens = tokens

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.embed(x)
        side = x.shape[-2:]
        if self.tokens:
            x = x.flatten(2).transpose(1, 2)
        if self.embed_norm is not None:
            x = self.embed_norm(x)
        for block in self.blocks:
            x = block(x)
        if self.norm is not None:
            x = self.norm(x)
        return x.transpose(1, 2).unflatten(2, side) if self.tokens else x


class Pyramid(nn.Module):
    """An image [B, 3, P, P] -> scores of classes [B, classes].

    Parameters
    ----------
    image_pixels : P.
    widths, depths : W and how many blocks, of each stage.
    block : makes each block.
    classes : of the linear layer on the mean of the last map; 0 for none, so that the mean is returned.
    embed : makes each embedding.
    tokens : whether blocks see tokens [B, N, W] or maps [B, W, S, S].
    embed_norm, stage_norm : behind each embedding and behind each stage's last block, in what blocks see.
    last_norm : behind the last stage alone, of maps.
    """

    def __init__(
        self,
        image_pixels: int,
        widths: Sequence[int],
        depths: Sequence[int],
        block: Block,
        classes: int = 1000,
        embed: Embed = overlapping,
        tokens: bool = True,
        embed_norm: Norm | None = None,
        stage_norm: Norm | None = None,
        last_norm: Norm | None = None,
    ) -> None:
        super().__init__()
        stages, side, inputs, index = [], image_pixels, 3, 0
        for stage, (width, depth) in enumerate(zip(widths, depths, strict=True)):
            embedding = embed(stage, inputs, width)
            side, inputs = embedding.side(side), width
            blocks = [block(Place(stage, layer, index + layer, width, side)) for layer in range(depth)]
            norms = [None if norm is None else norm(width) for norm in (embed_norm, stage_norm)]
            stages.append(Stage(_module(embedding), blocks, tokens, *norms))
            index += depth
        self.stages = nn.ModuleList(stages)
        self.last_norm = None if last_norm is None else last_norm(widths[-1])
        self.head = nn.Linear(widths[-1], classes) if classes else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for stage in self.stages:
            x = stage(x)
        if self.last_norm is not None:
            x = self.last_norm(x)
        pooled = x.mean((2, 3))
        return pooled if self.head is None else self.head(pooled)


def _module(embedding: Embedding) -> nn.Module:
    """An embedding as what it also is."""
    if not isinstance(embedding, nn.Module):
        raise TypeError(f"the embedding {embedding!r} is no nn.Module")
    return embedding
