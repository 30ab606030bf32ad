"""One step of a mixer or of a network of mixers that keep states across calls.

A mixer that can decode has ``advance(x [B, 1, W], *states) -> (mixed [B, 1, W], *states after)`` and
``cache(batch, context, draw, stream) -> states`` as they are behind `context` tokens.
"""

from __future__ import annotations

from typing import Any, Protocol, cast

import torch
from torch import nn

from siliform.models.drawing import Draw


class Advancing(Protocol):
    """A mixer that can decode."""

    def advance(self, x: torch.Tensor, *states: torch.Tensor) -> tuple[torch.Tensor, ...]: ...

    def cache(self, batch: int, context: int, draw: Draw, stream: int = 1) -> tuple[torch.Tensor, ...]: ...


class MixerStep(nn.Module):
    """A mixer's `advance` as a module: ``forward(x [B, 1, W], states) -> (mixed, *states after)``."""

    def __init__(self, mixer: nn.Module) -> None:
        super().__init__()
        self.mixer = mixer

    def forward(self, x: torch.Tensor, states: list[torch.Tensor]) -> tuple[torch.Tensor, ...]:
        return cast(Advancing, self.mixer).advance(x, *states)


def decoding_of(
    mixer: nn.Module, like: torch.Tensor, batch: int, context: int, draw: Draw
) -> tuple[nn.Module, tuple[Any, ...], tuple[str, ...]]:
    """What a mixer returns as ``decoding``: one token of the width and format of `like` [..., W]."""
    token = draw.normal(batch, 1, like.shape[-1], dtype=like.dtype)
    states = list(cast(Advancing, mixer).cache(batch, context, draw))
    return MixerStep(mixer), (token, states), ("states",)
