"""max_pool, avg_pool and adaptive_avg_pool over one, two or three spatial axes of [N, C, ...]."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from siliform.graph_ir.ops.common import float_of, floating, narrow, plain, real, wide
from siliform.graph_ir.ops.sliding import Sliding
from siliform.graph_ir.opspec import OpSpec
from siliform.graph_ir.space import Access, Space, Window
from siliform.graph_ir.types import TensorType

Sizes = int | Sequence[int]


def _max_pool(
    x: np.ndarray,
    *,
    kernel: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    dilation: Sizes = 1,
    ceil_mode: bool = False,
) -> np.ndarray:
    """x [N, C, ...] -> the largest of each window; stride None is the kernel's size."""
    known = real(x)
    sliding = Sliding.of(known.shape, kernel, stride, padding, dilation, ceil_mode)
    least = -np.inf if known.dtype.kind == "f" else np.iinfo(known.dtype).min
    found = sliding.windows(known, least)
    return np.max(found, axis=tuple(range(-len(sliding.out), 0)))


def _max_pool_shape(
    x: TensorType,
    *,
    kernel: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    dilation: Sizes = 1,
    ceil_mode: bool = False,
) -> TensorType:
    sliding = Sliding.of(x.shape, kernel, stride, padding, dilation, ceil_mode)
    if any(2 * p > k for p, k in zip(sliding.padding, sliding.kernel, strict=True)):
        raise ValueError(f"padding {sliding.padding} is more than half the kernel {sliding.kernel}")
    return TensorType((*x.shape[:2], *sliding.out), plain(x.format))


def _max_pool_spaces(
    x: TensorType,
    *,
    kernel: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    dilation: Sizes = 1,
    ceil_mode: bool = False,
) -> list[Space]:
    sliding = Sliding.of(x.shape, kernel, stride, padding, dilation, ceil_mode)
    return [_windowed(x, sliding, {"compare": 1})]


def _windowed(x: TensorType, sliding: Sliding, body: dict[str, int]) -> Space:
    accesses = f"n c {sliding.axes()} -> n c {sliding.dims('o')}"
    return Space.over(accesses, body, sliding.extents, n=x.shape[0], c=x.shape[1])


max_pool = OpSpec(
    "max_pool",
    "pooling",
    _max_pool,
    _max_pool_shape,
    _max_pool_spaces,
    source="torch.nn.functional.max_pool2d",
)


def _avg_pool(
    x: np.ndarray,
    *,
    kernel: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    ceil_mode: bool = False,
    count_padding: bool = True,
) -> np.ndarray:
    """x [N, C, ...] -> the mean of each window, its padding counted as zeros or left out."""
    known = wide(x)
    sliding = Sliding.of(known.shape, kernel, stride, padding, 1, ceil_mode)
    axes = tuple(range(-len(sliding.out), 0))
    # A window that hangs over the padded input is divided by what lies inside of it.
    inside = np.ones((1, 1, *sliding.length)) if not count_padding else None
    widths = [(0, 0), (0, 0), *((p, p) for p in sliding.padding)]
    counted = np.pad(inside, widths) if inside is not None else None
    if counted is None:
        counted = np.ones((1, 1, *(n + 2 * p for n, p in zip(sliding.length, sliding.padding, strict=True))))
    unpadded = Sliding(
        length=counted.shape[2:],
        kernel=sliding.kernel,
        stride=sliding.stride,
        padding=(0,) * len(axes),
        dilation=sliding.dilation,
        behind=(0,) * len(axes),
        ceil_mode=ceil_mode,
    )
    total = unpadded.windows(np.pad(known, widths))
    found = unpadded.windows(counted)
    cut = (..., *(slice(0, o) for o in sliding.out))
    return narrow((total.sum(axis=axes) / np.maximum(found.sum(axis=axes), 1))[cut], x)


def _avg_pool_shape(
    x: TensorType,
    *,
    kernel: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    ceil_mode: bool = False,
    count_padding: bool = True,
) -> TensorType:
    made = _max_pool_shape(x, kernel=kernel, stride=stride, padding=padding, ceil_mode=ceil_mode)
    return made.with_format(float_of(x.format))


def _avg_pool_spaces(
    x: TensorType,
    *,
    kernel: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    ceil_mode: bool = False,
    count_padding: bool = True,
) -> list[Space]:
    sliding = Sliding.of(x.shape, kernel, stride, padding, 1, ceil_mode)
    outputs = prod((*x.shape[:2], *sliding.out))
    return [_windowed(x, sliding, {"add": 1}), Space.elementwise((outputs,), {"mul": 1})]


avg_pool = OpSpec(
    "avg_pool",
    "pooling",
    _avg_pool,
    _avg_pool_shape,
    _avg_pool_spaces,
    source="torch.nn.functional.avg_pool2d",
)


def bins(extent: int, count: int) -> list[tuple[int, int]]:
    """First element and end of each of `count` bins that cover `extent` elements, as PyTorch cuts them."""
    return [(i * extent // count, -(-(i + 1) * extent // count)) for i in range(count)]


def _adaptive_avg_pool(x: np.ndarray, *, size: Sequence[int]) -> np.ndarray:
    """x [N, C, ...] -> [N, C, *size], means over bins of as equal an extent as possible."""
    made = wide(floating(x))
    for axis, count in enumerate(size, start=2):
        parts = [
            made.take(range(low, end), axis=axis).mean(axis=axis)
            for low, end in bins(made.shape[axis], count)
        ]
        made = np.stack(parts, axis=axis)
    return narrow(made, x)


def _adaptive_avg_pool_shape(x: TensorType, *, size: Sequence[int]) -> TensorType:
    if len(size) != x.rank - 2 or min(size, default=0) < 1 or not prod(x.shape[2:]):
        raise ValueError(f"adaptive_avg_pool of {x.shape} to {list(size)}")
    return TensorType((*x.shape[:2], *size), float_of(x.format))


def _adaptive_avg_pool_spaces(x: TensorType, *, size: Sequence[int]) -> list[Space]:
    cut = [bins(extent, count) for extent, count in zip(x.shape[2:], size, strict=True)]
    kept = prod(x.shape[:2]) * prod(sum(end - low for low, end in axis) for axis in cut)
    extents: dict[str, int] = {"n": x.shape[0], "c": x.shape[1]}
    axes: list[tuple[str, ...]] = [("n",), ("c",)]
    windows: list[Window | None] = [None, None]
    for i, (axis, extent, count) in enumerate(zip(cut, x.shape[2:], size, strict=True)):
        extents |= {f"o{i}": count, f"k{i}": max(end - low for low, end in axis)}
        axes.append((f"o{i}", f"k{i}"))
        windows.append(Window((-(-extent // count), 1), length=extent))
    write = Access(tuple(a if len(a) == 1 else a[:1] for a in axes))
    read = Access(tuple(axes), tuple(windows))
    even = kept == prod(extents.values())
    added = Space(extents, (read,), (write,), {"add": 1}, None if even else kept)
    return [added, Space.elementwise((prod((*x.shape[:2], *size)),), {"mul": 1})]


def _adaptive_avg_pool_expansion(b: Any, x: Any, *, size: Sequence[int]) -> Any:
    shape = x.type.shape[2:]
    if any(extent % count for extent, count in zip(shape, size, strict=True)):
        from siliform.graph_ir.ops.copies import concat
        from siliform.graph_ir.ops.reductions import reduce_mean
        from siliform.graph_ir.ops.views import slice as part

        made = x
        for axis, count in enumerate(size, start=2):
            means = [
                b(reduce_mean, b(part, made, axis=axis, start=low, end=end), axes=(axis,), keepdims=True)
                for low, end in bins(made.type.shape[axis], count)
            ]
            made = means[0] if count == 1 else b(concat, *means, axis=axis)
        return made
    return b(avg_pool, x, kernel=tuple(e // count for e, count in zip(shape, size, strict=True)))


adaptive_avg_pool = OpSpec(
    "adaptive_avg_pool",
    "pooling",
    _adaptive_avg_pool,
    _adaptive_avg_pool_shape,
    _adaptive_avg_pool_spaces,
    _adaptive_avg_pool_expansion,
    source="torch.nn.functional.adaptive_avg_pool2d",
)
