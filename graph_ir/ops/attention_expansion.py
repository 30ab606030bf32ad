"""attention in simpler ops: two products, a mask and weights, for units that know no attention.

All pairs are computed and the mask is applied to the scores, so the work is that of full attention.
"""

from __future__ import annotations

from math import sqrt

from siliform.graph_ir.formats import Scaled
from siliform.graph_ir.graph import Builder, Value
from siliform.graph_ir.ops.activations import sigmoid, softplus
from siliform.graph_ir.ops.attention import Pattern
from siliform.graph_ir.ops.attention_weights import Weighting
from siliform.graph_ir.ops.binary import add, clamp, div, floor_divide, ge, logical_and, lt, mul, sub, where
from siliform.graph_ir.ops.creation import arange, constant, scalar
from siliform.graph_ir.ops.dequantize import without_axis_scales
from siliform.graph_ir.ops.matmul import matmul
from siliform.graph_ir.ops.quantize import quantize
from siliform.graph_ir.ops.reductions import reduce_sum
from siliform.graph_ir.ops.softmax import softmax
from siliform.graph_ir.ops.views import permute, reshape, unsqueeze

#: A score that no softmax lets through: the largest negative fp16 number (IEEE 754 binary16).
_HIDDEN = -65504.0


def expanded(
    b: Builder,
    q: Value,
    k: Value,
    v: Value,
    mask: Value | None,
    pattern: Pattern,
    scale: float | None,
    weighting: Weighting,
) -> Value:
    """The attention of `q`, `k` and `v`; a query must see a key."""
    heads, groups = q.type.shape[-3], k.type.shape[-3]
    lead, rows = q.type.shape[:-3], q.type.shape[-2:]
    factor = 1 / sqrt(rows[1]) if scale is None else scale
    q, k, v = without_axis_scales(b, q, k, v)
    scale_scores = factor != 1 and isinstance(q.type.format, Scaled)  # a quantised query stays as it is
    query = q if factor == 1 or scale_scores else b(mul, q, scalar(b, factor, q))
    query = b(reshape, query, shape=(*lead, groups, heads // groups, *rows))
    rank = k.type.rank
    turned = b(permute, k, axes=(*range(rank - 2), rank - 1, rank - 2))
    scores = b(matmul, query, b(unsqueeze, turned, axis=rank - 2))
    scores = b(reshape, scores, shape=(*lead, heads, rows[0], k.type.shape[-2]))
    if scale_scores:
        scores = b(mul, scores, scalar(b, factor, scores))
    if pattern.is_range:
        scores = b(where, _allowed(b, pattern), scores, scalar(b, _HIDDEN, scores))
    if mask is not None:
        boolean = mask.type.format.kind == "boolean"
        scores = b(where, mask, scores, scalar(b, _HIDDEN, scores)) if boolean else b(add, scores, mask)
    weights = _weights(b, scores, weighting)
    if isinstance(v.type.format, Scaled):
        # Probabilities are never negative: signs of them would all be +1.
        name = v.type.format.name
        signs = v.type.format.element.name == "binary"
        weights = b(quantize, weights, format=f"binary01{name.removeprefix('binary')}" if signs else name)
    weights = b(reshape, weights, shape=(*lead, groups, heads // groups, rows[0], k.type.shape[-2]))
    mixed = b(matmul, weights, b(unsqueeze, v, axis=rank - 2))
    made: Value = b(reshape, mixed, shape=(*lead, heads, rows[0], v.type.shape[-1]))
    return made


def _weights(b: Builder, scores: Value, weighting: Weighting) -> Value:
    """The weights of `scores`, which all have them at hand."""
    if weighting.bias:
        scores = b(add, scores, scalar(b, weighting.bias, scores))
    if weighting.kind == "softmax":
        made: Value = b(softmax, scores, axis=-1)
        return made
    if weighting.kind == "sigmoid":
        made = b(sigmoid, scores)
        return made
    smooth = made = b(softplus, scores)
    for _ in range(weighting.power - 1):
        made = b(mul, made, smooth)
    made = b(div, made, b(reduce_sum, made, axes=(-1,), keepdims=True))
    return made


def _allowed(b: Builder, pattern: Pattern) -> Value:
    """True where a query sees a key, [queries, keys], made from two ranges of integers."""
    shift = pattern.keys - pattern.queries
    own = b(arange, start=shift, end=pattern.keys)
    own = b(reshape, own, shape=(pattern.queries, 1))
    key = b(arange, end=pattern.keys)

    def integer(value: int) -> Value:
        made: Value = b(constant, value=value, format="int64")
        return made

    if pattern.name == "block":
        blocks = -(-pattern.keys // pattern.block)
        seen = max(1, min(blocks, round(pattern.density * blocks)))
        first = b(sub, b(floor_divide, own, integer(pattern.block)), integer(seen // 2))
        first = b(clamp, first, integer(0), integer(blocks - seen))
        low = b(mul, first, integer(pattern.block))
        end = b(add, low, integer(seen * pattern.block))
    else:
        causal = pattern.name == "causal"
        ahead = 1 if causal else pattern.window // 2 + 1
        end = b(add, own, integer(ahead))
        if causal and not pattern.window:
            below: Value = b(lt, key, end)
            return below
        low = b(sub, own, integer(pattern.window - 1 if causal else pattern.window // 2))
    inside: Value = b(logical_and, b(ge, key, low), b(lt, key, end))
    return inside
