"""Integer softmax: scores in int32 Q.12, probabilities in int32 Q.15.

Both forms subtract the row's greatest score, so that exponents are never positive and masked scores
become exactly zero, take the exponential in integers, and divide once per element, to nearest.
Sums are exact, so a result depends on neither tiling nor order. A row that is masked completely is
uniform over its length, where the float form gives NaN.
"""

from __future__ import annotations

from math import log

import numpy as np

from siliform.graph_ir.opspec import Variant
from siliform.graph_ir.variants.fixed_point import (
    constant,
    divide_nearest,
    from_fixed,
    shift_right_even,
    to_fixed,
)

SCORE_BITS = 12  # fraction bits of a score; int32 then reaches 2**19
PROBABILITY_BITS = 15  # fraction bits of a probability

_DOMAIN = "rows of up to 512 scores from -32 to 32, or minus infinity where masked (not all of a row)"


def polynomial_softmax(x: np.ndarray, *, axis: int = -1) -> np.ndarray:
    """I-BERT: ``exp(p) ~ 0.3585 (p + 1.353)**2 + 0.344`` on (-ln 2, 0], halved by shifts.

    The factor 0.3585 is common to numerator and denominator and never multiplied in.
    """
    below = _below_greatest(x, axis)
    ln2 = constant(log(2), SCORE_BITS)
    halvings = below // ln2
    rest = halvings * ln2 - below  # (-ln 2, 0] in Q.12
    shifted = rest + constant(1.353, SCORE_BITS)  # Kim et al., equation 13
    grown = shifted * shifted + constant(0.344 / 0.3585, 2 * SCORE_BITS)  # the same equation
    return _normalised(grown >> np.minimum(halvings, 62), axis)


#: 2**-f at f = 0, 1/32, ..., 1 in Q.24.
_POWERS = tuple(constant(2.0 ** (-i / 32), 24) for i in range(33))


def base2_softmax(x: np.ndarray, *, axis: int = -1) -> np.ndarray:
    """Softermax: ``exp(-d) = 2**-(d log2 e)``, whole powers by shifts, the fraction by 32 chords."""
    below = _below_greatest(x, axis)
    exponent = shift_right_even(below * constant(1 / log(2), 14), 14)  # Q.12
    whole, fraction = exponent >> SCORE_BITS, exponent & (2**SCORE_BITS - 1)
    segment, rest = fraction >> 7, fraction & 127
    powers = np.array(_POWERS, np.int64)
    grown = powers[segment] - ((powers[segment] - powers[segment + 1]) * rest >> 7)
    return _normalised(grown >> np.minimum(whole, 62), axis)


def _below_greatest(x: np.ndarray, axis: int) -> np.ndarray:
    """How far each score lies below the greatest of its row, Q.12, zero or more."""
    score = to_fixed(x, SCORE_BITS, "int32")
    return score.max(axis=axis, keepdims=True) - score


def _normalised(grown: np.ndarray, axis: int) -> np.ndarray:
    total = grown.sum(axis=axis, keepdims=True)
    return from_fixed(divide_nearest(grown << PROBABILITY_BITS, total), PROBABILITY_BITS)


SOFTMAX_VARIANTS = (
    Variant(
        "integer_polynomial",
        polynomial_softmax,
        tolerance=1e-2,
        domain=_DOMAIN,
        source="Kim et al., I-BERT: Integer-only BERT Quantization, ICML 2021, algorithms 2 and 3",
    ),
    Variant(
        "integer_base2",
        base2_softmax,
        tolerance=1e-2,
        domain=_DOMAIN,
        source="Stevens et al., Softermax: Hardware/Software Co-Design of an Efficient Softmax, DAC 2021",
    ),
)
