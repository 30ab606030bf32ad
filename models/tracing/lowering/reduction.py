"""Reductions, softmax, and what statistics are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf, prod
from types import MappingProxyType
from typing import Any

import torch

from siliform.models.tracing.literals import Literal
from siliform.models.tracing.lowerer import Complex, Lowerer, Rule
from siliform.models.tracing.lowering.movement import concat, cut, expand, reshape

Dims = int | Sequence[int] | None


def axes_of(c: Lowerer, x: Any, dim: Dims) -> tuple[int, ...]:
    """The reduced axes, counted from the front; torch's None and [] mean all of them."""
    rank = len(c.shape(x))
    if dim is None or dim == [] or dim == ():
        return tuple(range(rank))
    return tuple(sorted(d % rank for d in ([dim] if isinstance(dim, int) else dim))) if rank else ()


def _reduce(op: str) -> Rule:
    def rule(c: Lowerer, x: Any, dim: Dims = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
        if isinstance(x, Complex):
            return Complex(rule(c, x.real, dim, keepdim), rule(c, x.imaginary, dim, keepdim))
        if dtype is not None and op != "reduce_any":
            x = c.cast(x, dtype)
        axes = axes_of(c, x, dim)
        return c.apply(op, x, axes=axes, keepdims=keepdim) if axes else x

    return rule


def _extreme(op: str, arg: str) -> Rule:
    """max or min: of everything, or along one axis with its position."""

    def rule(c: Lowerer, x: Any, dim: int | None = None, keepdim: bool = False) -> Any:
        if dim is None:
            return c.apply(op, x, axes=axes_of(c, x, None), keepdims=False)
        axes = axes_of(c, x, dim)
        values = c.apply(op, x, axes=axes, keepdims=keepdim)
        if not position_used(c):
            return [values, None]
        return [values, c.apply(arg, x, axis=axes[0], keepdims=keepdim)]

    return rule


def position_used(c: Lowerer) -> bool:
    """Whether anybody reads the second of two results."""
    return any(len(user.args) > 1 and user.args[1] == 1 and user.users for user in c.node.users)


def _arg(op: str) -> Rule:
    def rule(c: Lowerer, x: Any, dim: int | None = None, keepdim: bool = False) -> Any:
        axis = None if dim is None else dim % len(c.shape(x))
        return c.apply(op, x, axis=axis, keepdims=keepdim)

    return rule


def _variance(
    c: Lowerer,
    x: Any,
    dim: Any = None,
    unbiased: Any = None,
    keepdim: bool = False,
    *,
    correction: Any = None,
) -> Any:
    """torch spells the correction in three ways: var(x, unbiased), var(x, dim, unbiased), correction=."""
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    if correction is None:
        correction = 1 if unbiased is None else int(unbiased)
    return c.apply("reduce_var", x, axes=axes_of(c, x, dim), keepdims=keepdim, correction=int(correction))


def _deviation(c: Lowerer, x: Any, *args: Any, **options: Any) -> Any:
    return c.apply("sqrt", _variance(c, x, *args, **options))


def _variance_and_mean(c: Lowerer, x: Any, dim: Any = None, *args: Any, **options: Any) -> Any:
    keepdim = options.get("keepdim", args[1] if len(args) > 1 else False)
    over = None if isinstance(dim, bool) else dim
    mean = c.apply("reduce_mean", x, axes=axes_of(c, x, over), keepdims=keepdim)
    return [_variance(c, x, dim, *args, **options), mean]


def _deviation_and_mean(c: Lowerer, x: Any, *args: Any, **options: Any) -> Any:
    variance, mean = _variance_and_mean(c, x, *args, **options)
    return [c.apply("sqrt", variance), mean]


def _norm(
    c: Lowerer, x: Any, p: Any = 2, dim: Dims = None, keepdim: bool = False, *, dtype: Any = None
) -> Any:
    order = 2.0 if p is None else float(p)
    axes = axes_of(c, x, dim)
    if order in (1.0, 2.0, inf):
        return c.apply("norm", x, axes=axes, keepdims=keepdim, order=order)
    powers = c.apply("pow", c.apply("abs", x), order)
    return c.apply("pow", c.apply("reduce_sum", powers, axes=axes, keepdims=keepdim), 1.0 / order)


def _softmax(op: str) -> Rule:
    def rule(c: Lowerer, x: Any, dim: int = -1, dtype: Any = None) -> Any:
        wide = x if not isinstance(dtype, torch.dtype) else c.cast(x, dtype)
        return c.apply(op, wide, axis=dim % max(len(c.shape(x)), 1))

    return rule


def _logsumexp(c: Lowerer, x: Any, dim: Dims, keepdim: bool = False) -> Any:
    return c.apply("logsumexp", x, axes=axes_of(c, x, dim), keepdims=keepdim)


def _cumulative(op: str) -> Rule:
    def rule(c: Lowerer, x: Any, dim: int = 0, *, dtype: Any = None) -> Any:
        return c.apply(op, c.cast(x, c.out.dtype), axis=dim % len(c.shape(x)))

    return rule


def _running(op: str) -> Rule:
    """cummax and cummin: each doubling of the reach compares with what lies that far behind."""

    def rule(c: Lowerer, x: Any, dim: int) -> Any:
        if position_used(c):
            raise c.refusal("its positions used", "use the values alone")
        axis, reach = dim % len(c.shape(x)), 1
        extent = c.shape(x)[axis]
        while reach < extent:
            # In front stands the first row, which every later one includes anyway.
            shape = tuple(reach if i == axis else n for i, n in enumerate(c.shape(x)))
            front = expand(c, cut(c, x, axis, 0, 1), shape)
            x = c.apply(op, x, concat(c, [front, cut(c, x, axis, 0, extent - reach)], axis))
            reach *= 2
        return [x, None]

    return rule


def _diff(c: Lowerer, x: Any, n: int = 1, dim: int = -1, prepend: Any = None, append: Any = None) -> Any:
    parts = [p for p in (prepend, x, append) if p is not None]
    whole = concat(c, parts, dim) if len(parts) > 1 else x
    for _ in range(n):
        extent = c.shape(whole)[dim]
        whole = c.apply("sub", cut(c, whole, dim, 1, extent), cut(c, whole, dim, 0, extent - 1))
    return whole


def _histogram(c: Lowerer, x: Any, bins: int = 100, low: float = 0, high: float = 0) -> Any:
    """Counts by comparison with every bin: one comparison and one addition per element and bin."""
    if low == high:
        raise c.refusal("bounds that the data decide", "give torch.histc its min and max")
    width = (high - low) / bins
    flat = reshape(c, x, (prod(c.shape(x)), 1))
    place = c.apply("floor", c.apply("div", c.apply("sub", flat, float(low)), width))
    place = c.apply("minimum", place, float(bins - 1))
    hits = c.cast(c.apply("eq", place, Literal.of(torch.arange(bins).float())), c.out.dtype)
    return c.apply("reduce_sum", hits, axes=(0,), keepdims=False)


def _bincount(c: Lowerer, x: Any, weights: Any = None, minlength: int = 0) -> Any:
    raise c.refusal("as many counts as the data decide", "use torch.histc with a fixed number of bins")


def _cross(c: Lowerer, a: Any, b: Any, dim: int = -1) -> Any:
    def axis(x: Any, i: int) -> Any:
        return cut(c, x, dim, i, i + 1)

    a, b = expand(c, a, c.out.shape), expand(c, b, c.out.shape)
    parts = []
    for i, j in ((1, 2), (2, 0), (0, 1)):
        parts.append(
            c.apply("sub", c.apply("mul", axis(a, i), axis(b, j)), c.apply("mul", axis(a, j), axis(b, i)))
        )
    return concat(c, parts, dim)


def _cosine_similarity(c: Lowerer, a: Any, b: Any, dim: int = 1, eps: float = 1e-8) -> Any:
    a, b = _broadcast(c, a, b)
    axes = axes_of(c, a, dim)

    def length(x: Any) -> Any:
        return c.apply("maximum", c.apply("norm", x, axes=axes, keepdims=False, order=2.0), float(eps))

    product = c.apply("reduce_sum", c.apply("mul", a, b), axes=axes, keepdims=False)
    return c.apply("div", product, c.apply("mul", length(a), length(b)))


def _broadcast(c: Lowerer, a: Any, b: Any) -> tuple[Any, Any]:
    shape = tuple(torch.broadcast_shapes(c.shape(a), c.shape(b)))
    return expand(c, a, shape), expand(c, b, shape)


def _distances(c: Lowerer, a: Any, b: Any, p: float = 2.0, compute_mode: Any = None) -> Any:
    """All pairs, Euclidean: |a|^2 - 2 a·b + |b|^2, as torch does for many points."""
    if p != 2.0:
        raise c.refusal(f"p={p}")
    rank = len(c.shape(a))
    turned = c.apply("permute", b, axes=(*range(rank - 2), rank - 1, rank - 2))
    product = c.apply("mul", c.apply("matmul", a, turned), -2.0)
    left = c.apply("reduce_sum", c.apply("square", a), axes=(rank - 1,), keepdims=True)
    right = c.apply("reduce_sum", c.apply("square", turned), axes=(rank - 2,), keepdims=True)
    return c.apply("sqrt", c.apply("maximum", c.apply("add", c.apply("add", product, left), right), 0.0))


RULES: Mapping[str, Rule] = MappingProxyType(
    {
        "aten.sum": _reduce("reduce_sum"),
        "aten.mean": _reduce("reduce_mean"),
        "aten.prod": _reduce("reduce_prod"),
        "aten.amax": _reduce("reduce_max"),
        "aten.amin": _reduce("reduce_min"),
        "aten.any": _reduce("reduce_any"),
        "aten.all": _reduce("reduce_all"),
        "aten.max": _extreme("reduce_max", "argmax"),
        "aten.min": _extreme("reduce_min", "argmin"),
        "aten.argmax": _arg("argmax"),
        "aten.argmin": _arg("argmin"),
        "aten.var": _variance,
        "aten.std": _deviation,
        "aten.var_mean": _variance_and_mean,
        "aten.std_mean": _deviation_and_mean,
        "aten.norm": _norm,
        "aten.linalg_vector_norm": lambda c, x, ord=2, dim=None, keepdim=False, *, dtype=None: _norm(
            c, x, ord, dim, keepdim
        ),
        "aten.softmax": _softmax("softmax"),
        "aten._softmax": _softmax("softmax"),
        "aten._safe_softmax": _softmax("softmax"),
        "aten.log_softmax": _softmax("log_softmax"),
        "aten._log_softmax": _softmax("log_softmax"),
        "aten.logsumexp": _logsumexp,
        "aten.cumsum": _cumulative("cumsum"),
        "aten.cumprod": _cumulative("cumprod"),
        "aten.diff": _diff,
        "aten.cummax": _running("maximum"),
        "aten.cummin": _running("minimum"),
        "aten.histc": _histogram,
        "aten.bincount": _bincount,
        "aten.cross": _cross,
        "aten.linalg_cross": lambda c, a, b, *, dim=-1: _cross(c, a, b, dim),
        "aten.cosine_similarity": _cosine_similarity,
        "aten.cdist": _distances,
        "aten._cdist_forward": _distances,
    }
)
