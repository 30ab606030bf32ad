"""Reductions over axes, most of them from one table. Axes None means all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any, Literal

import numpy as np

from siliform.graph_ir.formats import Format, format_named
from siliform.graph_ir.graph import Builder, Value
from siliform.graph_ir.ops.binary import mul, sub
from siliform.graph_ir.ops.common import axes_of, axis_of, float_of, narrow, plain, real, wide
from siliform.graph_ir.ops.creation import scalar
from siliform.graph_ir.ops.unary import abs as absolute
from siliform.graph_ir.ops.unary import exp, log, sqrt, square
from siliform.graph_ir.opspec import OpSpec
from siliform.graph_ir.space import Access, Space
from siliform.graph_ir.types import TensorType

Axes = Sequence[int] | int | None

#: What a reduction makes of its operand's format. "sum" keeps floats and widens integers to int64.
Result = Literal["sum", "same", "float", "bool"]


def _result_format(format: Format, result: Result) -> Format:
    if result == "bool":
        return format_named("bool")
    if result == "float":
        return float_of(format)
    known = plain(format)
    return known if result == "same" or known.kind == "float" else format_named("int64")


def reduced(x: TensorType, axes: Axes, keepdims: bool) -> tuple[int, ...]:
    """The shape that reducing `axes` leaves."""
    chosen = axes_of(axes, x.rank)
    if keepdims:
        return tuple(1 if i in chosen else extent for i, extent in enumerate(x.shape))
    return tuple(extent for i, extent in enumerate(x.shape) if i not in chosen)


def folded(x: TensorType, axes: Axes, body: Mapping[str, int], rows: int = 0) -> Space:
    """`body` once per element, folded onto the result; `rows` further operands are indexed as it is."""
    chosen = axes_of(axes, x.rank)
    dims = [(f"r{i}" if i in chosen else f"o{i}",) for i in range(x.rank)]
    kept = Access(tuple(dim for i, dim in enumerate(dims) if i not in chosen))
    extents = {dim: extent for (dim,), extent in zip(dims, x.shape, strict=True)}
    return Space(extents, (Access(tuple(dims)), *[kept] * rows), (kept,), dict(body))


def _count(x: TensorType, axes: Axes) -> int:
    return prod(x.shape[axis] for axis in axes_of(axes, x.rank))


def _refuse_empty(name: str, x: TensorType, axes: Axes) -> None:
    if not _count(x, axes):
        raise ValueError(f"{name} over {_count(x, axes)} elements of {x.shape}")


def _reduction(
    name: str,
    function: Callable[..., Any],
    body: Mapping[str, int],
    result: Result,
    *,
    after: Mapping[str, int] | None = None,
    of_nothing: bool = True,
    expansion: Callable[..., Any] | None = None,
) -> OpSpec:
    """`function` over axes: `body` per element, `after` per result; not `of_nothing` refuses no elements."""

    def reference(x: np.ndarray, *, axes: Axes = None, keepdims: bool = False) -> np.ndarray:
        known = real(x)
        chosen = axes_of(axes, known.ndim)
        if result == "bool":
            return np.asarray(function(known.astype(bool), axis=chosen, keepdims=keepdims))
        if result == "same":
            return np.asarray(function(known, axis=chosen, keepdims=keepdims))
        exact = known.dtype.kind in "iub" and result == "sum"
        made = function(known.astype(np.int64 if exact else np.float64), axis=chosen, keepdims=keepdims)
        return np.asarray(made) if exact else narrow(made, known)

    def shape(x: TensorType, *, axes: Axes = None, keepdims: bool = False) -> TensorType:
        if not of_nothing:
            _refuse_empty(name, x, axes)
        return TensorType(reduced(x, axes, keepdims), _result_format(x.format, result))

    def spaces(x: TensorType, *, axes: Axes = None, keepdims: bool = False) -> list[Space]:
        made = [folded(x, axes, body)]
        rows = prod(reduced(x, axes, False))
        return [*made, Space.elementwise((rows,), after)] if after else made

    reference.__name__, reference.__doc__ = name, f"{name} over `axes`, which `keepdims` leaves as ones."
    return OpSpec(name, "reduction", reference, shape, spaces, expansion, source=f"numpy.{name[7:]}")


def _mean_expansion(b: Builder, x: Value, *, axes: Axes = None, keepdims: bool = False) -> Any:
    total = b(reduce_sum, x, axes=axes, keepdims=keepdims)
    return b(mul, total, scalar(b, 1 / _count(x.type, axes), x))


reduce_sum = _reduction("reduce_sum", np.sum, {"add": 1}, "sum")
reduce_prod = _reduction("reduce_prod", np.prod, {"mul": 1}, "sum")
reduce_max = _reduction("reduce_max", np.max, {"compare": 1}, "same", of_nothing=False)
reduce_min = _reduction("reduce_min", np.min, {"compare": 1}, "same", of_nothing=False)
reduce_any = _reduction("reduce_any", np.any, {"logic": 1}, "bool")
reduce_all = _reduction("reduce_all", np.all, {"logic": 1}, "bool")
reduce_mean = _reduction(
    "reduce_mean", np.mean, {"add": 1}, "float", after={"mul": 1}, of_nothing=False, expansion=_mean_expansion
)


def _var(x: np.ndarray, *, axes: Axes = None, keepdims: bool = False, correction: int = 1) -> np.ndarray:
    """Variance over `axes`, divided by their count less `correction`, in two passes."""
    known = real(x)
    made = np.var(wide(known), axis=axes_of(axes, known.ndim), keepdims=keepdims, ddof=correction)
    return narrow(made, known)


def _var_shape(
    x: TensorType, *, axes: Axes = None, keepdims: bool = False, correction: int = 1
) -> TensorType:
    if _count(x, axes) <= correction:
        raise ValueError(
            f"variance over {_count(x, axes)} elements of {x.shape} with correction {correction}"
        )
    return TensorType(reduced(x, axes, keepdims), float_of(x.format))


def _var_spaces(
    x: TensorType, *, axes: Axes = None, keepdims: bool = False, correction: int = 1
) -> list[Space]:
    rows = (prod(reduced(x, axes, False)),)
    mean = [folded(x, axes, {"add": 1}), Space.elementwise(rows, {"mul": 1})]
    return [*mean, folded(x, axes, {"add": 2, "mul": 1}, rows=1), Space.elementwise(rows, {"mul": 1})]


def _var_expansion(
    b: Builder, x: Value, *, axes: Axes = None, keepdims: bool = False, correction: int = 1
) -> Any:
    centred = b(sub, x, b(reduce_mean, x, axes=axes, keepdims=True))
    total = b(reduce_sum, b(square, centred), axes=axes, keepdims=keepdims)
    return b(mul, total, scalar(b, 1 / (_count(x.type, axes) - correction), x))


reduce_var = OpSpec(
    "reduce_var", "reduction", _var, _var_shape, _var_spaces, _var_expansion, source="torch.var"
)


def _norm(x: np.ndarray, *, axes: Axes = None, keepdims: bool = False, order: float = 2.0) -> np.ndarray:
    """(sum |x|^order)^(1/order) for order 1 or 2, the largest |x| for order infinity."""
    magnitudes, chosen = np.abs(wide(x)), axes_of(axes, np.ndim(x))
    if order == float("inf"):
        return narrow(np.max(magnitudes, axis=chosen, keepdims=keepdims), x)
    total = np.sum(magnitudes if order == 1 else np.square(magnitudes), axis=chosen, keepdims=keepdims)
    return narrow(total if order == 1 else np.sqrt(total), x)


def _norm_shape(
    x: TensorType, *, axes: Axes = None, keepdims: bool = False, order: float = 2.0
) -> TensorType:
    if order not in (1, 2, float("inf")):
        raise ValueError(f"a norm of order {order}; the orders are 1, 2 and inf")
    return TensorType(reduced(x, axes, keepdims), float_of(x.format))


def _norm_spaces(
    x: TensorType, *, axes: Axes = None, keepdims: bool = False, order: float = 2.0
) -> list[Space]:
    if order != 2:
        return [folded(x, axes, {"compare": 1, "add": 1} if order == 1 else {"compare": 2})]
    rows = prod(reduced(x, axes, False))
    return [folded(x, axes, {"mul": 1, "add": 1}), Space.elementwise((rows,), {"rsqrt": 1})]


def _norm_expansion(
    b: Builder, x: Value, *, axes: Axes = None, keepdims: bool = False, order: float = 2.0
) -> Any:
    if order == 2:
        return b(sqrt, b(reduce_sum, b(square, x), axes=axes, keepdims=keepdims))
    return b(reduce_sum if order == 1 else reduce_max, b(absolute, x), axes=axes, keepdims=keepdims)


norm = OpSpec(
    "norm", "reduction", _norm, _norm_shape, _norm_spaces, _norm_expansion, source="torch.linalg.vector_norm"
)


def _logsumexp(x: np.ndarray, *, axes: Axes = None, keepdims: bool = False) -> np.ndarray:
    """log(sum(exp(x))) over `axes`, shifted by the largest so that nothing overflows."""
    known, chosen = wide(x), axes_of(axes, np.ndim(x))
    top = np.max(known, axis=chosen, keepdims=True)
    top = np.where(np.isfinite(top), top, 0)
    with np.errstate(divide="ignore"):
        made = np.log(np.sum(np.exp(known - top), axis=chosen, keepdims=True)) + top
    return narrow(made if keepdims else np.squeeze(made, axis=chosen), x)


def _logsumexp_shape(x: TensorType, *, axes: Axes = None, keepdims: bool = False) -> TensorType:
    _refuse_empty("logsumexp", x, axes)
    return TensorType(reduced(x, axes, keepdims), float_of(x.format))


def _logsumexp_spaces(x: TensorType, *, axes: Axes = None, keepdims: bool = False) -> list[Space]:
    rows = prod(reduced(x, axes, False))
    return [
        folded(x, axes, {"compare": 1}),
        folded(x, axes, {"add": 2, "exp": 1}, rows=1),
        Space.elementwise((rows,), {"log": 1, "add": 1}, operands=2),
    ]


def _logsumexp_expansion(b: Builder, x: Value, *, axes: Axes = None, keepdims: bool = False) -> Any:
    from siliform.graph_ir.ops.binary import add
    from siliform.graph_ir.ops.views import reshape

    top = b(reduce_max, x, axes=axes, keepdims=True)
    total = b(reduce_sum, b(exp, b(sub, x, top)), axes=axes, keepdims=True)
    made = b(add, b(log, total), top)
    return made if keepdims else b(reshape, made, shape=reduced(x.type, axes, False))


logsumexp = OpSpec(
    "logsumexp",
    "reduction",
    _logsumexp,
    _logsumexp_shape,
    _logsumexp_spaces,
    _logsumexp_expansion,
    source="torch.logsumexp",
)


def _arg(name: str, function: Callable[..., Any]) -> OpSpec:
    def reference(x: np.ndarray, *, axis: int | None = None, keepdims: bool = False) -> np.ndarray:
        known = real(x)
        if axis is None:
            found = function(known.reshape(-1), axis=0)
            return np.asarray(found).reshape([1] * known.ndim if keepdims else [])
        return np.asarray(function(known, axis=axis, keepdims=keepdims))

    def shape(x: TensorType, *, axis: int | None = None, keepdims: bool = False) -> TensorType:
        _refuse_empty(name, x, None if axis is None else axis_of(axis, x.rank))
        return TensorType(reduced(x, axis, keepdims), format_named("int64"))

    def spaces(x: TensorType, *, axis: int | None = None, keepdims: bool = False) -> list[Space]:
        return [folded(x, axis, {"compare": 1})]

    reference.__name__, reference.__doc__ = name, f"{name} along `axis`, or of all elements; the first wins."
    return OpSpec(name, "reduction", reference, shape, spaces, source=f"numpy.{name}")


argmax = _arg("argmax", np.argmax)
argmin = _arg("argmin", np.argmin)
