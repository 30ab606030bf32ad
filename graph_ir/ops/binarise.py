"""binarise: one bit for each element, by a threshold; elastic binarisation, its scale left to the product.

BiT learns a scale and a threshold for each tensor (Liu et al., "BiT: Robustly Binarized Multi-distilled
Transformer", arXiv 2205.13016, section 3.1)::

    {-1, +1}   scale * sign(x - threshold)
    {0, 1}     scale * clip(round((x - offset) / scale), 0, 1)     threshold = offset + scale / 2

The scale is a factor of the tensor, which a product applies behind its sum. What is left is a comparison,
exact for integers and floats alike.
"""

from __future__ import annotations

import numpy as np

from siliform.graph_ir.formats import format_named
from siliform.graph_ir.opspec import OpSpec
from siliform.graph_ir.space import Space
from siliform.graph_ir.types import TensorType

FORMATS = ("binary", "binary01")


def _reference(x: np.ndarray, threshold: np.ndarray, *, format: str = "binary") -> np.ndarray:
    """x [..., N], threshold [N] or [] -> levels of x's shape, int8.

    ``binary`` is +1 where x is at least the threshold, else -1: the sign of zero is +1. ``binary01`` is 1
    where x is above the threshold, else 0: on it, halves round to the even level, which is 0.
    """
    known, level = np.asarray(x), np.asarray(threshold)
    if format_named(format).name == "binary":
        return np.where(known >= level, np.int8(1), np.int8(-1))
    return (known > level).astype(np.int8)


def _shape(x: TensorType, threshold: TensorType, *, format: str = "binary") -> TensorType:
    if format not in FORMATS:
        raise ValueError(f"binarise gives {' or '.join(FORMATS)}, not {format}")
    for name, operand in (("x", x), ("threshold", threshold)):
        if operand.format.kind not in ("float", "integer") or operand.format.element is not operand.format:
            raise ValueError(f"{name} is {operand.format.name}; binarise compares plain floats or integers")
    if threshold.shape not in ((), x.shape[-1:]):
        raise ValueError(
            f"threshold {list(threshold.shape)} for x {list(x.shape)}; "
            "it is a scalar, or has one element for each channel of the last axis"
        )
    return TensorType(x.shape, format_named(format))


def _spaces(x: TensorType, threshold: TensorType, *, format: str = "binary") -> list[Space]:
    if not threshold.shape:
        return [Space.over("i, -> i", {"compare": 1}, i=x.elements)]
    channels = x.shape[-1]
    return [Space.over("i c, c -> i c", {"compare": 1}, i=x.elements // max(channels, 1), c=channels)]


binarise = OpSpec(
    "binarise",
    "quantisation",
    _reference,
    _shape,
    _spaces,
    tolerance=0.0,
    source="Liu et al., BiT, arXiv 2205.13016, section 3.1",
)
