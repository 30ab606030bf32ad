"""linear: ``y = x Wᵀ + b`` over the last axis, weights stored as PyTorch stores them."""

from __future__ import annotations

from typing import Any

import numpy as np

from siliform.graph_ir.arithmetic import contract, product_type
from siliform.graph_ir.graph import Builder, Value
from siliform.graph_ir.ops.binary import add
from siliform.graph_ir.ops.dequantize import without_axis_scales
from siliform.graph_ir.ops.matmul import matmul
from siliform.graph_ir.ops.views import permute
from siliform.graph_ir.opspec import OpSpec
from siliform.graph_ir.space import Space
from siliform.graph_ir.types import TensorType
from siliform.graph_ir.variants import LINEAR


def _reference(x: np.ndarray, weight: np.ndarray, bias: np.ndarray | None = None) -> np.ndarray:
    """x [..., K], weight [N, K], bias [N] -> [..., N]."""
    result = contract("...k,nk->...n", x, weight)
    return result if bias is None else result + bias


def _shape(x: TensorType, weight: TensorType, bias: TensorType | None = None) -> TensorType:
    if x.shape[-1] != weight.shape[1]:
        raise ValueError(f"x has {x.shape[-1]} features, weight takes {weight.shape[1]}")
    if bias is not None and bias.shape != weight.shape[:1]:
        raise ValueError(f"bias has shape {bias.shape}, weight gives {weight.shape[0]} features")
    return product_type(x, weight).with_shape(*x.shape[:-1], weight.shape[0])


def _spaces(x: TensorType, weight: TensorType, bias: TensorType | None = None) -> list[Space]:
    n, k = weight.shape
    m = x.elements // k
    product = Space.over("m k, n k -> m n", {"mac": 1}, m=m, n=n, k=k)
    added = Space.over("m n, n -> m n", {"add": 1}, m=m, n=n)
    return [product] if bias is None else [product, added]


def _expansion(b: Builder, x: Value, weight: Value, bias: Value | None = None) -> Any:
    x, weight = without_axis_scales(b, x, weight)
    product = b(matmul, x, b(permute, weight, axes=(1, 0)))
    return product if bias is None else b(add, product, bias)


linear = OpSpec(
    "linear",
    "matmul",
    _reference,
    _shape,
    _spaces,
    _expansion,
    variants=LINEAR,
    source="torch.nn.functional.linear",
)
