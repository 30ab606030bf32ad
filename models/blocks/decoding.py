"""One step of a mixer, or of a network of mixers, that keeps states across calls.

Shapes: B batch, W width of the stream, n tokens before the step.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import nn

from siliform.models.blocks.transformer import TransformerBlock
from siliform.models.drawing import Draw

#: The module of one step, its inputs, and the names of those that are states.
Decoding = tuple[nn.Module, tuple[Any, ...], tuple[str, ...]]


class Advancing(nn.Module):
    """A mixer that can decode.

    Attributes
    ----------
    width : W.
    advance : one token, ``advance(x [B, 1, W], *states) -> (mixed [B, 1, W], *states after)``; a state
        that is only read is not among those after.
    """

    width: int
    advance: Callable[..., tuple[torch.Tensor, ...]]

    def state_shapes(self, context: int) -> tuple[tuple[int, ...], ...]:
        """Shapes of the states behind `context` tokens, without B, as `advance` takes them."""
        raise NotImplementedError

    def cache(self, batch: int, context: int, draw: Draw, stream: int = 1) -> tuple[torch.Tensor, ...]:
        """The states behind `context` tokens, drawn in the format of the weights."""
        dtype, shapes = next(self.parameters()).dtype, self.state_shapes(context)
        return tuple(draw.normal(batch, *s, dtype=dtype, stream=stream + i) for i, s in enumerate(shapes))

    def decoding(self, batch: int, context: int, draw: Draw) -> Decoding:
        """One step behind `context` tokens."""
        token = draw.normal(batch, 1, self.width, dtype=next(self.parameters()).dtype)
        return MixerStep(self), (token, list(self.cache(batch, context, draw))), ("states",)


class MixerStep(nn.Module):
    """A mixer's `advance` as a module: ``forward(x [B, 1, W], states) -> (mixed, *states after)``."""

    def __init__(self, mixer: Advancing) -> None:
        super().__init__()
        self.mixer = mixer

    def forward(self, x: torch.Tensor, states: list[torch.Tensor]) -> tuple[torch.Tensor, ...]:
        return self.mixer.advance(x, *states)


def advanced(block: TransformerBlock, x: torch.Tensor, held: list[torch.Tensor]) -> tuple[torch.Tensor, ...]:
    """The stream [B, 1, W] behind a block, and the block's states behind the token.

    A block that holds nothing sees the token alone, as one does whose mixer mixes no tokens.
    """
    normed = block.mixer_norm(x)
    mixed, *after = cast(Advancing, block.mixer).advance(normed, *held) if held else (block.mixer(normed),)
    x = x + mixed
    if block.channel is None or block.channel_norm is None:
        return (x, *after)
    return (x + block.channel(block.channel_norm(x)), *after)
