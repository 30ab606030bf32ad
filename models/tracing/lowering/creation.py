"""Tensors made from nothing but shapes; random ones; and what torch writes only to check."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from types import MappingProxyType
from typing import Any

from siliform.kernels.dtypes import FORMAT_OF
from siliform.models.tracing.literals import filled
from siliform.models.tracing.lowerer import FromData, Lowerer, Rule


def _filled(number: Any) -> Rule:
    """A `*_like` or `new_*` operator: only the shape of its operand matters."""
    return lambda c, x, *ignored, **options: filled(c.out.shape, number, c.out.dtype)


def _full_like(c: Lowerer, x: Any, number: Any, **options: Any) -> Any:
    return _broadcast(c, number)


def _new_full(c: Lowerer, x: Any, size: Any, number: Any, **options: Any) -> Any:
    return _broadcast(c, number)


def _broadcast(c: Lowerer, number: Any) -> Any:
    if isinstance(number, (bool, int, float)):
        return filled(c.out.shape, number, c.out.dtype)
    return c.apply("expand", c.cast(number, c.out.dtype), shape=tuple(c.out.shape))


def _fill(c: Lowerer, x: Any, number: Any) -> Any:
    return _broadcast(c, number)


def _nothing(c: Lowerer, *ignored: Any, **options: Any) -> None:
    """A check of a tensor's metadata, which torch.export has made already."""


def _random(kind: str, **range_: float) -> Rule:
    """Independent numbers; the seed is the operator's place, so that a graph stays one value."""

    def rule(c: Lowerer, *ignored: Any, **options: Any) -> Any:
        shape, name = tuple(c.out.shape), FORMAT_OF[c.out.dtype]
        return c.apply(kind, shape=shape, seed=c.serial(), format=name, **range_)

    return rule


def _randint(c: Lowerer, *numbers: Any, **options: Any) -> Any:
    bounds = [n for n in numbers if isinstance(n, int)]
    low, high = (0, bounds[0]) if len(bounds) == 1 else bounds[:2]
    shape = tuple(c.out.shape)
    drawn = c.apply(
        "random_uniform", shape=shape, low=float(low), high=float(high), seed=c.serial(), format="fp32"
    )
    return c.cast(c.apply("floor", drawn), c.out.dtype)


def _bernoulli(c: Lowerer, x: Any, p: Any = None, **options: Any) -> Any:
    drawn = c.apply("random_uniform", shape=tuple(c.out.shape), seed=c.serial(), format="fp32")
    return c.cast(c.apply("lt", drawn, x if p is None else p), c.out.dtype)


def _one_hot(c: Lowerer, x: Any, classes: int = -1) -> Any:
    if classes < 0:
        raise c.refusal("a number of classes that the data decide", "give num_classes")
    return c.apply("one_hot", x, classes=classes)


def _number(c: Lowerer, x: Any) -> FromData:
    """A tensor's value as a Python number: refused by whatever computes with it, ignored by a check."""
    return FromData()


_ZEROS = ("zeros_like", "new_zeros", "empty_like", "new_empty", "new_empty_strided", "zero")
_CHECKS = ("_assert_tensor_metadata", "_assert_async", "_assert_scalar", "sym_constrain_range",
           "sym_constrain_range_for_size", "_print", "manual_seed")  # fmt: skip

RULES: Mapping[str, Rule] = MappingProxyType(
    {f"aten.{name}": _filled(0) for name in _ZEROS}
    | {f"aten.{name}": _nothing for name in _CHECKS}
    | {
        "aten.ones_like": _filled(1),
        "aten.new_ones": _filled(1),
        "aten.full_like": _full_like,
        "aten.new_full": _new_full,
        "aten.fill": _fill,
        "aten.rand": _random("random_uniform"),
        "aten.rand_like": _random("random_uniform"),
        "aten.randn": _random("random_normal"),
        "aten.randn_like": _random("random_normal"),
        "aten.randint": _randint,
        "aten.randint_like": _randint,
        "aten.bernoulli": _bernoulli,
        "aten.one_hot": _one_hot,
        "aten.sym_size": lambda c, x, dim: c.shape(x)[dim],
        "aten.sym_numel": lambda c, x: prod(c.shape(x)),
        "aten.item": _number,
        "aten._local_scalar_dense": _number,
    }
)
