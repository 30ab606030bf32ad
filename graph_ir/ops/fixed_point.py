"""Integers read as fixed-point numbers, and written as such: "Q.n" counts in steps of 2**-n.

The numeric variants of softmax, norms and activations take and give reals that are whole multiples of a
step. Between integer ops these two say which step: on hardware they are the same wires.
"""

from __future__ import annotations

import numpy as np

from siliform.graph_ir.formats import format_named
from siliform.graph_ir.formats.integers import Integer
from siliform.graph_ir.opspec import OpSpec
from siliform.graph_ir.space import Space
from siliform.graph_ir.types import TensorType
from siliform.graph_ir.variants.fixed_point import from_fixed as reals
from siliform.graph_ir.variants.fixed_point import to_fixed as levels

_SOURCE = "fixed-point notation Q: ARM DUI 0066, Q format"


def _from_fixed(x: np.ndarray, *, fraction_bits: int) -> np.ndarray:
    """``x * 2**-fraction_bits`` as fp32, x integers of at most 25 bits, which fp32 holds exactly."""
    return reals(np.asarray(x).astype(np.int64), fraction_bits)


def _from_fixed_shape(x: TensorType, *, fraction_bits: int) -> TensorType:
    if not isinstance(x.format, Integer) or x.format.bits > 25:
        raise ValueError(f"x is {x.format.name}; from_fixed takes integers of at most 25 bits")
    _check(fraction_bits)
    return x.with_format("fp32")


def _to_fixed(x: np.ndarray, *, fraction_bits: int, format: str) -> np.ndarray:
    """``x * 2**fraction_bits`` rounded half to even, saturated to `format`."""
    return levels(x, fraction_bits, format)


def _to_fixed_shape(x: TensorType, *, fraction_bits: int, format: str) -> TensorType:
    known = format_named(format)
    if x.format.kind != "float" or not isinstance(known, Integer):
        raise ValueError(f"to_fixed makes integers of floats, not {format} of {x.format.name}")
    _check(fraction_bits)
    return TensorType(x.shape, known)


def _check(fraction_bits: int) -> None:
    if not 0 <= fraction_bits <= 62:
        raise ValueError(f"fraction_bits is {fraction_bits}; it is 0 to 62")


def _same_wires(x: TensorType, **attributes: object) -> list[Space]:
    return []


from_fixed = OpSpec(
    "from_fixed",
    "quantisation",
    _from_fixed,
    _from_fixed_shape,
    _same_wires,
    movement="view",
    tolerance=0.0,
    source=_SOURCE,
)

to_fixed = OpSpec(
    "to_fixed",
    "quantisation",
    _to_fixed,
    _to_fixed_shape,
    _same_wires,
    movement="view",
    tolerance=0.0,
    source=_SOURCE,
)
