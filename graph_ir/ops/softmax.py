"""softmax and log_softmax along one axis.

Per row: the largest element by comparisons, one addition and one exponential per element, their sum,
one reciprocal per row and one product per element.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from siliform.graph_ir.graph import Builder, Value
from siliform.graph_ir.ops.binary import mul, sub
from siliform.graph_ir.ops.common import axis_of, float_of, narrow, wide
from siliform.graph_ir.ops.reductions import logsumexp, reduce_max, reduce_sum
from siliform.graph_ir.ops.unary import exp, reciprocal
from siliform.graph_ir.opspec import OpSpec
from siliform.graph_ir.space import Space
from siliform.graph_ir.types import TensorType
from siliform.graph_ir.variants import SOFTMAX


def shifted_exponentials(x: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """x less its largest along `axis`, the exponentials of that, and their sums; float64.

    A row of minus infinities gives exponentials and a sum of zero.
    """
    top = np.max(x, axis=axis, keepdims=True)
    below = x - np.where(np.isneginf(top), 0, top)
    grown = np.exp(below)
    return below, grown, np.sum(grown, axis=axis, keepdims=True)


def _softmax(x: np.ndarray, *, axis: int = -1) -> np.ndarray:
    """exp(x) / sum(exp(x)) along `axis`."""
    _, grown, total = shifted_exponentials(wide(x), axis)
    with np.errstate(invalid="ignore"):
        return narrow(grown / total, x)


def _log_softmax(x: np.ndarray, *, axis: int = -1) -> np.ndarray:
    """log(softmax(x)) along `axis`."""
    below, _, total = shifted_exponentials(wide(x), axis)
    with np.errstate(divide="ignore"):
        return narrow(below - np.log(total), x)


def _shape(x: TensorType, *, axis: int = -1) -> TensorType:
    if not x.shape[axis_of(axis, x.rank)]:
        raise ValueError(f"softmax over the 0 elements of axis {axis} of {x.shape}")
    return x.with_format(float_of(x.format))


def _rows(x: TensorType, axis: int) -> tuple[int, int]:
    length = x.shape[axis_of(axis, x.rank)]
    return x.elements // length, length


def _softmax_spaces(x: TensorType, *, axis: int = -1) -> list[Space]:
    r, i = _rows(x, axis)
    return [
        Space.over("r i -> r", {"compare": 1}, r=r, i=i),
        Space.over("r i, r -> r i", {"add": 1, "exp": 1}, r=r, i=i),
        Space.over("r i -> r", {"add": 1}, r=r, i=i),
        Space.over("r -> r", {"reciprocal": 1}, r=r),
        Space.over("r i, r -> r i", {"mul": 1}, r=r, i=i),
    ]


def _log_softmax_spaces(x: TensorType, *, axis: int = -1) -> list[Space]:
    r, i = _rows(x, axis)
    return [
        Space.over("r i -> r", {"compare": 1}, r=r, i=i),
        Space.over("r i, r -> r", {"add": 2, "exp": 1}, r=r, i=i),
        Space.over("r, r -> r", {"log": 1, "add": 1}, r=r),
        Space.over("r i, r -> r i", {"add": 1}, r=r, i=i),
    ]


def _softmax_expansion(b: Builder, x: Value, *, axis: int = -1) -> Any:
    grown = b(exp, b(sub, x, b(reduce_max, x, axes=(axis,), keepdims=True)))
    return b(mul, grown, b(reciprocal, b(reduce_sum, grown, axes=(axis,), keepdims=True)))


def _log_softmax_expansion(b: Builder, x: Value, *, axis: int = -1) -> Any:
    return b(sub, x, b(logsumexp, x, axes=(axis,), keepdims=True))


softmax = OpSpec(
    "softmax",
    "softmax",
    _softmax,
    _shape,
    _softmax_spaces,
    _softmax_expansion,
    variants=SOFTMAX,
    source="torch.nn.functional.softmax",
)

log_softmax = OpSpec(
    "log_softmax",
    "softmax",
    _log_softmax,
    _shape,
    _log_softmax_spaces,
    _log_softmax_expansion,
    source="torch.nn.functional.log_softmax",
)
