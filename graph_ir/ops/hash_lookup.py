"""hash_lookup: a layer of hashed tables in place of a linear one, as MemoryFormer has it.

A token is cut into K chunks of tau elements. The signs of chunk z_k are the address h(z_k) of a row of table
k (bit i is 1 where element i is 0 or more), and the row counts by how surely z_k lies in that orthant::

    y = sum_k p(z_k) T_k[h(z_k)],   p(z) = 1 / prod_i (1 + exp(-2 |z_i| / temperature))

which is the softmax of <s, z> / temperature over all sign vectors s, at that of z.
Source: Ding et al., MemoryFormer, arXiv 2411.12992.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from siliform.graph_ir.graph import Builder, Value
from siliform.graph_ir.ops.binary import add, cast, ge, mul, shift_left
from siliform.graph_ir.ops.common import float_of, narrow, wide
from siliform.graph_ir.ops.creation import arange, scalar
from siliform.graph_ir.ops.dequantize import as_floats
from siliform.graph_ir.ops.indexing import embedding
from siliform.graph_ir.ops.reductions import reduce_prod, reduce_sum
from siliform.graph_ir.ops.unary import abs as absolute
from siliform.graph_ir.ops.unary import exp, reciprocal
from siliform.graph_ir.ops.views import reshape, unsqueeze
from siliform.graph_ir.opspec import OpSpec
from siliform.graph_ir.space import Space
from siliform.graph_ir.types import TensorType
from siliform.graph_ir.variants import HASH_LOOKUP


def _reference(x: np.ndarray, tables: np.ndarray, *, temperature: float = 1.0) -> np.ndarray:
    """x [..., K * tau], tables [K, 2**tau, N] -> [..., N]."""
    token, rows = wide(x), wide(tables)
    parts = token.reshape(*token.shape[:-1], rows.shape[0], -1)
    address = ((parts >= 0) << np.arange(parts.shape[-1])).sum(axis=-1)
    weight = 1 / (1 + np.exp(-2 / temperature * np.abs(parts))).prod(axis=-1)
    made = (weight[..., None] * rows[np.arange(rows.shape[0]), address]).sum(axis=-2)
    return narrow(made, x)


def chunk_width(x: TensorType, tables: TensorType) -> int:
    """tau: elements of a chunk. ValueError where x and tables do not fit each other."""
    chunks = tables.shape[0] if tables.rank == 3 else 0
    tau = x.shape[-1] // chunks if chunks and x.rank else 0
    if not tau or tau * chunks != x.shape[-1] or tables.shape[1] != 2**tau:
        raise ValueError(f"x {x.shape} and tables {tables.shape}; they are [..., K * tau] and [K, 2**tau, N]")
    return tau


def _shape(x: TensorType, tables: TensorType, *, temperature: float = 1.0) -> TensorType:
    chunk_width(x, tables)
    if not temperature > 0:
        raise ValueError(f"temperature is {temperature}; it is above 0")
    return TensorType((*x.shape[:-1], tables.shape[2]), float_of(x.format))


def _spaces(x: TensorType, tables: TensorType, *, temperature: float = 1.0) -> list[Space]:
    tau, (chunks, _, width) = chunk_width(x, tables), tables.shape
    tokens = x.elements // x.shape[-1]
    sizes = {"t": tokens, "k": chunks}
    return [
        # The rows that signs choose, one of each table for each token, a repeated one each time.
        Space.over("t d, t k n -> ", {}, sizes, d=x.shape[-1], n=width),
        # Sign and absolute value; the exponential, one more, and the product of those.
        Space.over("t k i -> t k", {"compare": 2, "mul": 2, "exp": 1, "add": 1}, sizes, i=tau),
        Space.over("t k -> t k", {"reciprocal": 1}, sizes),
        Space.over("t k, t k n -> t n", {"mul": 1, "add": 1}, sizes, n=width),
    ]


def _expansion(b: Builder, x: Value, tables: Value, *, temperature: float = 1.0) -> Any:
    token, rows = as_floats(b, x), as_floats(b, tables)
    tau, (chunks, height, width) = chunk_width(x.type, tables.type), tables.type.shape
    lead = x.type.shape[:-1]
    parts = b(reshape, token, shape=(*lead, chunks, tau))
    bits = b(cast, b(ge, parts, scalar(b, 0.0, parts)), format="int64")
    address = b(reduce_sum, b(shift_left, bits, b(arange, end=tau)), axes=(-1,))
    address = b(add, address, b(arange, end=chunks * height, step=height))
    chosen = b(embedding, address, b(reshape, rows, shape=(chunks * height, width)))
    grown = b(exp, b(mul, b(absolute, parts), scalar(b, -2 / temperature, parts)))
    product = b(reduce_prod, b(add, grown, scalar(b, 1.0, grown)), axes=(-1,))
    weight = b(unsqueeze, b(reciprocal, product), axis=-1)
    return b(reduce_sum, b(mul, chosen, weight), axes=(-2,))


hash_lookup = OpSpec(
    "hash_lookup",
    "hashing",
    _reference,
    _shape,
    _spaces,
    _expansion,
    variants=HASH_LOOKUP,
    source="Ding et al., MemoryFormer, arXiv 2411.12992",
)
