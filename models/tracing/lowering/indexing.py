"""Reading and writing by index: embedding, gather, scatter, and torch's ``x[...]`` with tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from types import MappingProxyType
from typing import Any

import torch

from siliform.models.tracing.literals import Literal, filled
from siliform.models.tracing.lowerer import Complex, Lowerer, Rule
from siliform.models.tracing.lowering.movement import cut, expand, permute, reshape


def _embedding(c: Lowerer, weight: Any, ids: Any, *ignored: Any, **options: Any) -> Any:
    return c.apply("embedding", ids, weight)


def _embedding_bag(
    c: Lowerer,
    weight: Any,
    ids: Any,
    offsets: Any,
    scale: bool = False,
    mode: int = 0,
    sparse: bool = False,
    shares: Any = None,
    *rest: Any,
    **options: Any,
) -> Any:
    """Rows of a table, summed (mode 0) or averaged (1) by bags; bags of one length that is known."""
    (count,), bags = c.shape(ids), c.shape(offsets)[0]
    size = count // max(bags, 1)
    even = isinstance(offsets, Literal) and bool((offsets.tensor == torch.arange(bags) * size).all())
    if not even or size * bags != count or mode > 1:
        raise c.refusal(
            "bags whose lengths the data decide", "embed with nn.Embedding and reduce along an axis"
        )
    width = c.shape(weight)[1]
    rows = reshape(c, c.apply("embedding", ids, weight), (bags, size, width))
    if shares is not None:
        rows = c.apply("mul", rows, reshape(c, shares, (bags, size, 1)))
    found = c.apply("reduce_mean" if mode else "reduce_sum", rows, axes=(1,), keepdims=False)
    return [found, None, None, None]


def _gather(c: Lowerer, x: Any, dim: int, index: Any, **options: Any) -> Any:
    if not c.shape(x):
        return x
    return c.apply("gather", x, index, axis=dim % len(c.shape(x)))


def _index_select(c: Lowerer, x: Any, dim: int, index: Any) -> Any:
    return c.apply("take", x, index, axis=dim % len(c.shape(x)))


def _take_along(c: Lowerer, x: Any, index: Any, dim: int | None = None) -> Any:
    if dim is None:
        return c.apply("gather", reshape(c, x, (prod(c.shape(x)),)), index, axis=0)
    shape = list(torch.broadcast_shapes(*[(*s[:dim], 1, *s[dim:][1:]) for s in (c.shape(x), c.shape(index))]))
    wide, narrow = list(shape), list(shape)
    wide[dim], narrow[dim] = c.shape(x)[dim], c.shape(index)[dim]
    return c.apply("gather", expand(c, x, wide), expand(c, index, narrow), axis=dim % len(wide))


def _index(c: Lowerer, x: Any, indices: Sequence[Any]) -> Any:
    """``x[i, :, j]``: integer tensors that broadcast; a mask only where it is known while tracing."""
    x, axes, given = _placed(c, x, indices)
    if isinstance(x, Complex):
        return Complex(_fetch(c, x.real, axes, given), _fetch(c, x.imaginary, axes, given))
    return _fetch(c, x, axes, given)


def _fetch(c: Lowerer, x: Any, axes: list[int], given: list[Any]) -> Any:
    straight = _straight(c, x, axes, given)
    if straight is not None:
        return straight
    if len(given) == 1:
        return c.apply("take", x, given[0], axis=axes[0])
    return c.apply("index_get", x, *given, axes=tuple(axes))


def _placed(c: Lowerer, x: Any, indices: Sequence[Any]) -> tuple[Any, list[int], list[Any]]:
    """The indexed axes and their integer indices; a mask that is known becomes its positions."""
    axes: list[int] = []
    given: list[Any] = []
    axis = 0
    for index in indices:
        if index is None:
            axis += 1
            continue
        found = [index]
        if _is_mask(c, index):
            if not isinstance(index, Literal):
                raise c.refusal(
                    "a boolean mask as index: how many rows it takes, the data decide",
                    "multiply by the mask or use torch.where, which keep the shape",
                )
            found = [Literal.of(position) for position in index.tensor.nonzero(as_tuple=True)]
        axes.extend(range(axis, axis + len(found)))
        given.extend(found)
        axis += len(found)
    return x, axes, given


def _is_mask(c: Lowerer, index: Any) -> bool:
    if isinstance(index, Literal):
        return index.dtype in (torch.bool, torch.uint8)
    return str(index.type.format) in ("bool", "uint8")


def _straight(c: Lowerer, x: Any, axes: list[int], given: list[Any]) -> Any:
    """A view, where the indices are known and name the elements in the order in which they lie.

    Libraries index masks and positions by broadcast ranges, which only adds axes of one element.
    """
    if not all(isinstance(g, Literal) for g in given) or axes != list(range(axes[0], axes[0] + len(axes))):
        return None
    extents = [c.shape(x)[axis] for axis in axes]
    flat: Any = 0
    for extent, index in zip(extents, given, strict=True):
        held = index.tensor
        if held.numel() and (int(held.min()) < -extent or int(held.max()) >= extent):
            raise c.refusal(f"an index outside the {extent} elements of its axis")
        flat = flat * extent + held % extent
    rows = flat.reshape(-1)
    if not rows.numel() or not bool((rows == torch.arange(len(rows)) + rows[0]).all()):
        return None
    shape = c.shape(x)
    lead, tail = shape[: axes[0]], shape[axes[-1] + 1 :]
    merged = reshape(c, x, (*lead, prod(extents), *tail))
    part = cut(c, merged, len(lead), int(rows[0]), int(rows[0]) + len(rows))
    return reshape(c, part, (*lead, *flat.shape, *tail))


def _index_put(
    c: Lowerer, x: Any, indices: Sequence[Any], values: Any, accumulate: bool = False, *rest: Any
) -> Any:
    mask = indices[0] if len(indices) == 1 else None
    if mask is not None and not isinstance(mask, Literal) and _is_mask(c, mask):
        return _masked_write(c, x, indices[0], values, accumulate)
    x, axes, given = _placed(c, x, indices)
    return c.apply(
        "index_put", x, c.cast(values, c.out.dtype), *given, axes=tuple(axes), accumulate=accumulate
    )


def _masked_write(c: Lowerer, x: Any, mask: Any, values: Any, accumulate: bool) -> Any:
    """``x[mask] = value``: a choice by element, where every marked place gets the same value.

    Different values for the marked places stand in an order that the data decide.
    """
    rest = len(c.shape(x)) - len(c.shape(mask))
    if prod(c.shape(values)) != 1 and len(c.shape(values)) > rest:
        raise c.refusal(
            "values that a mask spreads as the data decide", "use torch.where with a tensor of full shape"
        )
    wide = reshape(c, mask, (*c.shape(mask), *[1] * rest))
    value = c.cast(values, c.out.dtype)
    value = reshape(c, value, ()) if prod(c.shape(values)) == 1 else value
    return c.apply("where", wide, c.apply("add", x, value) if accumulate else value, x)


def _scatter(c: Lowerer, x: Any, dim: int, index: Any, source: Any, *, reduce: str | None = None) -> Any:
    if not isinstance(source, (bool, int, float)) and reduce is None:
        return c.apply("scatter", x, index, source, axis=dim % len(c.shape(x)))
    if reduce == "add":
        return c.apply("scatter_add", x, index, source, axis=dim % len(c.shape(x)))
    if reduce is not None:
        raise c.refusal(f"reduce={reduce!r}")
    source = filled(c.shape(index), source, c.out.dtype)
    return c.apply("scatter", x, index, source, axis=dim % len(c.shape(x)))


def _scatter_add(c: Lowerer, x: Any, dim: int, index: Any, source: Any) -> Any:
    return c.apply("scatter_add", x, index, source, axis=dim % len(c.shape(x)))


def _scatter_reduce(
    c: Lowerer, x: Any, dim: int, index: Any, source: Any, reduce: str, *, include_self: bool = True
) -> Any:
    if reduce != "sum" or not include_self:
        raise c.refusal(f"reduce={reduce!r}, include_self={include_self}")
    return _scatter_add(c, x, dim, index, source)


def _index_add(c: Lowerer, x: Any, dim: int, index: Any, source: Any, *, alpha: float = 1) -> Any:
    """Rows of `source` added to the rows of x that `index` names."""
    if alpha != 1:
        source = c.apply("mul", source, alpha)
    return _rows_written(c, x, dim, index, source, accumulate=True)


def _index_copy(c: Lowerer, x: Any, dim: int, index: Any, source: Any) -> Any:
    return _rows_written(c, x, dim, index, source, accumulate=False)


def _index_fill(c: Lowerer, x: Any, dim: int, index: Any, value: Any) -> Any:
    number = c.cast(value, c.out.dtype)
    return c.apply("index_put", x, number, index, axes=(dim % len(c.shape(x)),), accumulate=False)


def _rows_written(c: Lowerer, x: Any, dim: int, index: Any, source: Any, *, accumulate: bool) -> Any:
    axis = dim % len(c.shape(x))
    return c.apply("index_put", x, c.cast(source, c.out.dtype), index, axes=(axis,), accumulate=accumulate)


def _slice_scatter(
    c: Lowerer,
    x: Any,
    source: Any,
    dim: int = 0,
    start: int | None = None,
    end: int | None = None,
    step: int = 1,
) -> Any:
    extent = c.shape(x)[dim]
    first, last, stride = slice(start, end, step).indices(extent)
    if (first, stride) == (0, 1) and last >= extent:
        return expand(c, source, c.shape(x))
    axis, last = dim % len(c.shape(x)), max(first, last)
    if first == last:
        return x
    part = list(c.shape(x))
    part[axis] = -(-(last - first) // stride)
    wide = expand(c, c.cast(source, c.out.dtype), part)
    return c.apply("slice_scatter", x, wide, axis=axis, start=first, end=last, step=stride)


def _select_scatter(c: Lowerer, x: Any, source: Any, dim: int, index: int) -> Any:
    axis = dim % len(c.shape(x))
    index %= c.shape(x)[axis]
    shape = c.shape(source)
    row = reshape(c, source, (*shape[:axis], 1, *shape[axis:]))
    return _slice_scatter(c, x, row, axis, index, index + 1)


def _copy(c: Lowerer, x: Any, source: Any, *ignored: Any) -> Any:
    """What was in x is gone: the source, in x's shape and format."""
    return expand(c, c.cast(source, c.out.dtype), c.out.shape)


def _masked_scatter(c: Lowerer, x: Any, mask: Any, source: Any) -> Any:
    """The n-th marked element becomes the n-th of `source`: positions by a running count of the mask."""
    shape = tuple(c.out.shape)
    marked = reshape(c, expand(c, mask, shape), (prod(shape),))
    count = c.apply("cumsum", c.cast(marked, torch.int64), axis=0)
    limit = prod(c.shape(source)) - 1
    place = c.apply("clamp", c.apply("sub", count, 1), 0, limit)
    taken = c.apply("take", reshape(c, source, (limit + 1,)), place, axis=0)
    return reshape(c, c.apply("where", marked, taken, reshape(c, x, (prod(shape),))), shape)


def _nonzero(c: Lowerer, x: Any, *rest: Any, **options: Any) -> Any:
    raise c.refusal(
        "as many rows as the data decide",
        "keep the shape: torch.where with three arguments, a product with the mask, or torch.topk",
    )


def _isin(c: Lowerer, x: Any, tests: Any, **options: Any) -> Any:
    if isinstance(tests, (bool, int, float)):
        return c.apply("eq", x, tests)
    column = reshape(c, x, (*c.shape(x), 1))
    hits = c.apply("eq", column, reshape(c, tests, (prod(c.shape(tests)),)))
    return c.apply("reduce_any", hits, axes=(len(c.shape(x)),), keepdims=False)


def _meshgrid(c: Lowerer, parts: Sequence[Any], indexing: str = "ij", **options: Any) -> list[Any]:
    sizes = [prod(c.shape(p)) for p in parts]
    made = []
    for i, part in enumerate(parts):
        own = [sizes[i] if i == j else 1 for j in range(len(parts))]
        made.append(expand(c, reshape(c, part, own), sizes))
    if indexing == "xy" and len(parts) > 1:
        made = [permute(c, m, (1, 0, *range(2, len(parts)))) for m in made]
    return made


RULES: Mapping[str, Rule] = MappingProxyType(
    {
        "aten.embedding": _embedding,
        "aten.embedding_bag": _embedding_bag,
        "aten._embedding_bag": _embedding_bag,
        "aten.gather": _gather,
        "aten.index_select": _index_select,
        "aten.take_along_dim": _take_along,
        "aten.index": _index,
        "aten._unsafe_index": _index,
        "aten.index_put": _index_put,
        "aten._unsafe_index_put": _index_put,
        "aten.scatter": _scatter,
        "aten.scatter_add": _scatter_add,
        "aten.scatter_reduce": _scatter_reduce,
        "aten.index_add": _index_add,
        "aten.index_copy": _index_copy,
        "aten.index_fill": _index_fill,
        "aten.slice_scatter": _slice_scatter,
        "aten.select_scatter": _select_scatter,
        "aten.copy": _copy,
        "aten.masked_scatter": _masked_scatter,
        "aten.nonzero": _nonzero,
        "aten.nonzero_numpy": _nonzero,
        "aten.masked_select": _nonzero,
        "aten.isin": _isin,
        "aten.meshgrid": _meshgrid,
    }
)
