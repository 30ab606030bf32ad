"""Products of matrices: linear, matmul and its many spellings, einsum, grouped products."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from types import MappingProxyType
from typing import Any

from siliform.models.tracing.lowerer import Lowerer, Rule
from siliform.models.tracing.lowering.einsum import einsum
from siliform.models.tracing.lowering.movement import permute, reshape


def _linear(c: Lowerer, x: Any, weight: Any, bias: Any = None) -> Any:
    if len(c.shape(weight)) == 1:
        weight = reshape(c, weight, (1, c.shape(weight)[0]))
        product = c.apply("linear", x, weight, None if bias is None else reshape(c, bias, (1,)))
        return reshape(c, product, c.out.shape)
    return c.apply("linear", x, weight, bias)


def _matmul(c: Lowerer, a: Any, b: Any) -> Any:
    """Vectors become matrices of one row or one column."""
    if len(c.shape(a)) == 1:
        a = reshape(c, a, (1, *c.shape(a)))
    if len(c.shape(b)) == 1:
        b = reshape(c, b, (*c.shape(b), 1))
    return reshape(c, c.apply("matmul", a, b), c.out.shape)


def _weighted(c: Lowerer, x: Any, factor: float) -> Any:
    return x if factor == 1 else c.apply("mul", x, factor)


def _addmm(c: Lowerer, bias: Any, a: Any, b: Any, *, beta: float = 1, alpha: float = 1) -> Any:
    """``beta * bias + alpha * a @ b``; a transposed weight with a bias vector is a `linear`."""
    if beta == alpha == 1 and len(c.shape(bias)) == 1 and len(c.shape(b)) == 2 and len(c.shape(a)) == 2:
        return c.apply("linear", a, permute(c, b, (1, 0)), bias)
    product = _weighted(c, c.apply("matmul", a, b), alpha)
    return product if beta == 0 else c.apply("add", product, _weighted(c, bias, beta))


def _addmv(c: Lowerer, bias: Any, a: Any, b: Any, *, beta: float = 1, alpha: float = 1) -> Any:
    product = _weighted(c, _matmul(c, a, b), alpha)
    return product if beta == 0 else c.apply("add", product, _weighted(c, bias, beta))


def _addbmm(c: Lowerer, bias: Any, a: Any, b: Any, *, beta: float = 1, alpha: float = 1) -> Any:
    product = c.apply("reduce_sum", c.apply("matmul", a, b), axes=(0,), keepdims=False)
    product = _weighted(c, product, alpha)
    return product if beta == 0 else c.apply("add", product, _weighted(c, bias, beta))


def _outer(c: Lowerer, a: Any, b: Any) -> Any:
    return c.apply("mul", reshape(c, a, (*c.shape(a), 1)), reshape(c, b, (1, *c.shape(b))))


def _bilinear(c: Lowerer, x: Any, y: Any, weight: Any, bias: Any = None) -> Any:
    """``x W y`` for each result: x times all of W, then the rows against y."""
    outputs, k, n = c.shape(weight)
    lead = c.shape(x)[:-1]
    rows = prod(lead)
    spread = reshape(c, permute(c, weight, (1, 0, 2)), (k, outputs * n))
    half = reshape(c, c.apply("matmul", reshape(c, x, (rows, k)), spread), (rows, outputs, n))
    product = reshape(c, c.apply("matmul", half, reshape(c, y, (rows, n, 1))), (*lead, outputs))
    return product if bias is None else c.apply("add", product, bias)


def _tensordot(c: Lowerer, a: Any, b: Any, dims_a: Sequence[int], dims_b: Sequence[int]) -> Any:
    letters = "abcdefghijklmnopqrstuvwxyz"
    left = list(letters[: len(c.shape(a))])
    right = list(letters[len(left) : len(left) + len(c.shape(b))])
    for i, j in zip(dims_a, dims_b, strict=True):
        right[j] = left[i]
    summed = {left[i] for i in dims_a}
    kept = [letter for letter in left + right if letter not in summed]
    return einsum(c, f"{''.join(left)},{''.join(right)}->{''.join(kept)}", [a, b])


def _einsum(c: Lowerer, equation: str, operands: Sequence[Any], **options: Any) -> Any:
    return einsum(c, equation, operands)


def _grouped(c: Lowerer, x: Any, weight: Any, offs: Any = None, bias: Any = None, **options: Any) -> Any:
    """Rows sorted by expert, each group against its own matrix; `offs` holds the ends of the groups."""
    if len(c.shape(x)) != 2 or len(c.shape(weight)) != 3 or offs is None or bias is not None:
        raise c.refusal(f"operands of shape {c.shape(x)} and {c.shape(weight)}")
    return c.apply("grouped_matmul", x, permute(c, weight, (0, 2, 1)), offs, routing="offsets")


RULES: Mapping[str, Rule] = MappingProxyType(
    {f"aten.{name}": _matmul for name in ("matmul", "mm", "bmm", "mv", "dot", "vdot")}
    | {
        "aten.linear": _linear,
        "aten.addmm": _addmm,
        "aten.baddbmm": _addmm,
        "aten.addmv": _addmv,
        "aten.addbmm": _addbmm,
        "aten.outer": _outer,
        "aten.ger": _outer,
        "aten.bilinear": _bilinear,
        "aten.tensordot": _tensordot,
        "aten.einsum": _einsum,
        "aten._grouped_mm": _grouped,
        "transformers.grouped_mm_fallback": _grouped,
    }
)
