"""Views and copies. A view moves no bytes; what torch copies, the graph copies."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from math import prod
from types import MappingProxyType
from typing import Any

import torch

from siliform.graph_ir.graph import Value
from siliform.kernels.dtypes import viewable
from siliform.models.tracing.literals import Literal
from siliform.models.tracing.lowerer import Complex, Lowerer, Rule

Shape = tuple[int, ...]


def reshape(c: Lowerer, x: Any, shape: Sequence[int]) -> Any:
    """`x` in another shape, without asking whether bytes must move."""
    wanted = tuple(shape)
    if isinstance(x, Complex):
        return Complex(reshape(c, x.real, wanted), reshape(c, x.imaginary, wanted))
    return x if c.shape(x) == wanted else c.apply("reshape", x, shape=wanted)


def permute(c: Lowerer, x: Any, axes: Sequence[int]) -> Any:
    """`x` with its axes in another order."""
    rank = len(c.shape(x))
    order = tuple(axis % rank for axis in axes)
    if isinstance(x, Complex):
        return Complex(permute(c, x.real, order), permute(c, x.imaginary, order))
    origin = c.origins.get(x.name) if isinstance(x, Value) else None
    if origin is not None and origin.op == "permute" and origin.inputs[0] is not None:
        x, order = origin.inputs[0], tuple(origin.attributes["axes"][axis] for axis in order)
    return x if order == tuple(range(rank)) else c.apply("permute", x, axes=order)


def cut(c: Lowerer, x: Any, axis: int, start: int, stop: int, step: int = 1) -> Any:
    """Every `step`-th row of `x` from `start` to before `stop` along `axis`."""
    extent = c.shape(x)[axis]
    if isinstance(x, Complex):
        return Complex(cut(c, x.real, axis, start, stop, step), cut(c, x.imaginary, axis, start, stop, step))
    if (start, step) == (0, 1) and stop >= extent:
        return x
    axis %= len(c.shape(x))
    return c.apply("slice", x, axis=axis, start=start, end=min(stop, extent), step=step)


def expand(c: Lowerer, x: Any, shape: Sequence[int]) -> Any:
    """`x` broadcast to `shape`."""
    wanted = tuple(shape)
    if isinstance(x, Complex):
        return Complex(expand(c, x.real, wanted), expand(c, x.imaginary, wanted))
    return x if c.shape(x) == wanted else c.apply("expand", x, shape=wanted)


def concat(c: Lowerer, parts: Sequence[Any], axis: int) -> Any:
    """The parts behind one another; a part without elements is left out."""
    kept = [p for p in parts if prod(c.shape(p))] or list(parts[:1])
    if any(isinstance(p, Complex) for p in kept):
        return Complex(concat(c, [p.real for p in kept], axis), concat(c, [p.imaginary for p in kept], axis))
    if len(kept) == 1:
        return kept[0]
    rank = len(c.shape(kept[0]))
    return c.apply("concat", *kept, axis=axis % rank)


def copied(c: Lowerer, x: Any) -> Any:
    """`x` copied into the plain row-major layout."""
    if isinstance(x, Complex):
        return Complex(copied(c, x.real), copied(c, x.imaginary))
    return c.apply("contiguous", x)


def _same(c: Lowerer, x: Any, *ignored: Any, **options: Any) -> Any:
    return x


def _view(c: Lowerer, x: Any, shape: Sequence[int] | torch.dtype = ()) -> Any:
    if isinstance(shape, torch.dtype):
        raise c.refusal(f"a view of the bits as {shape}", "cast with .to(dtype), or keep the format")
    return reshape(c, x, c.out.shape)


def _reshape(c: Lowerer, x: Any, *ignored: Any, **options: Any) -> Any:
    """A reshape that torch can only do by copying is a copy here too."""
    source = c.fake(0)
    if isinstance(source, torch.Tensor) and not viewable(source, tuple(c.out.shape)):
        x = copied(c, x)
    return reshape(c, x, c.out.shape)


def _contiguous(c: Lowerer, x: Any, *, memory_format: Any = None) -> Any:
    """A copy, unless the bytes lie in that order already."""
    steps = zip(c.fake(0).stride(), c.out.stride(), c.out.shape, strict=True)
    return x if all(before == after for before, after, extent in steps if extent > 1) else copied(c, x)


def _to(c: Lowerer, x: Any, *ignored: Any, **options: Any) -> Any:
    """A change of format; a change of device is none of the graph's business."""
    if c.out.dtype.is_complex:
        return x if isinstance(x, Complex) else Complex(x, c.value(0.0))
    if isinstance(x, Complex):
        return c.cast(x.real, c.out.dtype)
    return c.cast(x, c.out.dtype)


def _permute(c: Lowerer, x: Any, axes: Sequence[int]) -> Any:
    return permute(c, x, axes)


def _transpose(c: Lowerer, x: Any, first: int = 0, second: int = 1) -> Any:
    axes = list(range(len(c.shape(x))))
    if len(axes) < 2:
        return x
    axes[first], axes[second] = axes[second], axes[first]
    return permute(c, x, axes)


def _swap_last(c: Lowerer, x: Any) -> Any:
    return _transpose(c, x, -2, -1)


def _reverse_axes(c: Lowerer, x: Any) -> Any:
    return permute(c, x, tuple(reversed(range(len(c.shape(x))))))


def _movedim(c: Lowerer, x: Any, source: Any, destination: Any) -> Any:
    rank = len(c.shape(x))
    sources = [s % rank for s in ([source] if isinstance(source, int) else source)]
    targets = [d % rank for d in ([destination] if isinstance(destination, int) else destination)]
    order = [axis for axis in range(rank) if axis not in sources]
    for target, axis in sorted(zip(targets, sources, strict=True)):
        order.insert(target, axis)
    return permute(c, x, order)


def _expand(c: Lowerer, x: Any, *ignored: Any, **options: Any) -> Any:
    return expand(c, x, c.out.shape)


def _slice(
    c: Lowerer, x: Any, axis: int = 0, start: int | None = None, end: int | None = None, step: int = 1
) -> Any:
    extent = c.shape(x)[axis]
    first, last, stride = slice(start, end, step).indices(extent)
    return cut(c, x, axis, first, max(first, last), stride)


def _narrow(c: Lowerer, x: Any, axis: int, start: int, length: int) -> Any:
    start = start % c.shape(x)[axis] if start < 0 else start
    return cut(c, x, axis, start, start + length)


def select(c: Lowerer, x: Any, axis: int, index: int) -> Any:
    """One row along `axis`, which vanishes."""
    shape = c.shape(x)
    if isinstance(x, Complex):
        return Complex(select(c, x.real, axis, index), select(c, x.imaginary, axis, index))
    if shape[axis] == 1:
        return reshape(c, x, shape[: axis % len(shape)] + shape[axis % len(shape) + 1 :])
    return c.apply("select", x, axis=axis % len(shape), index=index % shape[axis])


def _pieces(c: Lowerer, x: Any, sizes: Sequence[int], axis: int) -> list[Any]:
    if len(sizes) == 1:
        return [x]
    if isinstance(x, Complex):
        pairs = zip(_pieces(c, x.real, sizes, axis), _pieces(c, x.imaginary, sizes, axis), strict=True)
        return [Complex(real, imaginary) for real, imaginary in pairs]
    return list(c.apply("split", x, sizes=tuple(sizes), axis=axis % len(c.shape(x))))


def _split(c: Lowerer, x: Any, size: int | Sequence[int], dim: int = 0) -> list[Any]:
    extent = c.shape(x)[dim]
    if isinstance(size, int):
        size = [min(size, extent - start) for start in range(0, extent, size)] if extent else [0]
    return _pieces(c, x, size, dim)


def _chunk(c: Lowerer, x: Any, chunks: int, dim: int = 0) -> list[Any]:
    return _split(c, x, -(-c.shape(x)[dim] // chunks), dim)


def _tensor_split(c: Lowerer, x: Any, parts: int | Sequence[int], dim: int = 0) -> list[Any]:
    extent = c.shape(x)[dim]
    if isinstance(parts, int):
        each, rest = divmod(extent, parts)
        return _pieces(c, x, [each + (i < rest) for i in range(parts)], dim)
    edges = [0, *parts, extent]
    return [cut(c, x, dim, a, b) for a, b in itertools.pairwise(edges)]


def _unbind(c: Lowerer, x: Any, dim: int = 0) -> list[Any]:
    return [select(c, x, dim, i) for i in range(c.shape(x)[dim])]


def _cat(c: Lowerer, parts: Sequence[Any], dim: int = 0) -> Any:
    dtype = c.out.dtype
    alike = [p if isinstance(p, Complex) else c.cast(p, dtype) for p in parts]
    return concat(c, alike, dim)


def _stack(c: Lowerer, parts: Sequence[Any], dim: int = 0) -> Any:
    shape = c.shape(parts[0])
    axis = dim % (len(shape) + 1)
    if any(isinstance(p, Complex) for p in parts) or len(parts) == 1:
        return concat(c, [reshape(c, p, (*shape[:axis], 1, *shape[axis:])) for p in parts], axis)
    return c.apply("stack", *[c.cast(p, c.out.dtype) for p in parts], axis=axis)


def _repeat(c: Lowerer, x: Any, repeats: Sequence[int]) -> Any:
    """The whole tensor side by side; where only axes of one element repeat, a broadcast and a copy."""
    shape = (*[1] * (len(repeats) - len(c.shape(x))), *c.shape(x))
    if all(r == 1 for r in repeats):
        return reshape(c, x, shape)
    return c.apply("tile", reshape(c, x, shape), repeats=tuple(repeats))


def _repeat_interleave(
    c: Lowerer, x: Any, repeats: Any = None, dim: int | None = None, *, output_size: int | None = None
) -> Any:
    """Each row `repeats` times in a row."""
    if not isinstance(repeats, int):
        raise c.refusal("a number of repeats that the data decide", "give repeats as a Python int")
    if dim is None:
        x, dim = reshape(c, x, (prod(c.shape(x)),)), 0
    return c.apply("repeat", x, count=repeats, axis=dim % len(c.shape(x)))


def _roll(c: Lowerer, x: Any, shifts: Any, dims: Any = ()) -> Any:
    shifts = [shifts] if isinstance(shifts, int) else list(shifts)
    dims = [dims] if isinstance(dims, int) else list(dims)
    if not dims:
        flat = reshape(c, x, (prod(c.shape(x)),))
        return reshape(c, c.apply("roll", flat, shifts=tuple(shifts), axes=(0,)), c.out.shape)
    rank = len(c.shape(x))
    return c.apply("roll", x, shifts=tuple(shifts), axes=tuple(d % rank for d in dims))


def _flip(c: Lowerer, x: Any, dims: Any) -> Any:
    dims = [dims] if isinstance(dims, int) else dims
    rank = len(c.shape(x))
    return c.apply("flip", x, axes=tuple(d % rank for d in dims))


def _diagonal(c: Lowerer, x: Any, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Any:
    rank = len(c.shape(x))
    return c.apply("diagonal", x, offset=offset, axis0=dim1 % rank, axis1=dim2 % rank)


def _unfold(c: Lowerer, x: Any, axis: int, size: int, step: int) -> Any:
    """Overlapping windows along one axis: consumers address the same bytes again."""
    return c.apply("windows", x, axis=axis % len(c.shape(x)), size=size, step=step)


def _pad(c: Lowerer, x: Any, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Any:
    """torch lists pairs from the last axis on; ours are counts before and after each axis."""
    before, after = [0] * len(c.shape(x)), [0] * len(c.shape(x))
    for i in range(len(pad) // 2):
        before[-1 - i], after[-1 - i] = pad[2 * i], pad[2 * i + 1]
    if not any(before) and not any(after):
        return x
    if mode == "constant" and max(*before, *after) <= 0:
        for axis, extent in enumerate(c.shape(x)):
            x = cut(c, x, axis, -before[axis], extent + after[axis])
        return x
    number = value if isinstance(value, (bool, int, float)) else 0.0
    return c.apply("pad", x, before=tuple(before), after=tuple(after), mode=mode, value=float(number))


def _triangle(op: str) -> Rule:
    return lambda c, x, diagonal=0: c.apply(op, x, diagonal=diagonal)


def _broadcast_tensors(c: Lowerer, parts: Sequence[Any]) -> list[Any]:
    shape = tuple(torch.broadcast_shapes(*(c.shape(p) for p in parts)))
    return [expand(c, p, shape) for p in parts]


def _pixel_shuffle(c: Lowerer, x: Any, factor: int) -> Any:
    *lead, channels, height, width = c.shape(x)
    n, out = len(lead), channels // factor**2
    split = reshape(c, x, (*lead, out, factor, factor, height, width))
    moved = permute(c, split, (*range(n), n, n + 3, n + 1, n + 4, n + 2))
    return reshape(c, copied(c, moved), c.out.shape)


def _pixel_unshuffle(c: Lowerer, x: Any, factor: int) -> Any:
    *lead, channels, height, width = c.shape(x)
    n = len(lead)
    split = reshape(c, x, (*lead, channels, height // factor, factor, width // factor, factor))
    moved = permute(c, split, (*range(n), n, n + 2, n + 4, n + 1, n + 3))
    return reshape(c, copied(c, moved), c.out.shape)


def _as_strided(
    c: Lowerer, x: Any, size: Sequence[int], stride: Sequence[int], offset: int | None = None
) -> Any:
    """Overlapping windows: the flat tensor's elements gathered in the order that the strides give."""
    source = c.fake(0)
    order = sorted(range(source.dim()), key=source.stride, reverse=True)  # of the axes in memory
    if not source.permute(order).is_contiguous():
        raise c.refusal(
            "a source whose elements do not lie side by side", "call .contiguous() before as_strided"
        )
    x = x if order == sorted(order) else _permute(c, x, order)
    where = torch.zeros((), dtype=torch.int64) + (offset or 0)
    for axis, (extent, step) in enumerate(zip(size, stride, strict=True)):
        steps = torch.arange(extent) * step
        where = where + steps.reshape(-1, *[1] * (len(size) - 1 - axis))
    flat = reshape(c, x, (prod(c.shape(x)),))
    return c.apply("take", flat, Literal.of(where), axis=0)


_VIEWS = ("view", "_unsafe_view", "squeeze", "unsqueeze", "unflatten", "view_as")
_SAME = ("alias", "detach", "dropout", "lift_fresh", "lift_fresh_copy", "feature_dropout", "alpha_dropout",
         "lift", "positive", "requires_grad_")  # fmt: skip

RULES: Mapping[str, Rule] = MappingProxyType(
    {f"aten.{name}": _view for name in _VIEWS}
    | {f"aten.{name}": _same for name in _SAME}
    | {f"aten.{name}": _reshape for name in ("reshape", "flatten", "reshape_as", "ravel", "view_copy")}
    | {
        f"aten.{name}": _to
        for name in ("to", "_to_copy", "type_as", "float", "half", "bfloat16", "long", "double")
    }
    | {f"aten.{name}": _expand for name in ("expand", "expand_as", "broadcast_to", "expand_copy")}
    | {f"aten.reflection_pad{n}d": lambda c, x, pad: _pad(c, x, pad, "reflect") for n in (1, 2, 3)}
    | {f"aten.replication_pad{n}d": lambda c, x, pad: _pad(c, x, pad, "replicate") for n in (1, 2, 3)}
    | {
        "aten.squeeze": lambda c, x, *dims: reshape(c, x, c.out.shape),
        "aten.unsqueeze": lambda c, x, dim: reshape(c, x, c.out.shape),
        "aten.unflatten": lambda c, x, dim, sizes: reshape(c, x, c.out.shape),
        "aten.contiguous": _contiguous,
        "aten.clone": _contiguous,
        "aten.permute": _permute,
        "aten.transpose": _transpose,
        "aten.swapaxes": _transpose,
        "aten.swapdims": _transpose,
        "aten.t": _transpose,
        "aten.numpy_T": _reverse_axes,
        "aten.mT": _swap_last,
        "aten.adjoint": _swap_last,
        "aten.movedim": _movedim,
        "aten.moveaxis": _movedim,
        "aten.slice": _slice,
        "aten.narrow": _narrow,
        "aten.select": select,
        "aten.split": _split,
        "aten.split_with_sizes": _split,
        "aten.chunk": _chunk,
        "aten.unsafe_chunk": _chunk,
        "aten.unsafe_split": _split,
        "aten.tensor_split": _tensor_split,
        "aten.unbind": _unbind,
        "aten.cat": _cat,
        "aten.concat": _cat,
        "aten.concatenate": _cat,
        "aten.stack": _stack,
        "aten.repeat": _repeat,
        "aten.tile": lambda c, x, dims: _repeat(c, x, [1] * (len(c.shape(x)) - len(dims)) + list(dims)),
        "aten.repeat_interleave": _repeat_interleave,
        "aten.roll": _roll,
        "aten.flip": _flip,
        "aten.diagonal": _diagonal,
        "aten.unfold": _unfold,
        "aten.pad": _pad,
        "aten.constant_pad_nd": lambda c, x, pad, value=0: _pad(c, x, pad, "constant", value),
        "aten.tril": _triangle("tril"),
        "aten.triu": _triangle("triu"),
        "aten.broadcast_tensors": _broadcast_tensors,
        "aten.pixel_shuffle": _pixel_shuffle,
        "aten.pixel_unshuffle": _pixel_unshuffle,
        "aten.as_strided": _as_strided,
    }
)
