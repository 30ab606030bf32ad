"""SiLU in fixed point: int16 Q.11 in (from -16 to 16), int16 Q.11 out."""

from __future__ import annotations

from math import exp

import numpy as np

from siliform.graph_ir.opspec import Variant
from siliform.graph_ir.variants.chords import VALUE_BITS, chords
from siliform.graph_ir.variants.fixed_point import from_fixed, to_fixed

#: 176 chords over [-11, 11): SiLU(-11) = -1.8e-4 is below half a step of 2**-11, SiLU(-10) is not.
SILU_CHORDS = chords(lambda v: v / (1 + exp(-v)), reach=11)


def piecewise_linear_silu(x: np.ndarray) -> np.ndarray:
    """176 chords of equal width over [-11, 11), each product rounded half to even."""
    return from_fixed(SILU_CHORDS.levels(to_fixed(x, VALUE_BITS, "int16")), VALUE_BITS)


SILU_VARIANTS = (
    Variant(
        "piecewise_linear",
        piecewise_linear_silu,
        tolerance=2.5e-3,
        domain="values from -16 to 16 of which one is at least 1",
        source="chords of x sigmoid(x), arXiv 1606.08415; a chord is off by at most width² / 8 · |f''|",
    ),
)
