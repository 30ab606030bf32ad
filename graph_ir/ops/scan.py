"""Scans along one axis: cumulative sums and products, and the linear recurrence h = a h + b."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from siliform.graph_ir.formats import format_named
from siliform.graph_ir.ops.common import axis_of, float_of, narrow, plain, promoted, real, wide
from siliform.graph_ir.opspec import OpSpec
from siliform.graph_ir.space import Space
from siliform.graph_ir.types import TensorType
from siliform.graph_ir.variants import LINEAR_RECURRENCE


def _cumulative(name: str, function: Callable[..., Any], body: Mapping[str, int]) -> OpSpec:
    def reference(x: np.ndarray, *, axis: int) -> np.ndarray:
        known = real(x)
        if known.dtype.kind == "f":
            return narrow(function(wide(known), axis=axis), known)
        return np.asarray(function(known.astype(np.int64), axis=axis))

    def shape(x: TensorType, *, axis: int) -> TensorType:
        axis_of(axis, x.rank)
        known = plain(x.format)
        return x.with_format(known if known.kind == "float" else format_named("int64"))

    def spaces(x: TensorType, *, axis: int) -> list[Space]:
        i = x.shape[axis_of(axis, x.rank)]
        return [Space.over("r i -> r i", body, r=x.elements // i if i else 0, i=i)]

    reference.__name__ = name
    reference.__doc__ = f"{name} along `axis`, the element itself included; integers widen to int64."
    return OpSpec(name, "scan", reference, shape, spaces, source=f"torch.{name}")


cumsum = _cumulative("cumsum", np.cumsum, {"add": 1})
cumprod = _cumulative("cumprod", np.cumprod, {"mul": 1})


def _linear_recurrence(
    a: np.ndarray, b: np.ndarray, initial: np.ndarray | None = None, *, axis: int
) -> np.ndarray:
    """a and b [..., L, ...] -> h with h[t] = a[t] h[t-1] + b[t] along `axis`; h[-1] is `initial` or 0."""
    decay, drive = (np.moveaxis(wide(o), axis, 0) for o in (a, b))
    state = np.zeros(drive.shape[1:]) if initial is None else wide(initial)
    made = np.empty_like(drive)
    for step in range(drive.shape[0]):
        state = decay[step] * state + drive[step]
        made[step] = state
    return narrow(np.moveaxis(made, 0, axis), b)


def _linear_recurrence_shape(
    a: TensorType, b: TensorType, initial: TensorType | None = None, *, axis: int
) -> TensorType:
    place = axis_of(axis, b.rank)
    if a.shape != b.shape:
        raise ValueError(f"a has shape {a.shape}, b {b.shape}; they are one")
    wanted = (*b.shape[:place], *b.shape[place + 1 :])
    if initial is not None and initial.shape != wanted:
        raise ValueError(f"the initial state has shape {initial.shape}, one step of b {wanted}")
    return TensorType(b.shape, float_of(promoted(a, b)))


def _linear_recurrence_spaces(
    a: TensorType, b: TensorType, initial: TensorType | None = None, *, axis: int
) -> list[Space]:
    i = b.shape[axis_of(axis, b.rank)]
    reads = "r i, r i" if initial is None else "r i, r i, r"
    return [Space.over(f"{reads} -> r i", {"mul": 1, "add": 1}, r=b.elements // i if i else 0, i=i)]


linear_recurrence = OpSpec(
    "linear_recurrence",
    "scan",
    _linear_recurrence,
    _linear_recurrence_shape,
    _linear_recurrence_spaces,
    variants=LINEAR_RECURRENCE,
    source="Blelloch, Prefix Sums and Their Applications, 1990, section 1.4",
)
