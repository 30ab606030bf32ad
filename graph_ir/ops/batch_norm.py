"""batch_norm in inference: the running statistics fold into one product and one addition."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from siliform.graph_ir.graph import Builder, Value
from siliform.graph_ir.ops.binary import add, mul, sub
from siliform.graph_ir.ops.common import float_of, narrow, wide
from siliform.graph_ir.ops.creation import scalar
from siliform.graph_ir.ops.unary import rsqrt
from siliform.graph_ir.ops.views import reshape
from siliform.graph_ir.opspec import OpSpec
from siliform.graph_ir.space import Space
from siliform.graph_ir.types import TensorType


def _reference(
    x: np.ndarray,
    mean: np.ndarray,
    variance: np.ndarray,
    weight: np.ndarray | None = None,
    bias: np.ndarray | None = None,
    *,
    eps: float = 1e-5,
) -> np.ndarray:
    """x [N, C, ...], the others [C] -> (x - mean) / sqrt(variance + eps) weight + bias."""
    shape = (-1, *[1] * (np.ndim(x) - 2))
    factor = 1 / np.sqrt(wide(variance) + eps) * (1 if weight is None else wide(weight))
    offset = (0 if bias is None else wide(bias)) - wide(mean) * factor
    return narrow(wide(x) * factor.reshape(shape) + np.reshape(offset, shape), x)


def _shape(
    x: TensorType,
    mean: TensorType,
    variance: TensorType,
    weight: TensorType | None = None,
    bias: TensorType | None = None,
    *,
    eps: float = 1e-5,
) -> TensorType:
    named = {"mean": mean, "variance": variance, "weight": weight, "bias": bias}
    for name, given in named.items():
        if given is not None and given.shape != x.shape[1:2]:
            raise ValueError(f"{name} of batch_norm has shape {given.shape}, x gives {x.shape[1:2]}")
    return x.with_format(float_of(x.format))


def _spaces(
    x: TensorType,
    mean: TensorType,
    variance: TensorType,
    weight: TensorType | None = None,
    bias: TensorType | None = None,
    *,
    eps: float = 1e-5,
) -> list[Space]:
    n, c, i = x.shape[0], x.shape[1], prod(x.shape[2:])
    given = [o for o in (mean, variance, weight, bias) if o is not None]
    products = 1 if weight is None else 2
    body = {"add": 1 if bias is None else 2, "rsqrt": 1, "mul": products}
    fold = Space.over(f"{', '.join(['c'] * len(given))} -> c, c", body, c=c)
    return [fold, Space.over("n c i, c, c -> n c i", {"mul": 1, "add": 1}, n=n, c=c, i=i)]


def _expansion(
    b: Builder,
    x: Value,
    mean: Value,
    variance: Value,
    weight: Value | None = None,
    bias: Value | None = None,
    *,
    eps: float = 1e-5,
) -> Any:
    shape = (mean.type.elements, *[1] * (x.type.rank - 2))
    factor = b(rsqrt, b(add, variance, scalar(b, eps, variance)))
    factor = factor if weight is None else b(mul, factor, weight)
    made = b(mul, b(sub, x, b(reshape, mean, shape=shape)), b(reshape, factor, shape=shape))
    return made if bias is None else b(add, made, b(reshape, bias, shape=shape))


batch_norm = OpSpec(
    "batch_norm",
    "normalisation",
    _reference,
    _shape,
    _spaces,
    _expansion,
    source="torch.nn.functional.batch_norm, training=False; Ioffe and Szegedy, arXiv 1502.03167",
)
