"""Sorting and choosing: sort, argsort, top-k."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import torch

from siliform.models.tracing.lowerer import Lowerer, Rule
from siliform.models.tracing.lowering.movement import select


def _topk(c: Lowerer, x: Any, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Any:
    return list(c.apply("top_k", x, k=k, axis=dim % len(c.shape(x)), largest=largest))


def _sort(c: Lowerer, x: Any, *args: Any, **options: Any) -> Any:
    """sort(x, dim, descending) and sort(x, *, stable, dim, descending)."""
    stable_first = bool(args) and isinstance(args[0], bool)
    rest = args[1:] if stable_first else args
    dim = options.get("dim", rest[0] if rest else -1)
    descending = options.get("descending", rest[1] if len(rest) > 1 else False)
    return list(c.apply("sort", x, axis=dim % max(len(c.shape(x)), 1), descending=bool(descending)))


def _argsort(c: Lowerer, x: Any, *args: Any, **options: Any) -> Any:
    return _sort(c, x, *args, **options)[1]


def _median(c: Lowerer, x: Any, dim: int, keepdim: bool = False) -> Any:
    ordered = _sort(c, x, dim)
    middle = (c.shape(x)[dim] - 1) // 2
    parts = [select(c, part, dim, middle) for part in ordered]
    return [
        c.apply("reshape", p, shape=tuple(f.shape)) if keepdim else p
        for p, f in zip(parts, c.out, strict=True)
    ]


def _searchsorted(
    c: Lowerer, edges: Any, x: Any, *, right: bool = False, out_int32: bool = False, **rest: Any
) -> Any:
    """How many edges lie below (or, from the right, not above) each value: compared with all of them."""
    right = right or rest.get("side") == "right"
    column = c.apply("reshape", x, shape=(*c.shape(x), 1))
    rank = len(c.shape(edges))
    if rank > 1:
        edges = c.apply("reshape", edges, shape=(*c.shape(edges)[:-1], 1, c.shape(edges)[-1]))
    below = c.apply("le" if right else "lt", edges, column)
    counted = c.apply(
        "reduce_sum", c.cast(below, torch.int64), axes=(len(c.shape(below)) - 1,), keepdims=False
    )
    return counted


def _bucketize(c: Lowerer, x: Any, edges: Any, *, out_int32: bool = False, right: bool = False) -> Any:
    return _searchsorted(c, edges, x, right=right)


RULES: Mapping[str, Rule] = MappingProxyType(
    {
        "aten.topk": _topk,
        "aten.sort": _sort,
        "aten.argsort": _argsort,
        "aten.median.dim": _median,
        "aten.searchsorted": _searchsorted,
        "aten.bucketize": _bucketize,
    }
)
