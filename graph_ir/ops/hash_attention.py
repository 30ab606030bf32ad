"""hash_attention: attention whose similarity is the inner product of binary codes, by sums alone.

Codes are rows of ``bits`` numbers 1 and -1 (`hash_codes` makes them). The similarity of a query and a key,
``q . k + bits + 1``, is 1 to ``2 bits + 1``. Hence with N keys, by sums whose cost grows with N alone::

    y = sum_n (q . k_n + bits + 1) v_n / sum_n (q . k_n + bits + 1)
      = (q (sum_n k_n v_nᵀ) + (bits + 1) sum_n v_n) / (q . sum_n k_n + N (bits + 1))

A product with 1 or -1 is an addition or a subtraction and is counted as such. No denominator is below N, so
that none is zero. Source: Liu et al., EcoFormer, arXiv 2209.09004.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from siliform.graph_ir.graph import Builder, Value
from siliform.graph_ir.ops.binary import add, div, mul
from siliform.graph_ir.ops.common import float_of, narrow, wide
from siliform.graph_ir.ops.creation import scalar
from siliform.graph_ir.ops.dequantize import as_floats
from siliform.graph_ir.ops.matmul import matmul
from siliform.graph_ir.ops.reductions import reduce_sum
from siliform.graph_ir.ops.views import permute
from siliform.graph_ir.opspec import OpSpec
from siliform.graph_ir.space import Space
from siliform.graph_ir.types import TensorType
from siliform.graph_ir.variants import HASH_ATTENTION


def _reference(q: np.ndarray, k: np.ndarray, v: np.ndarray) -> np.ndarray:
    """q [..., Nq, bits] and k [..., N, bits] of 1 and -1, v [..., N, c] -> [..., Nq, c]."""
    query, key, value = wide(q), wide(k), wide(v)
    least = query.shape[-1] + 1
    mixed = query @ (np.swapaxes(key, -1, -2) @ value) + least * value.sum(axis=-2, keepdims=True)
    total = query @ key.sum(axis=-2)[..., None] + key.shape[-2] * least
    return narrow(mixed / total, v)


def _shape(q: TensorType, k: TensorType, v: TensorType) -> TensorType:
    if min(q.rank, k.rank, v.rank) < 2:
        raise ValueError(f"q {q.shape}, k {k.shape} and v {v.shape}; they have two axes or more")
    if q.shape[:-2] != k.shape[:-2] or q.shape[-1] != k.shape[-1] or v.shape[:-1] != k.shape[:-1]:
        raise ValueError(
            f"q {q.shape}, k {k.shape} and v {v.shape}; "
            "they are [..., Nq, bits], [..., N, bits] and [..., N, c]"
        )
    if not k.shape[-2]:
        raise ValueError("attention over no key")
    return TensorType((*q.shape[:-1], v.shape[-1]), float_of(v.format))


def _spaces(q: TensorType, k: TensorType, v: TensorType) -> list[Space]:
    groups, (keys, bits) = prod(k.shape[:-2]), k.shape[-2:]
    sizes = {"g": groups, "c": v.shape[-1]}
    return [
        Space.over("g n b, g n c -> g b c", {"add": 1}, sizes, n=keys, b=bits),
        Space.over("g n c -> g c", {"add": 1}, sizes, n=keys),
        Space.over("g n b -> g b", {"add": 1}, g=groups, n=keys, b=bits),
        Space.over("g c -> g c", {"mul": 1}, sizes),
        # Sums over bits begin at (bits + 1) times the sum of values, and at N (bits + 1).
        Space.over("g q b, g b c, g c -> g q c", {"add": 1}, sizes, q=q.shape[-2], b=bits),
        Space.over("g q b, g b -> g q", {"add": 1}, g=groups, q=q.shape[-2], b=bits),
        Space.over("g q c, g q -> g q c", {"div": 1}, sizes, q=q.shape[-2]),
    ]


def _expansion(b: Builder, q: Value, k: Value, v: Value) -> Any:
    """Two products of matrices beside the sums: what a unit without adders by code has to do."""
    query, key, value = (as_floats(b, x) for x in (q, k, v))
    rank, (keys, bits) = key.type.rank, key.type.shape[-2:]
    turned = b(permute, key, axes=(*range(rank - 2), rank - 1, rank - 2))
    summed = b(mul, b(reduce_sum, value, axes=(-2,), keepdims=True), scalar(b, bits + 1, value))
    mixed = b(add, b(matmul, query, b(matmul, turned, value)), summed)
    along = b(mul, query, b(reduce_sum, key, axes=(-2,), keepdims=True))
    total = b(reduce_sum, along, axes=(-1,), keepdims=True)
    return b(div, mixed, b(add, total, scalar(b, keys * (bits + 1), total)))


hash_attention = OpSpec(
    "hash_attention",
    "hashing",
    _reference,
    _shape,
    _spaces,
    _expansion,
    variants=HASH_ATTENTION,
    source="Liu et al., EcoFormer, arXiv 2209.09004",
)
