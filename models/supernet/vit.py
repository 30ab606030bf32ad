"""The sub-network as a plain module: a small vision transformer, layer by layer of the sizes asked for.

Dosovitskiy et al., An Image is Worth 16x16 Words, arXiv 2010.11929, with the mean over tokens in place of a
class token. Nothing here knows of weight sharing: a sub-network is an ordinary network, and what makes it one
of a family is that `sharing` gives it slices of the family's weights. Shapes: B batch, S side of an image in
pixels, N tokens, W width of the stream.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import nn

from siliform.models.blocks.hash_attention import HashAttention
from siliform.models.blocks.linear_attention import LinearAttention
from siliform.models.blocks.softmax_attention import SoftmaxAttention

#: The kinds of attention by name, each made from (width, heads, head_width).
ATTENTION: Mapping[str, type[nn.Module]] = MappingProxyType(
    {"softmax": SoftmaxAttention, "linear": LinearAttention, "hash": HashAttention}
)


@dataclass(frozen=True)
class Layer:
    """What may differ from layer to layer: heads, inner width of the FFN, kind of attention."""

    heads: int
    ffn: int
    attention: str


@dataclass(frozen=True)
class Shape:
    """A vision transformer, but for its weights.

    Attributes
    ----------
    side, patch : pixels along an image and along a patch of it.
    classes : of images.
    width, head_width : of the stream and of each head.
    layers : from the image on.
    """

    side: int
    patch: int
    classes: int
    width: int
    head_width: int
    layers: tuple[Layer, ...]

    @property
    def tokens(self) -> int:
        """Patches of an image."""
        return (self.side // self.patch) ** 2

    def pieces(self) -> tuple[tuple[str, Piece], ...]:
        """The network as a chain: the module path of each piece, and what makes the piece."""
        made = [("embed", Piece("embed", (self.side, self.patch, self.width)))]
        for index, layer in enumerate(self.layers):
            attention = (self.width, layer.heads, self.head_width)
            made.append((f"blocks.{index}.mixing", Piece(layer.attention, attention)))
            made.append((f"blocks.{index}.feed_forward", Piece("feed_forward", (self.width, layer.ffn))))
        return (*made, ("head", Piece("head", (self.width, self.classes))))


@dataclass(frozen=True)
class Piece:
    """One residual branch, or an end of the network: its kind and its sizes, and not where it stands."""

    kind: str
    sizes: tuple[int, ...]

    def module(self) -> nn.Module:
        """The piece, its weights on torch's default device."""
        if self.kind in ATTENTION:
            width, heads, head_width = self.sizes
            return Mixing(width, ATTENTION[self.kind](width, heads, head_width))
        return {"embed": Embed, "feed_forward": FeedForward, "head": Head}[self.kind](*self.sizes)

    def input_shape(self, shape: Shape, batch: int) -> tuple[int, ...]:
        """Of what the piece takes in a network of that shape."""
        return (batch, shape.side, shape.side) if self.kind == "embed" else (batch, shape.tokens, shape.width)


class Embed(nn.Module):
    """Images [B, S, S] -> tokens [B, N, W]: a linear layer over each patch, and a place learnt for each."""

    def __init__(self, side: int, patch: int, width: int) -> None:
        super().__init__()
        self.across, self.patch = side // patch, patch
        self.patches = nn.Linear(patch * patch, width)
        self.positions = nn.Parameter(torch.zeros(self.across**2, width))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        cut = images.view(-1, self.across, self.patch, self.across, self.patch).transpose(2, 3)
        embedded: torch.Tensor = self.patches(cut.reshape(-1, self.across**2, self.patch**2)) + self.positions
        return embedded


class Mixing(nn.Module):
    """Attention of one kind behind a norm, added to the stream [B, N, W]."""

    def __init__(self, width: int, attention: nn.Module) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.attention = attention

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mixed: torch.Tensor = x + self.attention(self.norm(x))
        return mixed


class FeedForward(nn.Module):
    """Two linear layers about a GELU behind a norm, added to the stream [B, N, W]."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.grow = nn.Linear(width, inner)
        self.gelu = nn.GELU()
        self.shrink = nn.Linear(inner, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        made: torch.Tensor = x + self.shrink(self.gelu(self.grow(self.norm(x))))
        return made


class Head(nn.Module):
    """Tokens [B, N, W] -> one score per class [B, C], from the mean over tokens."""

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.classify = nn.Linear(width, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.classify(self.norm(x).mean(1))
        return scores


class Block(nn.Module):
    """One layer of the network."""

    def __init__(self, mixing: nn.Module, feed_forward: nn.Module) -> None:
        super().__init__()
        self.mixing = mixing
        self.feed_forward = feed_forward

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        made: torch.Tensor = self.feed_forward(self.mixing(x))
        return made


class Vit(nn.Module):
    """Images [B, S, S], grey, about 0 to 1 -> one score per class [B, C]."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        first, *middle, last = (piece.module() for _, piece in shape.pieces())
        self.embed = first
        self.blocks = nn.ModuleList(Block(*pair) for pair in zip(middle[::2], middle[1::2], strict=True))
        self.head = last

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        x = self.embed(images)
        for block in self.blocks:
            x = block(x)
        scores: torch.Tensor = self.head(x)
        return scores
