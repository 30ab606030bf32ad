"""dequantize: levels times scales, back to float32."""

from __future__ import annotations

import numpy as np

from siliform.graph_ir.formats import Quantised, Scaled
from siliform.graph_ir.graph import Builder, Value
from siliform.graph_ir.ops.binary import cast
from siliform.graph_ir.opspec import OpSpec
from siliform.graph_ir.space import Space
from siliform.graph_ir.types import TensorType


def _reference(x: Quantised) -> np.ndarray:
    """x of any shape in a scaled format -> the same shape, each product rounded once to float32."""
    if not isinstance(x, Quantised):
        raise ValueError("x carries no scales; dequantize takes the result of quantize")
    return x.dequantise()


def _shape(x: TensorType) -> TensorType:
    if not isinstance(x.format, Scaled):
        raise ValueError(f"x is {x.format.name}, which has no scales")
    return x.with_format("fp32")


def _spaces(x: TensorType) -> list[Space]:
    return [Space.elementwise(x.shape, {"mul": 1})]


def without_axis_scales(b: Builder, *values: Value) -> tuple[Value, ...]:
    """The values as an expansion can move them: all dequantised where the scales of one lie along axes."""
    axes = [isinstance(v.type.format, Scaled) and v.type.format.granularity != "tensor" for v in values]
    if not any(axes):
        return values
    return tuple(b(dequantize, v) if isinstance(v.type.format, Scaled) else v for v in values)


def as_floats(b: Builder, value: Value) -> Value:
    """The value as an expansion can compute with it in floats: dequantised, or cast to fp32."""
    known: Value = b(dequantize, value) if isinstance(value.type.format, Scaled) else value
    made: Value = known if known.type.format.kind == "float" else b(cast, known, format="fp32")
    return made


dequantize = OpSpec(
    "dequantize",
    "quantisation",
    _reference,
    _shape,
    _spaces,
    tolerance=0.0,
    source="Jacob et al., Quantization and Training of Neural Networks, CVPR 2018, equation 1",
)
