"""clipped_softmax: a softmax whose ends are reached, so that a head can attend to nothing.

Source: Bondarenko et al., "Quantizable Transformers: Removing Outliers by Helping Attention Heads Do
Nothing", arXiv 2306.12929, equation 4.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from siliform.graph_ir.graph import Builder, Value
from siliform.graph_ir.ops.binary import add, maximum, minimum, mul
from siliform.graph_ir.ops.common import narrow, pointwise, wide
from siliform.graph_ir.ops.creation import scalar
from siliform.graph_ir.ops.softmax import shifted_exponentials, softmax
from siliform.graph_ir.opspec import OpSpec
from siliform.graph_ir.space import Space
from siliform.graph_ir.types import TensorType
from siliform.graph_ir.variants import CLIPPED_SOFTMAX


def _reference(x: np.ndarray, *, gamma: float, zeta: float, axis: int = -1) -> np.ndarray:
    """``(zeta - gamma) * softmax(x) + gamma`` between 0 and 1, along `axis`; gamma <= 0, zeta >= 1."""
    _, grown, total = shifted_exponentials(wide(x), axis)
    with np.errstate(invalid="ignore"):
        return narrow(np.clip((zeta - gamma) * (grown / total) + gamma, 0, 1), x)


def _shape(x: TensorType, *, gamma: float, zeta: float, axis: int = -1) -> TensorType:
    if gamma > 0 or zeta < 1:
        raise ValueError(f"clipped_softmax from gamma {gamma} to zeta {zeta}; gamma <= 0, zeta >= 1")
    (result,) = softmax.types(x, axis=axis)
    return result


def _spaces(x: TensorType, *, gamma: float, zeta: float, axis: int = -1) -> list[Space]:
    (result,) = softmax.types(x, axis=axis)
    clip = pointwise(result, [result], {"mul": 1, "add": 1, "compare": 2})
    return [*softmax.spaces(x, axis=axis), clip]


def _expansion(b: Builder, x: Value, *, gamma: float, zeta: float, axis: int = -1) -> Any:
    probability = b(softmax, x, axis=axis)
    grown = b(mul, probability, scalar(b, zeta - gamma, probability))
    moved = b(add, grown, scalar(b, gamma, probability))
    return b(minimum, b(maximum, moved, scalar(b, 0.0, probability)), scalar(b, 1.0, probability))


clipped_softmax = OpSpec(
    "clipped_softmax",
    "softmax",
    _reference,
    _shape,
    _spaces,
    _expansion,
    variants=CLIPPED_SOFTMAX,
    source="Bondarenko et al., Quantizable Transformers, arXiv 2306.12929, equation 4",
)
