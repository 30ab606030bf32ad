"""ReLU in the fixed point of its neighbours: int16 Q.11 in (from -16 to 16), int16 Q.11 out."""

from __future__ import annotations

import numpy as np

from siliform.graph_ir.opspec import Variant
from siliform.graph_ir.variants.chords import VALUE_BITS
from siliform.graph_ir.variants.fixed_point import from_fixed, to_fixed


def relu_levels(value: np.ndarray) -> np.ndarray:
    """The levels above zero, and zero for the others; any shape and scale."""
    return np.maximum(value, 0)


def integer_relu(x: np.ndarray) -> np.ndarray:
    """x rounded half to even to Q.11, saturated, and 0 where that is negative."""
    return from_fixed(relu_levels(to_fixed(x, VALUE_BITS, "int16")), VALUE_BITS)


RELU_VARIANTS = (
    Variant(
        "integer",
        integer_relu,
        tolerance=3e-4,
        domain="values from -16 to 16 of which one is at least 1",
        source="half a step of 2**-11; Jacob et al., CVPR 2018, section 2.4, clamps levels likewise",
    ),
)
