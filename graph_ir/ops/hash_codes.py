"""hash_codes: a token's binary code, from its kernel distances to anchors, as EcoFormer hashes it.

For each set of M anchors (a head's, say) a token x becomes bits of 1 and -1::

    code = sign(weight (kappa(x) - means)),   kappa(x)_m = exp(-rate |x - anchor_m|²),   sign(0) = 1

Anchors are support samples of tokens, means those of kappa over samples, and rate is 1 / (2 sigma²).
Source: Liu et al., EcoFormer, arXiv 2209.09004; kernel-based supervised hashing, Liu et al., CVPR 2012.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from siliform.graph_ir.formats import format_named
from siliform.graph_ir.graph import Builder, Value
from siliform.graph_ir.ops.binary import add, ge, mul, sub, where
from siliform.graph_ir.ops.common import wide
from siliform.graph_ir.ops.creation import constant, scalar
from siliform.graph_ir.ops.dequantize import as_floats
from siliform.graph_ir.ops.matmul import matmul
from siliform.graph_ir.ops.reductions import reduce_sum
from siliform.graph_ir.ops.unary import exp, square
from siliform.graph_ir.ops.views import permute, reshape
from siliform.graph_ir.opspec import OpSpec
from siliform.graph_ir.space import Space
from siliform.graph_ir.types import TensorType
from siliform.graph_ir.variants import HASH_CODES


def _reference(
    x: np.ndarray, anchors: np.ndarray, rate: np.ndarray, means: np.ndarray, weight: np.ndarray
) -> np.ndarray:
    """x [..., *S, N, D], anchors [*S, M, D], rate [*S], means [*S, M], weight [*S, bits, M] -> int8 codes.

    Codes are 1 and -1 [..., *S, N, bits]. S holds the axes along which anchors differ, such as heads; without
    it all of x shares one set. A score that is no number gives -1.
    """
    token, support = wide(x), wide(anchors)
    columns = [np.square(token - support[..., m : m + 1, :]).sum(axis=-1) for m in range(support.shape[-2])]
    kernel = np.exp(-wide(rate)[..., None, None] * np.stack(columns, axis=-1))
    score = (kernel - wide(means)[..., None, :]) @ np.swapaxes(wide(weight), -1, -2)
    return np.where(score >= 0, np.int8(1), np.int8(-1))


def sets_of(anchors: TensorType) -> tuple[int, ...]:
    """The axes along which anchors differ."""
    return anchors.shape[:-2]


def _shape(
    x: TensorType, anchors: TensorType, rate: TensorType, means: TensorType, weight: TensorType
) -> TensorType:
    if anchors.rank < 2 or x.rank < anchors.rank or weight.rank != anchors.rank:
        raise ValueError(
            f"x {x.shape}, anchors {anchors.shape} and weight {weight.shape}; they are [..., *S, N, D], "
            "[*S, M, D] and [*S, bits, M]"
        )
    sets, (count, width) = sets_of(anchors), anchors.shape[-2:]
    bits = weight.shape[-2]
    wanted = {
        "x": (x.shape[x.rank - anchors.rank :], (*sets, x.shape[-2], width)),
        "rate": (rate.shape, sets),
        "means": (means.shape, (*sets, count)),
        "weight": (weight.shape, (*sets, bits, count)),
    }
    for name, (given, right) in wanted.items():
        if given != right:
            raise ValueError(f"{name} ends in {given}; with anchors {anchors.shape} it ends in {right}")
    if not (count and bits):
        raise ValueError(f"codes of {bits} bits from {count} anchors; both are at least 1")
    return TensorType((*x.shape[:-1], bits), format_named("int8"))


def _spaces(
    x: TensorType, anchors: TensorType, rate: TensorType, means: TensorType, weight: TensorType
) -> list[Space]:
    sets, (m, d) = prod(sets_of(anchors)), anchors.shape[-2:]
    n = x.elements // max(sets * d, 1)
    sizes = {"s": sets, "n": n, "m": m}
    bits = weight.shape[-2]
    return [
        # A difference, its square and a sum: no product of matrices.
        Space.over("s n d, s m d -> s n m", {"add": 2, "mul": 1}, sizes, d=d),
        Space.over("s n m, s, s m -> s n m", {"mul": 1, "exp": 1, "add": 1}, sizes),
        Space.over("s n m, s b m -> s n b", {"mul": 1, "add": 1}, sizes, b=bits),
        Space.over("s n b -> s n b", {"compare": 1}, s=sets, n=n, b=bits),
    ]


def _expansion(b: Builder, x: Value, anchors: Value, rate: Value, means: Value, weight: Value) -> Any:
    """Squared distances by ``|x|² + |a|² - 2 x a``, which is a product of matrices."""
    x, anchors, rate, means, weight = (as_floats(b, v) for v in (x, anchors, rate, means, weight))
    sets, (count, _) = sets_of(anchors.type), anchors.type.shape[-2:]

    def row(v: Value) -> Value:
        """[*S, M] -> [*S, 1, M], beside [..., N, M]."""
        made: Value = b(reshape, v, shape=(*sets, 1, count))
        return made

    lengths = b(
        add,
        b(reduce_sum, b(square, x), axes=(-1,), keepdims=True),
        row(b(reduce_sum, b(square, anchors), axes=(-1,))),
    )
    product = b(matmul, x, _turned(b, anchors))
    lower = b(sub, b(mul, product, scalar(b, 2.0, product)), lengths)  # minus the squared distance
    kernel = b(exp, b(mul, lower, b(reshape, rate, shape=(*sets, 1, 1))))
    score = b(matmul, b(sub, kernel, row(means)), _turned(b, weight))
    above = b(ge, score, scalar(b, 0.0, score))
    one, other = (b(constant, value=value, format="int8") for value in (1, -1))
    return b(where, above, one, other)


def _turned(b: Builder, x: Value) -> Value:
    rank = x.type.rank
    made: Value = b(permute, x, axes=(*range(rank - 2), rank - 1, rank - 2))
    return made


hash_codes = OpSpec(
    "hash_codes",
    "hashing",
    _reference,
    _shape,
    _spaces,
    _expansion,
    variants=HASH_CODES,
    source="Liu et al., EcoFormer, arXiv 2209.09004",
)
