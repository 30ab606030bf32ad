"""Views: ops that move no bytes, because their consumers address the same bytes through strides.

The rule is declared, not found: a reshape of a permuted tensor is a view here too, and a tracer puts
a `contiguous` before it where PyTorch copies.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np

from siliform.graph_ir.ops.common import axes_of, axis_of, moving
from siliform.graph_ir.opspec import OpSpec
from siliform.graph_ir.space import Space
from siliform.graph_ir.types import TensorType


def _nothing(*operands: Any, **attributes: Any) -> list[Space]:
    return []


def _view(name: str, reference: Callable[..., Any], shape: Callable[..., Any], source: str) -> OpSpec:
    moved, ruled = moving(name, reference, shape)
    return OpSpec(name, "movement", moved, ruled, _nothing, movement="view", tolerance=0.0, source=source)


def _reshape(x: np.ndarray, *, shape: Sequence[int]) -> np.ndarray:
    """x in another shape of as many elements; one extent may be -1."""
    return np.reshape(x, tuple(shape))


def _reshape_shape(x: TensorType, *, shape: Sequence[int]) -> TensorType:
    known = prod(extent for extent in shape if extent != -1)
    open_axes = sum(extent == -1 for extent in shape)
    fits = known == x.elements if not open_axes else open_axes == 1 and known and x.elements % known == 0
    if not fits:
        raise ValueError(f"{x.elements} elements of shape {x.shape} do not fit the shape {tuple(shape)}")
    return x.with_shape(*(x.elements // known if extent == -1 else extent for extent in shape))


reshape = _view("reshape", _reshape, _reshape_shape, "numpy.reshape")


def _permute(x: np.ndarray, *, axes: Sequence[int]) -> np.ndarray:
    """x with its axes in another order."""
    return np.transpose(x, tuple(axes))


def _permute_shape(x: TensorType, *, axes: Sequence[int]) -> TensorType:
    order = [axis_of(axis, x.rank) for axis in axes]
    if sorted(order) != list(range(x.rank)):
        raise ValueError(f"{list(axes)} is no order of the {x.rank} axes of {x.shape}")
    return x.with_shape(*(x.shape[axis] for axis in order))


permute = _view("permute", _permute, _permute_shape, "torch.permute")


def _expand(x: np.ndarray, *, shape: Sequence[int]) -> np.ndarray:
    """x with axes of one element repeated and axes added in front; -1 keeps an extent."""
    return np.broadcast_to(x, _expanded(np.shape(x), tuple(shape)))


def _expanded(own: tuple[int, ...], shape: tuple[int, ...]) -> tuple[int, ...]:
    lead = len(shape) - len(own)
    pairs = list(zip(shape[max(lead, 0) :], own, strict=False))
    if lead < 0 or -1 in shape[:lead] or any(e not in (-1, o) and o != 1 for e, o in pairs):
        raise ValueError(f"a tensor of shape {own} does not expand to {shape}")
    return (*shape[:lead], *(o if e == -1 else e for e, o in pairs))


def _expand_shape(x: TensorType, *, shape: Sequence[int]) -> TensorType:
    return x.with_shape(*_expanded(x.shape, tuple(shape)))


expand = _view("expand", _expand, _expand_shape, "torch.Tensor.expand")


def _squeeze(x: np.ndarray, *, axes: Sequence[int]) -> np.ndarray:
    """x without the given axes of one element."""
    return np.squeeze(x, axis=tuple(axes))


def _squeeze_shape(x: TensorType, *, axes: Sequence[int]) -> TensorType:
    dropped = axes_of(axes, x.rank) if axes else ()
    for axis in dropped:
        if x.shape[axis] != 1:
            raise ValueError(
                f"axis {axis} of {x.shape} has {x.shape[axis]} elements, only one can be squeezed"
            )
    return x.with_shape(*(extent for i, extent in enumerate(x.shape) if i not in dropped))


squeeze = _view("squeeze", _squeeze, _squeeze_shape, "numpy.squeeze")


def _unsqueeze(x: np.ndarray, *, axis: int) -> np.ndarray:
    """x with an axis of one element put in before `axis` of the result."""
    return np.expand_dims(x, axis)


def _unsqueeze_shape(x: TensorType, *, axis: int) -> TensorType:
    place = axis_of(axis, x.rank + 1)
    return x.with_shape(*x.shape[:place], 1, *x.shape[place:])


unsqueeze = _view("unsqueeze", _unsqueeze, _unsqueeze_shape, "torch.unsqueeze")


def span(extent: int, start: int, end: int | None, step: int) -> range:
    """The indices that a slice names, by Python's rules; ValueError for a step below one."""
    if step < 1:
        raise ValueError(f"a slice in steps of {step}; the step is at least 1")
    return range(*slice_of(start, end, step).indices(extent))


#: Python's own slice, under a name that the op `slice` below leaves free.
slice_of = slice


def _slice(
    x: np.ndarray, *, axis: int = 0, start: int = 0, end: int | None = None, step: int = 1
) -> np.ndarray:
    """Elements start, start + step, ... before `end` along `axis`; negative ones count from the end."""
    known = np.asarray(x)
    index: list[Any] = [slice_of(None)] * known.ndim
    index[axis_of(axis, known.ndim)] = slice_of(start, end, step)
    return known[tuple(index)]


def _slice_shape(
    x: TensorType, *, axis: int = 0, start: int = 0, end: int | None = None, step: int = 1
) -> TensorType:
    place = axis_of(axis, x.rank)
    count = len(span(x.shape[place], start, end, step))
    return x.with_shape(*x.shape[:place], count, *x.shape[place + 1 :])


slice = _view("slice", _slice, _slice_shape, "torch.ops.aten.slice")


def _select(x: np.ndarray, *, axis: int = 0, index: int) -> np.ndarray:
    """The part of x at one index of `axis`, which goes away."""
    known = np.asarray(x)
    return np.asarray(np.moveaxis(known, axis, 0)[index])


def _select_shape(x: TensorType, *, axis: int = 0, index: int) -> TensorType:
    place = axis_of(axis, x.rank)
    if not -x.shape[place] <= index < x.shape[place]:
        raise ValueError(f"index {index} of axis {axis} of {x.shape}, which has {x.shape[place]} elements")
    return x.with_shape(*x.shape[:place], *x.shape[place + 1 :])


select = _view("select", _select, _select_shape, "torch.select")


def _split(x: np.ndarray, *, sizes: Sequence[int], axis: int = 0) -> tuple[np.ndarray, ...]:
    """x in parts of `sizes` along `axis`."""
    ends = np.cumsum(sizes)[:-1]
    return tuple(np.split(np.asarray(x), ends, axis=axis))


def _split_shape(x: TensorType, *, sizes: Sequence[int], axis: int = 0) -> tuple[TensorType, ...]:
    place = axis_of(axis, x.rank)
    if sum(sizes) != x.shape[place] or min(sizes, default=0) < 0:
        raise ValueError(f"parts of {list(sizes)} make {sum(sizes)}, axis {axis} has {x.shape[place]}")
    return tuple(x.with_shape(*x.shape[:place], size, *x.shape[place + 1 :]) for size in sizes)


split = _view("split", _split, _split_shape, "torch.split")


def _windows(x: np.ndarray, *, axis: int, size: int, step: int = 1) -> np.ndarray:
    """Windows of `size` elements every `step` along `axis`; their elements are a new last axis."""
    known = np.asarray(x)
    place = axis_of(axis, known.ndim)
    found = np.lib.stride_tricks.sliding_window_view(known, size, axis=place)
    return found[(*[slice_of(None)] * place, slice_of(None, None, step))]


def _windows_shape(x: TensorType, *, axis: int, size: int, step: int = 1) -> TensorType:
    place = axis_of(axis, x.rank)
    if not 1 <= size <= x.shape[place] or step < 1:
        raise ValueError(f"windows of {size} every {step} along axis {axis} of {x.shape}")
    count = (x.shape[place] - size) // step + 1
    return x.with_shape(*x.shape[:place], count, *x.shape[place + 1 :], size)


windows = _view("windows", _windows, _windows_shape, "torch.Tensor.unfold")


def _diagonal(x: np.ndarray, *, offset: int = 0, axis0: int = 0, axis1: int = 1) -> np.ndarray:
    """The diagonal of two axes, as a new last axis in their place."""
    return np.diagonal(x, offset, axis0, axis1)


def _diagonal_shape(x: TensorType, *, offset: int = 0, axis0: int = 0, axis1: int = 1) -> TensorType:
    first, second = axis_of(axis0, x.rank), axis_of(axis1, x.rank)
    if first == second:
        raise ValueError(f"the diagonal of axis {first} of {x.shape} with itself")
    rows, columns = x.shape[first] + min(offset, 0), x.shape[second] - max(offset, 0)
    rest = (extent for i, extent in enumerate(x.shape) if i not in (first, second))
    return x.with_shape(*rest, max(min(rows, columns), 0))


diagonal = _view("diagonal", _diagonal, _diagonal_shape, "torch.diagonal")


def _dropout(x: np.ndarray, *, p: float = 0.5) -> np.ndarray:
    """x itself: inference drops nothing."""
    return np.asarray(x)


def _dropout_shape(x: TensorType, *, p: float = 0.5) -> TensorType:
    if not 0 <= p <= 1:
        raise ValueError(f"dropout with probability {p}; it lies between 0 and 1")
    return x


dropout = _view("dropout", _dropout, _dropout_shape, "torch.nn.functional.dropout, training=False")
