"""Copies: ops that move bytes and compute nothing. Each space tells what is read and written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any, Literal

import numpy as np

from siliform.graph_ir.formats import Format, Quantised, Scaled, format_named
from siliform.graph_ir.formats.scaled import concatenate
from siliform.graph_ir.ops.common import axes_of, axis_of, moved, moving, plain, promote, promoted, real
from siliform.graph_ir.ops.views import slice_of, span
from siliform.graph_ir.opspec import OpSpec
from siliform.graph_ir.space import Access, Space
from siliform.graph_ir.types import TensorType


def _copy(
    name: str,
    reference: Callable[..., Any],
    shape: Callable[..., Any],
    spaces: Callable[..., Any],
    source: str,
    movement: Literal["copy", "append"] = "copy",
) -> OpSpec:
    return OpSpec(name, "movement", reference, shape, spaces, movement=movement, tolerance=0.0, source=source)


def _contiguous(x: np.ndarray) -> np.ndarray:
    """x laid out afresh, last axis innermost."""
    return np.ascontiguousarray(x).reshape(np.shape(x))


def _rearrangement(
    name: str,
    reference: Callable[..., Any],
    shape: Callable[..., Any],
    source: str,
    copies: Callable[..., int] = lambda **_: 1,
) -> OpSpec:
    """A copy of one tensor that keeps each element, `copies` times, and its scale."""

    def spaces(x: TensorType, **attributes: Any) -> list[Space]:
        count = copies(**attributes)
        return [moved(x.elements) if count == 1 else Space.over("i -> r i", {}, i=x.elements, r=count)]

    return _copy(name, *moving(name, reference, shape), spaces, source)


contiguous = _rearrangement("contiguous", _contiguous, lambda x: x, "torch.Tensor.contiguous")


def _common(*parts: TensorType) -> Format:
    """The format of all parts together: their own if it is one and carries no scale."""
    first = parts[0].format
    alike = all(part.format == first for part in parts)
    return first if alike and first.element is first else promoted(*parts)


def _concat(*parts: np.ndarray, axis: int = 0) -> np.ndarray:
    """The parts behind one another along `axis`."""
    return np.concatenate(promote(*parts), axis=axis)


def _concat_shape(*parts: TensorType, axis: int = 0) -> TensorType:
    if not parts:
        raise ValueError("concat of 0 tensors")
    place = axis_of(axis, parts[0].rank)
    first = parts[0].shape
    for part in parts:
        if part.rank != len(first) or any(
            a != b for i, (a, b) in enumerate(zip(first, part.shape, strict=True)) if i != place
        ):
            raise ValueError(f"concat of {first} and {part.shape} along axis {axis}")
    total = sum(part.shape[place] for part in parts)
    return TensorType((*first[:place], total, *first[place + 1 :]), _common(*parts))


def _concat_spaces(*parts: TensorType, axis: int = 0) -> list[Space]:
    return [moved(part.elements) for part in parts]


concat = _copy("concat", _concat, _concat_shape, _concat_spaces, "torch.cat")


def _stack(*parts: np.ndarray, axis: int = 0) -> np.ndarray:
    """The parts beside one another along a new `axis`."""
    return np.stack(promote(*parts), axis=axis)


def _stack_shape(*parts: TensorType, axis: int = 0) -> TensorType:
    if len({part.shape for part in parts}) != 1:
        raise ValueError(f"stack of shapes {[part.shape for part in parts]}, which must be one")
    place = axis_of(axis, parts[0].rank + 1)
    shape = parts[0].shape
    return TensorType((*shape[:place], len(parts), *shape[place:]), _common(*parts))


def _stack_spaces(*parts: TensorType, axis: int = 0) -> list[Space]:
    return [moved(part.elements) for part in parts]


stack = _copy("stack", _stack, _stack_shape, _stack_spaces, "torch.stack")

_MODES = {"constant": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}


def _pad(
    x: np.ndarray, *, before: Sequence[int], after: Sequence[int], mode: str = "constant", value: float = 0.0
) -> np.ndarray:
    """x with so many elements before and after each axis; negative counts cut elements off."""
    known = real(x)
    cut = tuple(
        slice_of(max(-b, 0), extent - max(-a, 0))
        for b, a, extent in zip(before, after, known.shape, strict=True)
    )
    widths = [(max(b, 0), max(a, 0)) for b, a in zip(before, after, strict=True)]
    if mode == "constant":
        return np.pad(known[cut], widths, constant_values=value)
    return np.pad(known[cut], widths, mode=_MODES[mode])  # type: ignore[call-overload]


def _pad_shape(
    x: TensorType, *, before: Sequence[int], after: Sequence[int], mode: str = "constant", value: float = 0.0
) -> TensorType:
    if mode not in _MODES:
        raise ValueError(f"padding mode {mode!r}; the modes are {sorted(_MODES)}")
    if len(before) != x.rank or len(after) != x.rank:
        raise ValueError(f"padding of {len(before)} and {len(after)} axes for {x.shape}")
    shape = tuple(b + extent + a for b, extent, a in zip(before, x.shape, after, strict=True))
    if min(shape, default=0) < 0:
        raise ValueError(f"padding {list(before)} and {list(after)} of {x.shape} leaves {shape}")
    limit = 1 if mode == "reflect" else 0
    if mode in ("reflect", "circular") and any(
        max(b, a) > extent - limit for b, a, extent in zip(before, after, x.shape, strict=True)
    ):
        raise ValueError(f"{mode} padding {list(before)} and {list(after)} is wider than {x.shape} allows")
    return TensorType(shape, _common(x))


def _pad_spaces(
    x: TensorType, *, before: Sequence[int], after: Sequence[int], mode: str = "constant", value: float = 0.0
) -> list[Space]:
    result = _pad_shape(x, before=before, after=after, mode=mode, value=value)
    kept = prod(extent + min(b, 0) + min(a, 0) for b, extent, a in zip(before, x.shape, after, strict=True))
    border = result.elements - kept
    if mode != "constant":
        return [moved(kept), moved(border)]
    return [moved(kept), Space.over(" -> i", {}, i=border)]


pad = _copy("pad", _pad, _pad_shape, _pad_spaces, "torch.nn.functional.pad")


def _roll(x: np.ndarray, *, shifts: Sequence[int], axes: Sequence[int]) -> np.ndarray:
    """x shifted along `axes`, what falls off one end coming in at the other."""
    return np.roll(x, tuple(shifts), tuple(axes))


def _roll_shape(x: TensorType, *, shifts: Sequence[int], axes: Sequence[int]) -> TensorType:
    if len(shifts) != len(axes):
        raise ValueError(f"{len(shifts)} shifts for {len(axes)} axes")
    axes_of(axes, x.rank)
    return x


roll = _rearrangement("roll", _roll, _roll_shape, "torch.roll")


def _flip(x: np.ndarray, *, axes: Sequence[int]) -> np.ndarray:
    """x backwards along `axes`."""
    return np.flip(x, tuple(axes))


def _flip_shape(x: TensorType, *, axes: Sequence[int]) -> TensorType:
    axes_of(axes, x.rank)
    return x


flip = _rearrangement("flip", _flip, _flip_shape, "torch.flip")


def _tile(x: np.ndarray, *, repeats: Sequence[int]) -> np.ndarray:
    """x as a whole repeated along each axis; axes may be added in front."""
    return np.tile(x, tuple(repeats))


def _tile_shape(x: TensorType, *, repeats: Sequence[int]) -> TensorType:
    if len(repeats) < x.rank or min(repeats, default=1) < 0:
        raise ValueError(f"repeats {list(repeats)} for the {x.rank} axes of {x.shape}")
    own = (1,) * (len(repeats) - x.rank) + x.shape
    return x.with_shape(*(extent * count for extent, count in zip(own, repeats, strict=True)))


tile = _rearrangement("tile", _tile, _tile_shape, "torch.Tensor.repeat", lambda *, repeats: prod(repeats))


def _repeat(x: np.ndarray, *, count: int, axis: int) -> np.ndarray:
    """Each element along `axis` `count` times in a row."""
    return np.repeat(x, count, axis=axis)


def _repeat_shape(x: TensorType, *, count: int, axis: int) -> TensorType:
    place = axis_of(axis, x.rank)
    if count < 0:
        raise ValueError(f"each element {count} times")
    return x.with_shape(*x.shape[:place], x.shape[place] * count, *x.shape[place + 1 :])


repeat = _rearrangement(
    "repeat", _repeat, _repeat_shape, "torch.repeat_interleave", lambda *, count, axis: count
)


def _append(cache: np.ndarray, new: np.ndarray, *, axis: int) -> np.ndarray:
    """The cache with `new` behind it along `axis`; in a scaled format, with the scales of both."""
    if not isinstance(cache, Quantised) or not isinstance(new, Quantised):
        return np.concatenate(promote(cache, new), axis=axis)
    return concatenate([cache, new], axis)  # type: ignore[return-value]


def _append_shape(cache: TensorType, new: TensorType, *, axis: int) -> TensorType:
    if cache.format != new.format:
        raise ValueError(f"{new.format.name} rows appended to a cache in {cache.format.name}")
    known = cache.format
    inside = isinstance(known, Scaled) and (
        (known.granularity == "channel" and known.size != axis_of(axis, cache.rank))
        or (known.granularity == "block" and axis_of(axis, cache.rank) == cache.rank - 1)
    )
    if inside:
        raise ValueError(f"rows appended along axis {axis} of {cache}, whose scales lie across it")
    return _concat_shape(cache, new, axis=axis).with_format(known)


append = _copy(
    "append",
    _append,
    _append_shape,
    lambda cache, new, *, axis: [moved(new.elements)],
    "a cache with room behind its last row",
    movement="append",
)


def _slice_scatter(
    x: np.ndarray, source: np.ndarray, *, axis: int = 0, start: int = 0, end: int | None = None, step: int = 1
) -> np.ndarray:
    """x with `source` in place of the elements that `slice` would take."""
    made = np.array(real(x))
    made[(*[slice_of(None)] * axis_of(axis, made.ndim), slice_of(start, end, step))] = real(source)
    return made


def _slice_scatter_shape(
    x: TensorType,
    source: TensorType,
    *,
    axis: int = 0,
    start: int = 0,
    end: int | None = None,
    step: int = 1,
) -> TensorType:
    place = axis_of(axis, x.rank)
    count = len(span(x.shape[place], start, end, step))
    wanted = (*x.shape[:place], count, *x.shape[place + 1 :])
    if source.shape != wanted:
        raise ValueError(f"source has shape {source.shape}, the slice of {x.shape} {wanted}")
    return x.with_format(_common(x))


def _slice_scatter_spaces(x: TensorType, source: TensorType, **attributes: Any) -> list[Space]:
    return [moved(x.elements - source.elements), moved(source.elements)]


slice_scatter = _copy(
    "slice_scatter", _slice_scatter, _slice_scatter_shape, _slice_scatter_spaces, "torch.slice_scatter"
)


def _one_hot(x: np.ndarray, *, classes: int) -> np.ndarray:
    """x [...] of integers in [0, classes) -> [..., classes] of zeros and ones."""
    return (np.asarray(x)[..., None] == np.arange(classes)).astype(np.int64)


def _one_hot_shape(x: TensorType, *, classes: int) -> TensorType:
    if plain(x.format).kind != "integer":
        raise ValueError(f"one_hot of {x.format.name}, which is no integer format")
    return TensorType((*x.shape, classes), format_named("int64"))


def _one_hot_spaces(x: TensorType, *, classes: int) -> list[Space]:
    return [Space.over("i -> i c", {"compare": 1}, i=x.elements, c=classes)]


one_hot = OpSpec(
    "one_hot", "movement", _one_hot, _one_hot_shape, _one_hot_spaces, source="torch.nn.functional.one_hot"
)


def _triangle(name: str, function: Callable[..., Any]) -> OpSpec:
    def reference(x: np.ndarray, *, diagonal: int = 0) -> np.ndarray:
        return np.asarray(function(real(x), diagonal))

    def shape(x: TensorType, *, diagonal: int = 0) -> TensorType:
        if x.rank < 2:
            raise ValueError(f"{name} of a tensor with {x.rank} axes; it needs two")
        return x.with_format(_common(x))

    def spaces(x: TensorType, *, diagonal: int = 0) -> list[Space]:
        row = Access((("i",),))
        return [Space({"i": x.elements}, (row,), (row,), {"compare": 1})]

    reference.__name__, reference.__doc__ = name, f"x with zeros outside its {name} part."
    return OpSpec(name, "movement", reference, shape, spaces, source=f"torch.{name}")


tril = _triangle("tril", np.tril)
triu = _triangle("triu", np.triu)
