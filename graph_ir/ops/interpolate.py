"""interpolate: resampling the spatial axes of [N, C, ...], one axis after another.

Each output position reads one (nearest), two (linear) or four (cubic) taps per axis; the taps beyond
an end read the element at the end.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from siliform.graph_ir.ops.common import float_of, floating, narrow, wide
from siliform.graph_ir.opspec import OpSpec
from siliform.graph_ir.space import Space
from siliform.graph_ir.types import TensorType

#: Taps per axis of each mode. PyTorch calls linear "bilinear" over two axes and "trilinear" over three.
_TAPS = {"nearest": 1, "linear": 2, "bilinear": 2, "trilinear": 2, "bicubic": 4}

#: The free parameter of cubic convolution. Source: PyTorch, UpSample.h, get_cubic_upsample_coefficients.
_CUBIC_A = -0.75


def _positions(extent: int, count: int, scale: float | None, corners: bool, mode: str) -> np.ndarray:
    """Where each output position lies on the input axis."""
    index = np.arange(count, dtype=np.float64)
    if corners and mode != "nearest":
        return index * ((extent - 1) / (count - 1) if count > 1 else 0)
    step = 1 / scale if scale else extent / count
    if mode == "nearest":
        return np.floor(index * step)
    centre = (index + 0.5) * step - 0.5
    return centre if mode == "bicubic" else np.maximum(centre, 0)


def _cubic(offset: np.ndarray) -> np.ndarray:
    """Weights of the four taps around a position `offset` behind the second, [..., 4]."""
    a = _CUBIC_A
    near = [offset, 1 - offset]
    far = [offset + 1, 2 - offset]
    inner = [((a + 2) * t - (a + 3)) * t * t + 1 for t in near]
    outer = [((a * t - 5 * a) * t + 8 * a) * t - 4 * a for t in far]
    return np.stack([outer[0], inner[0], inner[1], outer[1]], axis=-1)


def taps(
    extent: int, count: int, scale: float | None, corners: bool, mode: str
) -> tuple[np.ndarray, np.ndarray]:
    """Indices and weights [count, taps] that resample an axis of `extent` elements to `count`."""
    position = _positions(extent, count, scale, corners, mode)
    first = np.floor(position).astype(np.int64)
    offset = position - first
    if mode == "nearest":
        index, weight = first[:, None], np.ones((count, 1))
    elif mode == "bicubic":
        index, weight = first[:, None] + np.arange(-1, 3), _cubic(offset)
    else:
        index, weight = first[:, None] + np.arange(2), np.stack([1 - offset, offset], axis=-1)
    return np.clip(index, 0, extent - 1), weight


def _reference(
    x: np.ndarray,
    *,
    size: Sequence[int],
    mode: str = "nearest",
    align_corners: bool = False,
    scale: Sequence[float] | None = None,
) -> np.ndarray:
    """x [N, C, ...] -> [N, C, *size]; `scale` per axis, where it is not the quotient of the sizes."""
    made = wide(floating(x))
    for i, count in enumerate(size):
        axis = i + 2
        own = None if scale is None else scale[i]
        index, weight = taps(made.shape[axis], count, own, align_corners, mode)
        found = np.take(made, index, axis=axis)
        made = np.sum(found * weight.reshape(*weight.shape, *[1] * (made.ndim - axis - 1)), axis=axis + 1)
    return narrow(made, x)


def _shape(
    x: TensorType,
    *,
    size: Sequence[int],
    mode: str = "nearest",
    align_corners: bool = False,
    scale: Sequence[float] | None = None,
) -> TensorType:
    if mode not in _TAPS:
        raise ValueError(f"interpolation mode {mode!r}; the modes are {', '.join(_TAPS)}")
    if len(size) != x.rank - 2 or min(size, default=0) < 1 or not prod(x.shape[2:]):
        raise ValueError(f"interpolation of {x.shape} to {list(size)}")
    if scale is not None and len(scale) != len(size):
        raise ValueError(f"{len(scale)} scales for {len(size)} spatial axes")
    return TensorType((*x.shape[:2], *size), float_of(x.format))


def _spaces(
    x: TensorType,
    *,
    size: Sequence[int],
    mode: str = "nearest",
    align_corners: bool = False,
    scale: Sequence[float] | None = None,
) -> list[Space]:
    body = {} if mode == "nearest" else {"mul": 1, "add": 1}
    made, shape = [], list(x.shape)
    for axis, count in enumerate(size, start=2):
        step = max(shape[axis] // count, 1)
        extents = {"p": prod(shape[:axis]), "o": count, "t": _TAPS[mode], "q": prod(shape[axis + 1 :])}
        made.append(Space.over(f"p {step}*o+t<{shape[axis]} q, o t -> p o q", body, extents))
        shape[axis] = count
    return made


interpolate = OpSpec(
    "interpolate", "pooling", _reference, _shape, _spaces, source="torch.nn.functional.interpolate"
)
