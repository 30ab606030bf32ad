"""top_k, sort and argsort along one axis. Of equal elements, the one with the lowest index comes first.

Counted as merge sort counts comparisons: n ceil(log2 n) for a row of n, and n ceil(log2 (k + 1)) where
each element finds its place among the k best so far.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from siliform.graph_ir.formats import format_named
from siliform.graph_ir.graph import Builder, Value
from siliform.graph_ir.ops.common import axis_of, plain, real
from siliform.graph_ir.ops.views import slice
from siliform.graph_ir.opspec import OpSpec
from siliform.graph_ir.space import Space
from siliform.graph_ir.types import TensorType


def _order(x: np.ndarray, axis: int, descending: bool) -> np.ndarray:
    """Indices that sort x along `axis`, equal elements in order; NaN counts as largest."""
    if not descending:
        return np.argsort(x, axis=axis, kind="stable")
    backwards = np.argsort(np.flip(x, axis), axis=axis, kind="stable")
    return np.asarray(x.shape[axis] - 1 - np.flip(backwards, axis))


def _top_k(x: np.ndarray, *, k: int, axis: int = -1, largest: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """The k largest (or smallest) elements along `axis`, best first, and their indices."""
    known = real(x)
    chosen = np.take(_order(known, axis, largest), np.arange(k), axis=axis)
    return np.take_along_axis(known, chosen, axis), chosen


def _top_k_shape(
    x: TensorType, *, k: int, axis: int = -1, largest: bool = True
) -> tuple[TensorType, TensorType]:
    place = axis_of(axis, x.rank)
    if not 0 <= k <= x.shape[place]:
        raise ValueError(f"the top {k} of {x.shape[place]} elements along axis {axis} of {x.shape}")
    values = TensorType((*x.shape[:place], k, *x.shape[place + 1 :]), plain(x.format))
    return values, values.with_format(format_named("int64"))


def _rows(x: TensorType, axis: int) -> tuple[int, int]:
    length = x.shape[axis_of(axis, x.rank)]
    return (x.elements // length if length else 0), length


def _top_k_spaces(x: TensorType, *, k: int, axis: int = -1, largest: bool = True) -> list[Space]:
    r, i = _rows(x, axis)
    # (k).bit_length() is ceil(log2(k + 1)).
    compared = Space.over("r i -> ", {"compare": 1}, r=r, i=i, depth=k.bit_length())
    return [compared, Space.over(" -> r k, r k", {}, r=r, k=k)]


def _top_k_expansion(b: Builder, x: Value, *, k: int, axis: int = -1, largest: bool = True) -> Any:
    values, indices = b(sort, x, axis=axis, descending=largest)
    return tuple(b(slice, found, axis=axis, start=0, end=k) for found in (values, indices))


top_k = OpSpec(
    "top_k", "selection", _top_k, _top_k_shape, _top_k_spaces, _top_k_expansion, source="torch.topk"
)


def _sort(x: np.ndarray, *, axis: int = -1, descending: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """x in order along `axis`, and the indices that put it so."""
    known = real(x)
    order = _order(known, axis, descending)
    return np.take_along_axis(known, order, axis), order


def _sort_shape(x: TensorType, *, axis: int = -1, descending: bool = False) -> tuple[TensorType, TensorType]:
    axis_of(axis, x.rank)
    return x.with_format(plain(x.format)), x.with_format("int64")


def _sort_spaces(x: TensorType, *, axis: int = -1, descending: bool = False) -> list[Space]:
    r, i = _rows(x, axis)
    # (i - 1).bit_length() is ceil(log2(i)).
    return [Space.over("r i -> r i, r i", {"compare": 1}, r=r, i=i, depth=max(i - 1, 0).bit_length())]


sort = OpSpec("sort", "selection", _sort, _sort_shape, _sort_spaces, source="torch.sort, stable")


def _argsort(x: np.ndarray, *, axis: int = -1, descending: bool = False) -> np.ndarray:
    """The indices that put x in order along `axis`."""
    return _order(real(x), axis, descending)


def _argsort_shape(x: TensorType, *, axis: int = -1, descending: bool = False) -> TensorType:
    return _sort_shape(x, axis=axis, descending=descending)[1]


def _argsort_spaces(x: TensorType, *, axis: int = -1, descending: bool = False) -> list[Space]:
    r, i = _rows(x, axis)
    return [Space.over("r i -> r i", {"compare": 1}, r=r, i=i, depth=max(i - 1, 0).bit_length())]


def _argsort_expansion(b: Builder, x: Value, *, axis: int = -1, descending: bool = False) -> Any:
    return b(sort, x, axis=axis, descending=descending)[1]


argsort = OpSpec(
    "argsort",
    "selection",
    _argsort,
    _argsort_shape,
    _argsort_spaces,
    _argsort_expansion,
    source="torch.argsort, stable",
)
