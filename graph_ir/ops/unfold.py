"""unfold and fold: sliding windows laid out as columns (im2col), and columns added up again.

The rows of the columns are channels, then kernel positions; `Sliding` says what a window is.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from siliform.graph_ir.ops.common import moving
from siliform.graph_ir.ops.sliding import Sliding
from siliform.graph_ir.opspec import OpSpec
from siliform.graph_ir.space import Space
from siliform.graph_ir.types import TensorType

Sizes = int | Sequence[int]


def _unfold(
    x: np.ndarray,
    *,
    kernel: Sequence[int],
    stride: Sizes = 1,
    padding: Sizes = 0,
    dilation: Sizes = 1,
    behind: Sizes | None = None,
) -> np.ndarray:
    """x [N, C, ...] -> [N, C * taps, windows]; `behind` is the padding behind, that before where None."""
    sliding = Sliding.of(np.shape(x), kernel, stride, padding, dilation, behind=behind)
    count = len(kernel)
    found = sliding.windows(np.asarray(x))
    order = (0, 1, *range(2 + count, 2 + 2 * count), *range(2, 2 + count))
    return found.transpose(order).reshape(found.shape[0], found.shape[1] * sliding.taps, prod(sliding.out))


def _unfold_shape(
    x: TensorType,
    *,
    kernel: Sequence[int],
    stride: Sizes = 1,
    padding: Sizes = 0,
    dilation: Sizes = 1,
    behind: Sizes | None = None,
) -> TensorType:
    sliding = Sliding.of(x.shape, kernel, stride, padding, dilation, behind=behind)
    return x.with_shape(x.shape[0], x.shape[1] * sliding.taps, prod(sliding.out))


def _unfold_spaces(
    x: TensorType,
    *,
    kernel: Sequence[int],
    stride: Sizes = 1,
    padding: Sizes = 0,
    dilation: Sizes = 1,
    behind: Sizes | None = None,
) -> list[Space]:
    sliding = Sliding.of(x.shape, kernel, stride, padding, dilation, behind=behind)
    accesses = f"n c {sliding.axes()} -> n c {sliding.dims('k')} {sliding.dims('o')}"
    return [Space.over(accesses, {}, sliding.extents, n=x.shape[0], c=x.shape[1])]


unfold = OpSpec(
    "unfold",
    "movement",
    *moving("unfold", _unfold, _unfold_shape),
    _unfold_spaces,
    movement="copy",
    tolerance=0.0,
    source="torch.nn.functional.unfold",
)


def folded_back(columns: np.ndarray, sliding: Sliding) -> np.ndarray:
    """columns [N, C, *kernel, *positions] -> [N, C, *sliding.length], overlapping windows added."""
    count = len(sliding.length)
    positions = columns.shape[2 + count :]
    ends = ((p - 1) * s + r for p, s, r in zip(positions, sliding.stride, sliding.reach, strict=True))
    full = tuple(max(end, n + 2 * p) for end, n, p in zip(ends, sliding.length, sliding.padding, strict=True))
    exact = columns.dtype.kind in "iu"
    made = np.zeros((*columns.shape[:2], *full), dtype=columns.dtype if exact else np.float64)
    for tap in np.ndindex(*sliding.kernel):
        starts = [t * d for t, d in zip(tap, sliding.dilation, strict=True)]
        place: tuple[Any, ...] = tuple(
            slice(a, a + (p - 1) * s + 1, s)
            for a, p, s in zip(starts, positions, sliding.stride, strict=True)
        )
        made[(slice(None), slice(None), *place)] += columns[(slice(None), slice(None), *tap)]
    inside: tuple[Any, ...] = tuple(
        slice(p, p + n) for p, n in zip(sliding.padding, sliding.length, strict=True)
    )
    return made[(slice(None), slice(None), *inside)].astype(columns.dtype)


def _windows_over(
    size: Sequence[int],
    kernel: Sequence[int],
    stride: Sizes,
    padding: Sizes,
    dilation: Sizes,
    positions: Sequence[int] | None,
) -> tuple[Sliding, tuple[int, ...]]:
    sliding = Sliding.of((1, 1, *size), kernel, stride, padding, dilation)
    return sliding, sliding.out if positions is None else tuple(positions)


def _fold(
    x: np.ndarray,
    *,
    size: Sequence[int],
    kernel: Sequence[int],
    stride: Sizes = 1,
    padding: Sizes = 0,
    dilation: Sizes = 1,
    positions: Sequence[int] | None = None,
) -> np.ndarray:
    """x [N, C * taps, windows] -> [N, C, *size], overlapping windows added.

    `positions` counts the windows along each axis where the last ones do not fill `size`.
    """
    sliding, count = _windows_over(size, kernel, stride, padding, dilation, positions)
    columns = np.asarray(x)
    channels = columns.shape[1] // sliding.taps
    return folded_back(columns.reshape(columns.shape[0], channels, *sliding.kernel, *count), sliding)


def _fold_shape(x: TensorType, *, size: Sequence[int], **attributes: Any) -> TensorType:
    sliding, count = _fold_windows(size, attributes)
    if x.rank != 3 or x.shape[1] % sliding.taps or x.shape[2] != prod(count):
        raise ValueError(f"columns of shape {x.shape} for {prod(count)} windows of {sliding.taps} elements")
    return x.with_shape(x.shape[0], x.shape[1] // sliding.taps, *size)


def _fold_windows(size: Sequence[int], attributes: dict[str, Any]) -> tuple[Sliding, tuple[int, ...]]:
    return _windows_over(
        size,
        attributes["kernel"],
        attributes.get("stride", 1),
        attributes.get("padding", 0),
        attributes.get("dilation", 1),
        attributes.get("positions"),
    )


def _fold_spaces(x: TensorType, *, size: Sequence[int], **attributes: Any) -> list[Space]:
    sliding, count = _fold_windows(size, attributes)
    extents = sliding.extents | {f"o{i}": extent for i, extent in enumerate(count)}
    accesses = f"n c {sliding.dims('k')} {sliding.dims('o')} -> n c {sliding.axes()}"
    return [Space.over(accesses, {"add": 1}, extents, n=x.shape[0], c=x.shape[1] // sliding.taps)]


fold = OpSpec("fold", "movement", _fold, _fold_shape, _fold_spaces, source="torch.nn.functional.fold")
