"""quantize: a float tensor into elements beside scales."""

from __future__ import annotations

from math import prod

import numpy as np

from siliform.graph_ir.formats import Quantised, Scaled, format_named, quantise
from siliform.graph_ir.formats.logarithm import AdaLog
from siliform.graph_ir.opspec import OpSpec
from siliform.graph_ir.space import Space
from siliform.graph_ir.types import TensorType
from siliform.graph_ir.variants import QUANTIZE


def _reference(x: np.ndarray, scale: np.ndarray | None = None, *, format: str) -> Quantised:
    """x of any shape -> the same shape in a scaled format such as ``int8@tensor``.

    `scale`, of the format's scale shape, is fp32; where it is left out it comes from the data, by
    the rule that `siliform.graph_ir.formats.scaled` states for the element.
    """
    return quantise(x, _scaled(format), scale)


def _shape(x: TensorType, scale: TensorType | None = None, *, format: str) -> TensorType:
    known = _scaled(format)
    if isinstance(x.format, Scaled):
        raise ValueError(f"x is {x.format.name} already; dequantize it first")
    wanted = known.scale_shape(x.shape)
    if scale is not None and scale.shape != wanted:
        raise ValueError(
            f"scale has shape {list(scale.shape)}, {format} of {list(x.shape)} takes {list(wanted)}"
        )
    return TensorType(x.shape, known)


def _spaces(x: TensorType, scale: TensorType | None = None, *, format: str) -> list[Space]:
    known = _scaled(format)
    groups = prod(known.scale_shape(x.shape))
    if x.elements == 0:
        return []
    # The sign of a binary level needs no division; a power of two is read off a float's exponent.
    body = {"compare": 1} if known.kind == "binary" else {"mul": 1, "round": 1}
    if isinstance(known.item, AdaLog):
        body = {"log": 1, **body}
    members = -(-x.elements // groups)
    kept = None if members * groups == x.elements else x.elements
    write = Space.over("g i, g -> g i", body, kept=kept, g=groups, i=members)
    if scale is not None:
        return [write]
    measured = {"add": 1, "compare": 1} if known.kind in ("binary", "ternary") else {"compare": 1}
    return [Space.over("g i -> g", measured, kept=kept, g=groups, i=members), write]


def _scaled(format: str) -> Scaled:
    known = format_named(format)
    if not isinstance(known, Scaled):
        raise ValueError(f"{format} has no scales; quantize takes a format such as {format}@tensor")
    return known


quantize = OpSpec(
    "quantize",
    "quantisation",
    _reference,
    _shape,
    _spaces,
    variants=QUANTIZE,
    tolerance=0.0,
    source="Jacob et al., Quantization and Training of Neural Networks, CVPR 2018; OCP MX 1.0, section 6.3",
)
