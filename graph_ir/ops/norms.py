"""Normalisations: layer, RMS, group, instance and batch norm.

Per row: the sums by additions and squares, one reciprocal square root per row, then one product per
element and the affine part. Sums accumulate in float64.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from siliform.graph_ir.graph import Builder, Value
from siliform.graph_ir.ops.binary import add, mul, sub
from siliform.graph_ir.ops.common import float_of, narrow, wide
from siliform.graph_ir.ops.creation import scalar
from siliform.graph_ir.ops.reductions import reduce_mean
from siliform.graph_ir.ops.unary import rsqrt, square
from siliform.graph_ir.ops.views import reshape
from siliform.graph_ir.opspec import OpSpec
from siliform.graph_ir.space import Space
from siliform.graph_ir.types import TensorType
from siliform.graph_ir.variants import LAYER_NORM, RMS_NORM


def _affine(
    made: np.ndarray, weight: np.ndarray | None, bias: np.ndarray | None, shape: tuple[int, ...]
) -> np.ndarray:
    made = made if weight is None else made * wide(weight).reshape(shape)
    return made if bias is None else made + wide(bias).reshape(shape)


def _affine_expansion(b: Builder, made: Value, weight: Value | None, bias: Value | None, *shape: int) -> Any:
    for op, operand in ((mul, weight), (add, bias)):
        if operand is not None:
            fitted = operand if operand.type.shape == shape or not shape else b(reshape, operand, shape=shape)
            made = b(op, made, fitted)
    return made


def _row_statistics(r: int, i: int, *, centred: bool) -> list[Space]:
    """The spaces that lead from r rows of i elements to one reciprocal deviation per row."""
    rest = [
        Space.over("r i -> r", {"mul": 1, "add": 1}, r=r, i=i),
        Space.over("r -> r", {"mul": 1, "add": 1, "rsqrt": 1}, r=r),
    ]
    if not centred:
        return rest
    return [
        Space.over("r i -> r", {"add": 1}, r=r, i=i),
        Space.over("r -> r", {"mul": 1}, r=r),
        Space.over("r i, r -> r i", {"add": 1}, r=r, i=i),
        *rest,
    ]


def _affine_body(weight: TensorType | None, bias: TensorType | None) -> dict[str, int]:
    """Product with the reciprocal deviation, then weight and bias, per element."""
    return {"mul": 1 if weight is None else 2} | ({} if bias is None else {"add": 1})


def _check_affine(name: str, shape: tuple[int, ...], **operands: TensorType | None) -> None:
    for operand, given in operands.items():
        if given is not None and given.shape != shape:
            raise ValueError(f"{operand} of {name} has shape {given.shape}, x gives {shape}")


# --- layer and RMS norm: over the last `dims` axes --------------------------------------------------


def _layer_norm(
    x: np.ndarray,
    weight: np.ndarray | None = None,
    bias: np.ndarray | None = None,
    *,
    dims: int = 1,
    eps: float = 1e-5,
) -> np.ndarray:
    """x, weight and bias [last `dims` axes of x] -> (x - mean) / sqrt(variance + eps) weight + bias."""
    known, axes = wide(x), tuple(range(-dims, 0))
    centred = known - known.mean(axis=axes, keepdims=True)
    deviation = np.sqrt(np.square(centred).mean(axis=axes, keepdims=True) + eps)
    return narrow(_affine(centred / deviation, weight, bias, known.shape[-dims:]), x)


def _rms_norm(
    x: np.ndarray, weight: np.ndarray | None = None, *, dims: int = 1, eps: float = 1e-5
) -> np.ndarray:
    """x, weight [last `dims` axes of x] -> x / sqrt(mean(x^2) + eps) weight."""
    known = wide(x)
    mean = np.square(known).mean(axis=tuple(range(-dims, 0)), keepdims=True)
    return narrow(_affine(known / np.sqrt(mean + eps), weight, None, known.shape[-dims:]), x)


def _layer_norm_shape(
    x: TensorType,
    weight: TensorType | None = None,
    bias: TensorType | None = None,
    *,
    dims: int = 1,
    eps: float = 1e-5,
) -> TensorType:
    if not 1 <= dims <= x.rank or not prod(x.shape[-dims:]):
        raise ValueError(f"a norm over the last {dims} axes of {x.shape}")
    _check_affine("the norm", x.shape[-dims:], weight=weight, bias=bias)
    return x.with_format(float_of(x.format))


def _rms_norm_shape(
    x: TensorType, weight: TensorType | None = None, *, dims: int = 1, eps: float = 1e-5
) -> TensorType:
    return _layer_norm_shape(x, weight, dims=dims, eps=eps)


def _rows(x: TensorType, dims: int) -> tuple[int, int]:
    length = prod(x.shape[-dims:])
    return x.elements // length, length


def _layer_norm_spaces(
    x: TensorType,
    weight: TensorType | None = None,
    bias: TensorType | None = None,
    *,
    dims: int = 1,
    eps: float = 1e-5,
) -> list[Space]:
    r, i = _rows(x, dims)
    operands = "".join(", i" for o in (weight, bias) if o is not None)
    last = Space.over(f"r i, r{operands} -> r i", _affine_body(weight, bias), r=r, i=i)
    return [*_row_statistics(r, i, centred=True), last]


def _rms_norm_spaces(
    x: TensorType, weight: TensorType | None = None, *, dims: int = 1, eps: float = 1e-5
) -> list[Space]:
    r, i = _rows(x, dims)
    operands = "" if weight is None else ", i"
    last = Space.over(f"r i, r{operands} -> r i", _affine_body(weight, None), r=r, i=i)
    return [*_row_statistics(r, i, centred=False), last]


def _layer_norm_expansion(
    b: Builder,
    x: Value,
    weight: Value | None = None,
    bias: Value | None = None,
    *,
    dims: int = 1,
    eps: float = 1e-5,
) -> Any:
    axes = tuple(range(-dims, 0))
    centred = b(sub, x, b(reduce_mean, x, axes=axes, keepdims=True))
    made = b(_rms_norm_op(), centred, dims=dims, eps=eps)
    return _affine_expansion(b, made, weight, bias)


def _rms_norm_op() -> OpSpec:
    return rms_norm


def _rms_norm_expansion(
    b: Builder, x: Value, weight: Value | None = None, *, dims: int = 1, eps: float = 1e-5
) -> Any:
    mean = b(reduce_mean, b(square, x), axes=tuple(range(-dims, 0)), keepdims=True)
    made = b(mul, x, b(rsqrt, b(add, mean, scalar(b, eps, x))))
    return _affine_expansion(b, made, weight, None)


layer_norm = OpSpec(
    "layer_norm",
    "normalisation",
    _layer_norm,
    _layer_norm_shape,
    _layer_norm_spaces,
    _layer_norm_expansion,
    variants=LAYER_NORM,
    source="torch.nn.functional.layer_norm; Ba, Kiros and Hinton, arXiv 1607.06450",
)

rms_norm = OpSpec(
    "rms_norm",
    "normalisation",
    _rms_norm,
    _rms_norm_shape,
    _rms_norm_spaces,
    _rms_norm_expansion,
    variants=RMS_NORM,
    source="torch.nn.functional.rms_norm; Zhang and Sennrich, arXiv 1910.07467",
)


# --- group and instance norm: over groups of channels, axis 1 of x -----------------------------------


def _channels(x: tuple[int, ...]) -> tuple[int, ...]:
    """The shape in which one number per channel meets x [N, C, ...]."""
    return (x[1], *[1] * (len(x) - 2))


def _group_norm(
    x: np.ndarray,
    weight: np.ndarray | None = None,
    bias: np.ndarray | None = None,
    *,
    groups: int,
    eps: float = 1e-5,
) -> np.ndarray:
    """x [N, C, ...], weight and bias [C]: each of `groups` equal parts of C normalised per sample."""
    known = wide(x)
    rows = known.reshape(known.shape[0], groups, -1)
    centred = rows - rows.mean(axis=-1, keepdims=True)
    made = centred / np.sqrt(np.square(centred).mean(axis=-1, keepdims=True) + eps)
    return narrow(_affine(made.reshape(known.shape), weight, bias, _channels(known.shape)), x)


def _group_norm_shape(
    x: TensorType,
    weight: TensorType | None = None,
    bias: TensorType | None = None,
    *,
    groups: int,
    eps: float = 1e-5,
) -> TensorType:
    if x.rank < 2 or groups < 1 or x.shape[1] % groups or not x.elements:
        raise ValueError(f"{groups} groups of the channels of {x.shape}")
    _check_affine("group_norm", x.shape[1:2], weight=weight, bias=bias)
    return x.with_format(float_of(x.format))


def _group_norm_spaces(
    x: TensorType,
    weight: TensorType | None = None,
    bias: TensorType | None = None,
    *,
    groups: int,
    eps: float = 1e-5,
) -> list[Space]:
    n, c = x.shape[:2]
    pixels = prod(x.shape[2:])
    operands = "".join(", g c" for o in (weight, bias) if o is not None)
    last = Space.over(
        f"n g c i, n g{operands} -> n g c i",
        _affine_body(weight, bias),
        n=n,
        g=groups,
        c=c // groups,
        i=pixels,
    )
    return [*_row_statistics(n * groups, c // groups * pixels, centred=True), last]


def _group_norm_expansion(
    b: Builder,
    x: Value,
    weight: Value | None = None,
    bias: Value | None = None,
    *,
    groups: int,
    eps: float = 1e-5,
) -> Any:
    n = x.type.shape[0]
    rows = b(reshape, x, shape=(n, groups, x.type.elements // (n * groups)))
    made = b(reshape, b(layer_norm, rows, eps=eps), shape=x.type.shape)
    return _affine_expansion(b, made, weight, bias, *_channels(x.type.shape))


group_norm = OpSpec(
    "group_norm",
    "normalisation",
    _group_norm,
    _group_norm_shape,
    _group_norm_spaces,
    _group_norm_expansion,
    source="torch.nn.functional.group_norm; Wu and He, arXiv 1803.08494",
)


def _instance_norm(
    x: np.ndarray, weight: np.ndarray | None = None, bias: np.ndarray | None = None, *, eps: float = 1e-5
) -> np.ndarray:
    """x [N, C, ...], weight and bias [C]: each channel of each sample normalised."""
    return _group_norm(x, weight, bias, groups=np.shape(x)[1], eps=eps)


def _instance_norm_shape(
    x: TensorType, weight: TensorType | None = None, bias: TensorType | None = None, *, eps: float = 1e-5
) -> TensorType:
    if x.rank < 3:
        raise ValueError(f"instance_norm of {x.shape}, which has no axis behind its channels")
    return _group_norm_shape(x, weight, bias, groups=x.shape[1], eps=eps)


def _instance_norm_spaces(
    x: TensorType, weight: TensorType | None = None, bias: TensorType | None = None, *, eps: float = 1e-5
) -> list[Space]:
    return _group_norm_spaces(x, weight, bias, groups=x.shape[1], eps=eps)


def _instance_norm_expansion(
    b: Builder, x: Value, weight: Value | None = None, bias: Value | None = None, *, eps: float = 1e-5
) -> Any:
    return b(group_norm, x, weight, bias, groups=x.type.shape[1], eps=eps)


instance_norm = OpSpec(
    "instance_norm",
    "normalisation",
    _instance_norm,
    _instance_norm_shape,
    _instance_norm_spaces,
    _instance_norm_expansion,
    source="torch.nn.functional.instance_norm",
)
