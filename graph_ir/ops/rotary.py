"""rotary: positions as rotations of pairs of numbers. Source: Su et al., "RoFormer", arXiv 2104.09864."""

from __future__ import annotations

from typing import Any

import numpy as np

from siliform.graph_ir.graph import Builder, Value
from siliform.graph_ir.ops.binary import add, mul
from siliform.graph_ir.ops.common import float_of, floating, pointwise, promoted
from siliform.graph_ir.ops.copies import concat, stack
from siliform.graph_ir.ops.unary import neg
from siliform.graph_ir.ops.views import reshape, select, split
from siliform.graph_ir.opspec import OpSpec
from siliform.graph_ir.space import Space
from siliform.graph_ir.types import TensorType


def _reference(x: np.ndarray, cos: np.ndarray, sin: np.ndarray, *, interleaved: bool = False) -> np.ndarray:
    """x [..., c], cos and sin broadcast to x -> x cos + turned(x) sin.

    Turned x is (-x[c/2:], x[:c/2]), or where `interleaved`, (-x1, x0, -x3, x2, ...). Cos and sin hold
    each angle twice, once for either number of its pair.
    """
    known = floating(x)
    if interleaved:
        turned = np.stack([-known[..., 1::2], known[..., 0::2]], axis=-1).reshape(known.shape)
    else:
        half = known.shape[-1] // 2
        turned = np.concatenate([-known[..., half:], known[..., :half]], axis=-1)
    return known * floating(cos) + turned * floating(sin)


def _shape(x: TensorType, cos: TensorType, sin: TensorType, *, interleaved: bool = False) -> TensorType:
    if not x.rank or x.shape[-1] % 2:
        raise ValueError(f"rotary of {x.shape}, whose last axis does not fall into pairs")
    for name, given in (("cos", cos), ("sin", sin)):
        if np.broadcast_shapes(x.shape, given.shape) != x.shape or given.shape[-1:] != x.shape[-1:]:
            raise ValueError(f"{name} of shape {given.shape} for x of shape {x.shape}")
    return TensorType(x.shape, float_of(promoted(x, cos, sin)))


def _spaces(x: TensorType, cos: TensorType, sin: TensorType, *, interleaved: bool = False) -> list[Space]:
    return [pointwise(_shape(x, cos, sin), [x, cos, sin], {"mul": 2, "add": 1})]


def _expansion(b: Builder, x: Value, cos: Value, sin: Value, *, interleaved: bool = False) -> Any:
    width = x.type.shape[-1]
    if interleaved:
        pairs = b(reshape, x, shape=(*x.type.shape[:-1], width // 2, 2))
        first, second = (b(select, pairs, axis=-1, index=i) for i in (0, 1))
        turned = b(reshape, b(stack, b(neg, second), first, axis=-1), shape=x.type.shape)
    else:
        first, second = b(split, x, sizes=(width // 2, width // 2), axis=-1)
        turned = b(concat, b(neg, second), first, axis=-1)
    return b(add, b(mul, x, cos), b(mul, turned, sin))


rotary = OpSpec("rotary", "elementwise", _reference, _shape, _spaces, _expansion, source="arXiv 2104.09864")
