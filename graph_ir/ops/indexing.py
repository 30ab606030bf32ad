"""Indirect reads and writes: embedding, take, gather, scatter and friends.

Which elements are touched depends on data, so an access here counts the elements that the indices
select, a repeated one each time.

What `take`, `gather` and `index_get` choose of a scaled tensor stays in its levels where one scale holds for
the tensor; of whole rows, as `take` chooses them, also where scales follow an axis or blocks that it leaves
whole, or the rows. Otherwise, and of an embedding, scales are applied on the way: the result is fp32.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from siliform.graph_ir.formats import Format, Quantised, Scaled, format_named
from siliform.graph_ir.graph import Builder, Value
from siliform.graph_ir.ops.common import axis_of, moved, plain, promote, real
from siliform.graph_ir.ops.views import slice_of
from siliform.graph_ir.opspec import OpSpec
from siliform.graph_ir.space import Space
from siliform.graph_ir.types import TensorType


def _check_indices(*indices: TensorType) -> None:
    for index in indices:
        if plain(index.format).kind == "float":
            raise ValueError(f"indices in {index.format.name}; they are integers")


def _read(x: TensorType) -> Format:
    """The format of what is read: that of x, or fp32 where scales are applied on the way."""
    return x.format if x.format.element is x.format else format_named("fp32")


def _chosen(
    x: Any,
    format: Callable[[TensorType], Format],
    choose: Callable[[np.ndarray], np.ndarray],
    scales: Callable[[np.ndarray, Scaled], np.ndarray] = lambda scale, _: scale,
) -> Any:
    """What `choose` takes of a tensor: levels and `scales` where `format` of its type is a scaled one."""
    if not isinstance(x, Quantised):
        return choose(np.asarray(x))
    kept = format(TensorType(x.shape, x.format))
    if not isinstance(kept, Scaled) or not isinstance(x.format, Scaled):
        return choose(real(x))
    return Quantised(choose(x.levels), scales(x.scale, x.format), kept)


def _rows_format(x: TensorType, axis: int, index_rank: int) -> Format:
    """The format of rows that an index of so many axes chooses along `axis`; fp32 where scales are lost."""
    known = x.format
    if not isinstance(known, Scaled) or known.granularity == "tensor":
        return known
    if known.granularity == "block":
        return known if axis < x.rank - 1 else format_named("fp32")
    if known.size == axis:
        return known if index_rank == 1 else format_named("fp32")
    return known if known.size < axis else replace(known, size=known.size + index_rank - 1)


def _take(x: Any, index: np.ndarray, *, axis: int = 0) -> Any:
    """x [a, n, b], index [...] of integers in [-n, n) -> [a, ..., b]; n is the extent of `axis`."""
    place = axis_of(axis, np.ndim(x))
    chosen = np.asarray(index).astype(np.int64)

    def scales(scale: np.ndarray, format: Scaled) -> np.ndarray:
        if format.granularity == "block":
            return np.take(scale, chosen, axis=place)
        own = format.granularity == "channel" and format.size == place
        return np.take(scale, chosen, axis=0) if own else scale

    return _chosen(
        x,
        lambda known: _rows_format(known, place, chosen.ndim),
        lambda known: np.take(known, chosen, axis=place),
        scales,
    )


def _take_shape(x: TensorType, index: TensorType, *, axis: int = 0) -> TensorType:
    _check_indices(index)
    place = axis_of(axis, x.rank)
    shape = (*x.shape[:place], *index.shape, *x.shape[place + 1 :])
    return TensorType(shape, _rows_format(x, place, index.rank))


def _take_spaces(x: TensorType, index: TensorType, *, axis: int = 0) -> list[Space]:
    place = axis_of(axis, x.rank)
    a, b = prod(x.shape[:place]), prod(x.shape[place + 1 :])
    return [Space.over("a i b, i -> a i b", {}, a=a, i=index.elements, b=b)]


take = OpSpec(
    "take", "movement", _take, _take_shape, _take_spaces, movement="copy", tolerance=0.0, source="numpy.take"
)


def _embedding(ids: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """ids [...], weight [V, E] -> [..., E]."""
    return np.take(real(weight), np.asarray(ids).astype(np.int64), axis=0)


def _embedding_shape(ids: TensorType, weight: TensorType) -> TensorType:
    _check_indices(ids)
    if weight.rank != 2:
        raise ValueError(f"weight of an embedding has shape {weight.shape}; it has two axes")
    return TensorType((*ids.shape, weight.shape[1]), _read(weight))


def _embedding_spaces(ids: TensorType, weight: TensorType) -> list[Space]:
    return [Space.over("i, i e -> i e", {}, i=ids.elements, e=weight.shape[1])]


def _embedding_expansion(b: Builder, ids: Value, weight: Value) -> Any:
    return b(take, weight, ids, axis=0)


embedding = OpSpec(
    "embedding",
    "movement",
    _embedding,
    _embedding_shape,
    _embedding_spaces,
    _embedding_expansion,
    movement="copy",
    tolerance=0.0,
    source="torch.nn.functional.embedding",
)


def _along(shape: tuple[int, ...], index: np.ndarray, axis: int) -> tuple[np.ndarray, ...]:
    """Indices that take element ``[i, index[i, j, k], k]`` for axis 1, and so on."""
    grids = list(np.indices(index.shape, sparse=True))
    extent = shape[axis_of(axis, len(shape))]
    grids[axis] = np.where(index < 0, index + extent, index)
    return tuple(grids)


def _one_scale(x: TensorType) -> Format:
    """The format of x where one scale holds for all of it, or none; else fp32."""
    known = x.format
    lost = isinstance(known, Scaled) and known.granularity != "tensor"
    return format_named("fp32") if lost else known


def _gather(x: Any, index: np.ndarray, *, axis: int) -> Any:
    """Element ``[i, index[i, j, k], k]`` of x for axis 1: the shape of `index`."""
    chosen = np.asarray(index).astype(np.int64)
    return _chosen(x, _one_scale, lambda known: known[_along(known.shape, chosen, axis)])


def _gather_shape(x: TensorType, index: TensorType, *, axis: int) -> TensorType:
    _check_indices(index)
    place = axis_of(axis, x.rank)
    if index.rank != x.rank or any(
        i > own for n, (i, own) in enumerate(zip(index.shape, x.shape, strict=True)) if n != place
    ):
        raise ValueError(f"index of shape {index.shape} for {x.shape} along axis {axis}")
    return TensorType(index.shape, _one_scale(x))


def _gather_spaces(x: TensorType, index: TensorType, *, axis: int) -> list[Space]:
    return [Space.over("i, i -> i", {}, i=index.elements)]


gather = OpSpec(
    "gather",
    "movement",
    _gather,
    _gather_shape,
    _gather_spaces,
    movement="copy",
    tolerance=0.0,
    source="torch.gather",
)


def _scatter(x: np.ndarray, index: np.ndarray, source: np.ndarray, *, axis: int) -> np.ndarray:
    """x with ``source[i, j, k]`` written at ``[i, index[i, j, k], k]`` for axis 1; the last write wins."""
    made, chosen = np.array(real(x)), np.asarray(index).astype(np.int64)
    cut = tuple(map(slice_of, chosen.shape))
    made[_along(made.shape, chosen, axis)] = real(source)[cut]
    return made


def _scatter_add(x: np.ndarray, index: np.ndarray, source: np.ndarray, *, axis: int) -> np.ndarray:
    """x with ``source[i, j, k]`` added at ``[i, index[i, j, k], k]`` for axis 1."""
    known, values = promote(x, source)
    made, chosen = np.array(known), np.asarray(index).astype(np.int64)
    np.add.at(made, _along(made.shape, chosen, axis), values[tuple(map(slice_of, chosen.shape))])
    return made


def _scatter_shape(x: TensorType, index: TensorType, source: TensorType, *, axis: int) -> TensorType:
    _gather_shape(x, index, axis=axis)
    if source.rank != index.rank or any(i > s for i, s in zip(index.shape, source.shape, strict=True)):
        raise ValueError(f"source of shape {source.shape} for an index of shape {index.shape}")
    return x.with_format(_read(x))


def _scatter_spaces(x: TensorType, index: TensorType, source: TensorType, *, axis: int) -> list[Space]:
    return [moved(x.elements), Space.over("i, i -> i", {}, i=index.elements)]


def _scatter_add_spaces(x: TensorType, index: TensorType, source: TensorType, *, axis: int) -> list[Space]:
    added = Space.over("i, i, i -> i", {"add": 1}, i=index.elements)
    return [moved(x.elements), added]


scatter = OpSpec(
    "scatter",
    "movement",
    _scatter,
    _scatter_shape,
    _scatter_spaces,
    movement="copy",
    tolerance=0.0,
    source="torch.scatter",
)

scatter_add = OpSpec(
    "scatter_add", "movement", _scatter_add, _scatter_shape, _scatter_add_spaces, source="torch.scatter_add"
)


def _placed(rank: int, indices: Sequence[Any], axes: Sequence[int]) -> tuple[Any, ...]:
    """The NumPy index that puts each of `indices` at its axis and takes all of the others."""
    index: list[Any] = [slice_of(None)] * rank
    for given, axis in zip(indices, axes, strict=True):
        index[axis_of(axis, rank)] = np.asarray(given).astype(np.int64)
    return tuple(index)


def _index_get(x: Any, *indices: np.ndarray, axes: Sequence[int]) -> Any:
    """x at integer `indices`, which broadcast, along `axes`.

    The broadcast shape stands in place of the axes where they are neighbours, else in front.
    """
    return _chosen(x, _one_scale, lambda known: np.asarray(known[_placed(known.ndim, indices, axes)]))


def _index_get_shape(x: TensorType, *indices: TensorType, axes: Sequence[int]) -> TensorType:
    _check_indices(*indices)
    if len(indices) != len(axes) or not indices:
        raise ValueError(f"{len(indices)} indices for {len(axes)} axes")
    placed = sorted(axis_of(axis, x.rank) for axis in axes)
    common = np.broadcast_shapes(*(i.shape for i in indices))
    rest = [extent for i, extent in enumerate(x.shape) if i not in placed]
    neighbours = placed == list(range(placed[0], placed[0] + len(placed)))
    front = placed[0] if neighbours else 0
    return TensorType((*rest[:front], *common, *rest[front:]), _one_scale(x))


def _index_get_spaces(x: TensorType, *indices: TensorType, axes: Sequence[int]) -> list[Space]:
    result = _index_get_shape(x, *indices, axes=axes).elements
    points = prod(np.broadcast_shapes(*(i.shape for i in indices)))
    reads = "i j, " + ", ".join(["i"] * len(indices))
    return [Space.over(f"{reads} -> i j", {}, i=points, j=result // points if points else 0)]


index_get = OpSpec(
    "index_get",
    "movement",
    _index_get,
    _index_get_shape,
    _index_get_spaces,
    movement="copy",
    tolerance=0.0,
    source="torch.ops.aten.index, integer indices",
)


def _index_put(
    x: np.ndarray, values: np.ndarray, *indices: np.ndarray, axes: Sequence[int], accumulate: bool = False
) -> np.ndarray:
    """x with `values` written, or added, at what `index_get` of the same indices would take."""
    made = np.array(real(x))
    place = _placed(made.ndim, indices, axes)
    if accumulate:
        np.add.at(made, place, real(values).astype(made.dtype))
    else:
        made[place] = real(values)
    return made


def _index_put_shape(
    x: TensorType, values: TensorType, *indices: TensorType, axes: Sequence[int], accumulate: bool = False
) -> TensorType:
    chosen = _index_get_shape(x, *indices, axes=axes).shape
    if np.broadcast_shapes(chosen, values.shape) != chosen:
        raise ValueError(f"values of shape {values.shape} for the chosen part of shape {chosen}")
    return x.with_format(_read(x))


def _index_put_spaces(
    x: TensorType, values: TensorType, *indices: TensorType, axes: Sequence[int], accumulate: bool = False
) -> list[Space]:
    chosen = _index_get_shape(x, *indices, axes=axes).elements
    written = Space.over("i, i -> i", {"add": 1} if accumulate else {}, i=chosen)
    return [moved(x.elements), written]


index_put = OpSpec(
    "index_put",
    "movement",
    _index_put,
    _index_put_shape,
    _index_put_spaces,
    source="torch.ops.aten.index_put",
)
