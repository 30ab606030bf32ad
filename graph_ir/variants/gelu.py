"""GELU in fixed point: int16 Q.11 in (from -16 to 16), int16 Q.11 out.

`approximate` is taken and ignored: each form is one piece of hardware, and its tolerance covers the
exact and the tanh form of GELU, which differ by at most 5e-4.
"""

from __future__ import annotations

from math import erf, sqrt

import numpy as np

from siliform.graph_ir.opspec import Variant
from siliform.graph_ir.variants.chords import VALUE_BITS as VALUE_BITS  # the form of this op too
from siliform.graph_ir.variants.chords import chords
from siliform.graph_ir.variants.fixed_point import constant, from_fixed, shift_right_even, to_fixed

_DOMAIN = "values from -16 to 16 of which one is at least 1"

#: 64 chords over [-4, 4): GELU(-4) = -1.3e-4 is below half a step of 2**-11.
GELU_CHORDS = chords(lambda v: v / 2 * (1 + erf(v / sqrt(2))), reach=4)


def piecewise_linear_gelu(x: np.ndarray, *, approximate: str = "none") -> np.ndarray:
    """64 chords of equal width over [-4, 4), each product rounded half to even."""
    return from_fixed(GELU_CHORDS.levels(to_fixed(x, VALUE_BITS, "int16")), VALUE_BITS)


_CURVE, _TURN = 0.2888, 1.769  # Kim et al., equation 8: a = -0.2888, b = -1.769
ROOT_BITS = 15  # fraction bits of HALF_ROOT
HALF_ROOT = constant(1 / sqrt(2), ROOT_BITS)
TURN = constant(_TURN, VALUE_BITS)
ONE = constant(1 / _CURVE, 2 * VALUE_BITS)  # 1 in steps of 0.2888 * 2**-22
CURVE_BITS = 16  # fraction bits of HALF_CURVE
HALF_CURVE = constant(_CURVE / 2, CURVE_BITS)


def polynomial_gelu_levels(value: np.ndarray) -> np.ndarray:
    """`polynomial_gelu` of int16 levels in Q.11, as such levels; any shape."""
    inner = shift_right_even(value * HALF_ROOT, ROOT_BITS)
    distance = np.minimum(np.abs(inner), TURN) - TURN
    error = np.sign(inner) * (ONE - distance * distance)
    grown = value * (ONE + error) >> VALUE_BITS  # Q.22 in steps of 0.2888, without overflow below
    return shift_right_even(grown * HALF_CURVE, CURVE_BITS + VALUE_BITS)


def polynomial_gelu(x: np.ndarray, *, approximate: str = "none") -> np.ndarray:
    """I-BERT: ``erf(u) ~ sign(u) (1 - 0.2888 (min(|u|, 1.769) - 1.769)**2)``, squares in integers."""
    return from_fixed(polynomial_gelu_levels(to_fixed(x, VALUE_BITS, "int16")), VALUE_BITS)


GELU_VARIANTS = (
    Variant(
        "piecewise_linear",
        piecewise_linear_gelu,
        tolerance=3e-3,
        domain=_DOMAIN,
        source="chords of x Φ(x), arXiv 1606.08415; a chord is off by at most width² / 8 · |f''|",
    ),
    Variant(
        "integer_polynomial",
        polynomial_gelu,
        tolerance=2e-2,
        domain=_DOMAIN,
        source="Kim et al., I-BERT: Integer-only BERT Quantization, ICML 2021, equation 8",
    ),
)
