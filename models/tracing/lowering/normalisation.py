"""Normalisations, kept whole: layer, RMS, group, instance and batch norm; weight norm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import torch

from siliform.models.tracing.lowerer import Lowerer, Rule
from siliform.models.tracing.lowering.movement import reshape


def _layer_norm(
    c: Lowerer,
    x: Any,
    shape: Sequence[int],
    weight: Any = None,
    bias: Any = None,
    eps: float = 1e-5,
    *rest: Any,
) -> Any:
    return c.apply("layer_norm", x, weight, bias, dims=len(shape), eps=float(eps))


def _native_layer_norm(c: Lowerer, x: Any, shape: Sequence[int], weight: Any, bias: Any, eps: float) -> Any:
    return [_layer_norm(c, x, shape, weight, bias, eps), None, None]


def _rms_norm(c: Lowerer, x: Any, shape: Sequence[int], weight: Any = None, eps: float | None = None) -> Any:
    small = torch.finfo(c.out.dtype).eps if eps is None else eps
    return c.apply("rms_norm", x, weight, dims=len(shape), eps=float(small))


def _group_norm(
    c: Lowerer, x: Any, groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5, *rest: Any
) -> Any:
    return c.apply("group_norm", x, weight, bias, groups=groups, eps=float(eps))


def _native_group_norm(
    c: Lowerer, x: Any, weight: Any, bias: Any, n: int, channels: int, pixels: int, groups: int, eps: float
) -> Any:
    return [_group_norm(c, x, groups, weight, bias, eps), None, None]


def _batch_norm(
    c: Lowerer,
    x: Any,
    weight: Any,
    bias: Any,
    mean: Any,
    var: Any,
    training: bool,
    momentum: float,
    eps: float,
    *rest: Any,
) -> Any:
    if mean is None or training:
        return _by_batch(c, x, weight, bias, float(eps))
    return c.apply("batch_norm", x, mean, var, weight, bias, eps=float(eps))


def _by_batch(c: Lowerer, x: Any, weight: Any, bias: Any, eps: float) -> Any:
    """Each channel normalised by its own mean and variance over all samples and places."""
    rank, channels = len(c.shape(x)), c.shape(x)[1]
    axes = tuple(axis for axis in range(rank) if axis != 1)
    shape = (channels, *[1] * (rank - 2))
    mean = c.apply("reduce_mean", x, axes=axes, keepdims=True)
    spread = c.apply("reduce_var", x, axes=axes, keepdims=True, correction=0)
    scale = c.apply("rsqrt", c.apply("add", spread, eps))
    made = c.apply("mul", c.apply("sub", x, mean), scale)
    if weight is not None:
        made = c.apply("mul", made, reshape(c, weight, shape))
    return made if bias is None else c.apply("add", made, reshape(c, bias, shape))


def _batch_norm_without_training(
    c: Lowerer, x: Any, weight: Any, bias: Any, mean: Any, var: Any, momentum: float, eps: float
) -> Any:
    return [_batch_norm(c, x, weight, bias, mean, var, False, momentum, eps), None, None]


def _instance_norm(
    c: Lowerer,
    x: Any,
    weight: Any,
    bias: Any,
    mean: Any,
    var: Any,
    use_input: bool,
    momentum: float,
    eps: float,
    *rest: Any,
) -> Any:
    if use_input:
        return c.apply("instance_norm", x, weight, bias, eps=float(eps))
    return c.apply("batch_norm", x, mean, var, weight, bias, eps=float(eps))


def _weight_norm(c: Lowerer, direction: Any, length: Any, dim: int = 0) -> Any:
    """``g v / |v|``, the norm over every axis but `dim`."""
    rank = len(c.shape(direction))
    axes = tuple(axis for axis in range(rank) if axis != dim % rank) if dim != -1 else tuple(range(rank))
    norm = c.apply("norm", direction, axes=axes, keepdims=True, order=2.0)
    return c.apply("mul", direction, c.apply("div", length, norm))


RULES: Mapping[str, Rule] = MappingProxyType(
    {
        "aten.layer_norm": _layer_norm,
        "aten.native_layer_norm": _native_layer_norm,
        "aten.rms_norm": _rms_norm,
        "aten._fused_rms_norm": lambda c, x, shape, weight, eps: [_rms_norm(c, x, shape, weight, eps), None],
        "aten.group_norm": _group_norm,
        "aten.native_group_norm": _native_group_norm,
        "aten.batch_norm": _batch_norm,
        "aten._native_batch_norm_legit_no_training": _batch_norm_without_training,
        "aten.instance_norm": _instance_norm,
        "aten._weight_norm": _weight_norm,
        "aten._weight_norm_interface": lambda c, v, g, dim=0: [_weight_norm(c, v, g, dim), None],
    }
)
