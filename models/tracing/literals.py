"""Values that follow from the program alone: position indices, masks, filled tensors.

A forward pass computes many tensors from nothing but shapes: ``arange``, causal masks, one-hot
tables. They are evaluated while tracing, with torch's own kernels on the CPU, whether or not the
model itself lies on the meta device. Weights and buffers are never folded here: their values may
be absent, and a graph must not depend on that.

A literal beyond `EAGER_ELEMENTS` that an elementwise op yields is held as that op over its smaller
operands, and read in blocks of rows: the causal mask of 131,072 tokens is never held whole.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from typing import Any

import torch

#: Up to this many elements a literal is evaluated at once: 16 MiB of booleans (assumption).
EAGER_ELEMENTS = 1 << 24


@dataclass(frozen=True, eq=False)
class Literal:
    """A tensor known while tracing.

    Attributes
    ----------
    shape, dtype : of the tensor.
    compute : the torch function that yields it from `args` and `kwargs`, which may hold literals.
    """

    shape: tuple[int, ...]
    dtype: torch.dtype
    compute: Callable[..., Any] = field(repr=False)
    args: tuple[Any, ...] = field(default=(), repr=False)
    kwargs: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, tensor: torch.Tensor) -> Literal:
        """A literal holding a real tensor."""
        return cls(tuple(tensor.shape), tensor.dtype, lambda: tensor)

    @property
    def elements(self) -> int:
        """Number of elements."""
        return prod(self.shape)

    @cached_property
    def tensor(self) -> torch.Tensor:
        """The whole tensor."""
        with torch.no_grad():
            return self.compute(*map(_whole, self.args), **{k: _whole(v) for k, v in self.kwargs.items()})

    def rows(self, start: int, stop: int) -> torch.Tensor:
        """Rows `start` to `stop` of the last axis but one; a row axis of extent 1 is kept whole."""
        if self.elements <= EAGER_ELEMENTS or not self.args:
            one_row = len(self.shape) < 2 or self.shape[-2] == 1
            return self.tensor if one_row else self.tensor[..., start:stop, :]
        args = [a.rows(start, stop) if isinstance(a, Literal) else a for a in self.args]
        with torch.no_grad():
            return self.compute(*args, **self.kwargs)

    @cached_property
    def uniform(self) -> bool | int | float | None:
        """The one value of every element, or None where they differ (or are too many to look at)."""
        if self.elements > EAGER_ELEMENTS and self.args:
            return None
        held = self.tensor
        if held.numel() == 0 or held.is_complex():
            return None
        seen = held[tuple(slice(0, 1) if step == 0 else slice(None) for step in held.stride())]
        first = seen.reshape(-1)[0]
        if bool((seen == first).all()):
            value: bool | int | float = first.item()
            return value
        return None


def filled(shape: Sequence[int], value: Any, dtype: torch.dtype) -> Literal:
    """A literal of one value everywhere; it takes the memory of one element."""
    return Literal.of(torch.tensor(value, dtype=dtype).expand(tuple(shape)))


def evaluate(op: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """The result of a torch operator over literals: one Literal, or a list of them and of numbers."""
    arguments = {k: v for k, v in kwargs.items() if k not in ("device", "pin_memory", "layout")}
    if any(argument.name == "device" and argument.kwarg_only for argument in op._schema.arguments):
        arguments["device"] = torch.device("cpu")
    if args and isinstance(args[0], Literal) and args[0].elements > EAGER_ELEMENTS:
        held = _held_back(str(op), op, args, arguments)
        if held is not None:
            return held
    shape = _pointwise_shape(op, args)
    if shape is not None and prod(shape) > EAGER_ELEMENTS:
        samples = [torch.empty((), dtype=a.dtype) if isinstance(a, Literal) else a for a in args]
        dtype = op(*samples, **arguments).dtype
        return Literal(shape, dtype, op, args, arguments)
    with torch.no_grad():
        result = op(*map(_whole, args), **{k: _whole(v) for k, v in arguments.items()})
    if isinstance(result, torch.Tensor):
        return Literal.of(result)
    if isinstance(result, (tuple, list)):
        return [Literal.of(r) if isinstance(r, torch.Tensor) else r for r in result]
    return result


#: Operators that take a tensor row by row as they take it whole.
_BY_ROW = ("aten.to", "aten._to_copy", "aten.clone", "aten.contiguous", "aten.alias", "aten.detach")


def _held_back(name: str, op: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Literal | None:
    """A copy, cast or broadcast of a large literal, held as that; None for any other operator."""
    source = args[0]
    packet = name.rpartition(".")[0]
    if packet in _BY_ROW:
        dtype = op(torch.empty((0,), dtype=source.dtype), *args[1:], **kwargs).dtype
        return Literal(source.shape, dtype, op, args, kwargs)
    if packet != "aten.expand" or len(args[1]) < 2:
        return None
    lead = len(args[1]) - len(source.shape)
    shape = tuple(source.shape[i - lead] if e == -1 else e for i, e in enumerate(args[1]))
    if source.shape[-2:] != shape[-2:]:
        return None
    return Literal(shape, source.dtype, lambda x: x.expand(*shape[:-2], *x.shape[-2:]), (source,))


def _pointwise_shape(op: Any, args: tuple[Any, ...]) -> tuple[int, ...] | None:
    """The broadcast shape of an elementwise op over plain operands, or None for any other op."""
    plain = all(isinstance(a, (Literal, bool, int, float)) for a in args)
    if torch.Tag.pointwise not in op.tags or not plain:
        return None
    return tuple(torch.broadcast_shapes(*(a.shape for a in args if isinstance(a, Literal))))


def _whole(argument: Any) -> Any:
    if isinstance(argument, Literal):
        return argument.tensor
    if isinstance(argument, (list, tuple)):
        return type(argument)(_whole(a) for a in argument)
    return torch.device("cpu") if isinstance(argument, torch.device) else argument
