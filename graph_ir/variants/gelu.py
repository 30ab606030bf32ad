"""GELU in fixed point: int16 Q.11 in (from -16 to 16), int16 Q.11 out.

`approximate` is taken and ignored: each form is one piece of hardware, and its tolerance covers the
exact and the tanh form of GELU, which differ by at most 5e-4.
"""

from __future__ import annotations

from math import erf, sqrt

import numpy as np

from siliform.graph_ir.opspec import Variant
from siliform.graph_ir.variants.fixed_point import constant, from_fixed, shift_right_even, to_fixed

VALUE_BITS = 11  # fraction bits of operand and result
REACH = 4  # beyond -4 the result is 0, beyond 4 it is x: GELU(-4) = -1.3e-4 is below half a step of 2**-11
SEGMENT_BITS = 8  # a chord spans 2**8 steps of 2**-11, an eighth

_DOMAIN = "values from -16 to 16 of which one is at least 1"

#: GELU at -4, -3.875, ..., 4 in Q.11.
_KNOTS = tuple(
    constant(v / 2 * (1 + erf(v / sqrt(2))), VALUE_BITS)
    for v in (i / 8 - REACH for i in range(16 * REACH + 1))
)


def piecewise_linear_gelu(x: np.ndarray, *, approximate: str = "none") -> np.ndarray:
    """64 chords of equal width over [-4, 4), each product rounded half to even."""
    value = to_fixed(x, VALUE_BITS, "int16")
    edge = REACH << VALUE_BITS
    offset = np.clip(value, -edge, edge - 1) + edge
    segment, rest = offset >> SEGMENT_BITS, offset & (2**SEGMENT_BITS - 1)
    knots = np.array(_KNOTS, np.int64)
    rise = shift_right_even((knots[segment + 1] - knots[segment]) * rest, SEGMENT_BITS)
    chord = knots[segment] + rise
    return from_fixed(np.where(value >= edge, value, np.where(value < -edge, 0, chord)), VALUE_BITS)


_CURVE, _TURN = 0.2888, 1.769  # Kim et al., equation 8: a = -0.2888, b = -1.769


def polynomial_gelu(x: np.ndarray, *, approximate: str = "none") -> np.ndarray:
    """I-BERT: ``erf(u) ~ sign(u) (1 - 0.2888 (min(|u|, 1.769) - 1.769)**2)``, squares in integers."""
    value = to_fixed(x, VALUE_BITS, "int16")
    inner = shift_right_even(value * constant(1 / sqrt(2), 15), 15)
    turn = constant(_TURN, VALUE_BITS)
    distance = np.minimum(np.abs(inner), turn) - turn
    one = constant(1 / _CURVE, 2 * VALUE_BITS)  # 1 in steps of 0.2888 * 2**-22
    error = np.sign(inner) * (one - distance * distance)
    grown = value * (one + error) >> VALUE_BITS  # Q.22 in steps of 0.2888, without overflow below
    return from_fixed(shift_right_even(grown * constant(_CURVE / 2, 16), 16 + VALUE_BITS), VALUE_BITS)


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
