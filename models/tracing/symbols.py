"""Extents that torch.export left open and that turn out to be known while tracing."""

from __future__ import annotations

from typing import Any

import torch


class Symbols:
    """The open extents of one exported graph, and those of them that became known.

    torch.export gives a number that it reads from a tensor a symbol (``u0``). Where the tensor is a
    literal, the number is known here, and with it every shape that the symbol stands in.
    """

    def __init__(self) -> None:
        self._known: dict[Any, int] = {}

    def learn(self, fake: Any, actual: Any) -> None:
        """Bind the symbols of a fake number, tensor or list of them to what it really is."""
        if isinstance(fake, torch.SymInt) and isinstance(actual, int):
            expression = fake.node.expr
            if expression.is_Symbol:
                self._known[expression] = int(actual)
        elif isinstance(fake, torch.Tensor) and hasattr(actual, "shape"):
            for extent, known in zip(fake.shape, actual.shape, strict=False):
                self.learn(extent, known)
        elif isinstance(fake, (list, tuple)) and isinstance(actual, (list, tuple)):
            for one, other in zip(fake, actual, strict=False):
                self.learn(one, other)

    def number(self, extent: Any) -> int:
        """A fake extent as a number; ValueError where it is open."""
        if not isinstance(extent, torch.SymInt):
            return int(extent)
        value = extent.node.expr.subs(self._known)
        if value.free_symbols:
            raise ValueError(f"the extent {extent} is open")
        return int(value)

    def plain(self, fake: Any) -> Any:
        """A fake tensor (or several) with numbers for its extents; ValueError where one is open."""
        if isinstance(fake, (list, tuple)):
            return type(fake)(self.plain(f) for f in fake)
        if not isinstance(fake, torch.Tensor) or not is_open(fake):
            return fake
        shape = tuple(map(self.number, fake.shape))
        strides = tuple(map(self.number, fake.stride()))
        return torch.empty_strided(shape, strides, dtype=fake.dtype, device="meta")


def is_open(fake: torch.Tensor) -> bool:
    """Whether any extent of a fake tensor is a symbol."""
    return any(isinstance(extent, torch.SymInt) for extent in fake.shape)
