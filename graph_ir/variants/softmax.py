"""Integer softmax: scores in int32 Q.12, probabilities in int32 Q.15.

All forms subtract the row's greatest score, or its power of two, so that exponents are never positive and
masked scores become exactly zero, take the exponential in integers, and divide to nearest: once per element,
or once per row for a reciprocal that each element multiplies by. Sums are exact, so a result depends on
neither tiling nor order. A row that is masked completely is uniform over its length, where the float form
gives NaN.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import log
from types import MappingProxyType

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
POWER_BITS = 24  # fraction bits of a power of two
LOG2_E_BITS = 14  # fraction bits of log2 e
SEGMENT_BITS = 5  # 2**5 chords between 1 and 1/2
#: Fraction bits of a total times its reciprocal. An exponential is below 2**26, so what rounding the
#: reciprocal adds to a probability is below 2**-17, a quarter of its step.
RECIPROCAL_BITS = 42

_DOMAIN = "rows of up to 512 scores from -32 to 32, or minus infinity where masked (not all of a row)"

LN2 = constant(log(2), SCORE_BITS)
TURN = constant(1.353, SCORE_BITS)  # Kim et al., equation 13
OFFSET = constant(0.344 / 0.3585, 2 * SCORE_BITS)  # the same equation
LOG2_E = constant(1 / log(2), LOG2_E_BITS)

#: 2**-f at f = 0, 1/32, ..., 1 in Q.24.
POWERS = tuple(constant(2.0 ** (-i / 2**SEGMENT_BITS), POWER_BITS) for i in range(2**SEGMENT_BITS + 1))

#: Integers [..., L] and an axis to integers of the same shape.
Integers = Callable[[np.ndarray, int], np.ndarray]


def polynomial_exponentials(below: np.ndarray) -> np.ndarray:
    """I-BERT: ``exp(p) ~ 0.3585 (p + 1.353)**2 + 0.344`` on (-ln 2, 0], halved by shifts.

    Q.12 distances below zero to Q.24 in steps of 0.3585, which numerator and denominator have in common.
    """
    halvings = below // LN2
    rest = halvings * LN2 - below  # (-ln 2, 0] in Q.12
    return (rest + TURN) ** 2 + OFFSET >> np.minimum(halvings, 62)


def base2_exponentials(below: np.ndarray) -> np.ndarray:
    """Softermax: ``exp(-d) = 2**-(d log2 e)``, whole powers by shifts, the fraction by 32 chords.

    Q.12 distances below zero to Q.24.
    """
    power, whole = _power_of_two(below)
    return power >> np.minimum(whole, 62)


def _power_of_two(below: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``exp(-below)`` as a power in (1/2, 1], Q.24, to be halved `whole` times."""
    exponent = shift_right_even(below * LOG2_E, LOG2_E_BITS)  # Q.12
    whole, fraction = exponent >> SCORE_BITS, exponent & (2**SCORE_BITS - 1)
    rest_bits = SCORE_BITS - SEGMENT_BITS
    segment, rest = fraction >> rest_bits, fraction & (2**rest_bits - 1)
    powers = np.array(POWERS, np.int64)
    return powers[segment] - ((powers[segment] - powers[segment + 1]) * rest >> rest_bits), whole


def _below_greatest(exponentials: Callable[[np.ndarray], np.ndarray]) -> Integers:
    """Exponentials of how far each score lies below the greatest of its row."""
    return lambda score, axis: exponentials(score.max(axis=axis, keepdims=True) - score)


def _below_greatest_octave(score: np.ndarray, axis: int) -> np.ndarray:
    """Each score's own power of two, halved by as many octaves as it lies below the row's greatest.

    The shifts depend on a score and on the greatest octave alone. A circuit that keeps its sum as a count
    for each bit drops the lowest bits exactly whenever it meets a greater octave, and needs no second pass.
    """
    power, whole = _power_of_two(-score)
    return power >> np.minimum(whole - whole.min(axis=axis, keepdims=True), 62)


def divided(grown: np.ndarray, axis: int) -> np.ndarray:
    """Each exponential by the sum of its row, to nearest: Q.15."""
    return divide_nearest(grown << PROBABILITY_BITS, grown.sum(axis=axis, keepdims=True))


def multiplied(grown: np.ndarray, axis: int) -> np.ndarray:
    """Each exponential times the reciprocal of its row's sum, one rounding each: Q.15."""
    reciprocal = divide_nearest(np.array(1 << RECIPROCAL_BITS), grown.sum(axis=axis, keepdims=True))
    return shift_right_even(grown * reciprocal, RECIPROCAL_BITS - PROBABILITY_BITS)


def _probabilities(exponentials: Integers, normalised: Integers) -> Integers:
    def of(x: np.ndarray, axis: int) -> np.ndarray:
        return normalised(exponentials(to_fixed(x, SCORE_BITS, "int32"), axis), axis)

    return of


#: Real scores and an axis to probabilities in Q.15, by the name of the variant.
PROBABILITIES: Mapping[str, Integers] = MappingProxyType(
    {
        "integer_polynomial": _probabilities(_below_greatest(polynomial_exponentials), divided),
        "integer_base2": _probabilities(_below_greatest(base2_exponentials), divided),
        "integer_base2_reciprocal": _probabilities(_below_greatest(base2_exponentials), multiplied),
        "integer_online": _probabilities(_below_greatest_octave, multiplied),
    }
)

_SOFTERMAX = "Stevens et al., Softermax: Hardware/Software Co-Design of an Efficient Softmax, DAC 2021"
#: Where each form is from, by the name of the variant.
SOURCES: Mapping[str, str] = MappingProxyType(
    {
        "integer_polynomial": "Kim et al., I-BERT: Integer-only BERT Quantization, ICML 2021, algorithm 3",
        "integer_base2": _SOFTERMAX,
        "integer_base2_reciprocal": _SOFTERMAX,
        "integer_online": f"{_SOFTERMAX}; Milakov and Gimelshein, arXiv 1805.02867, algorithm 3",
    }
)


def _softmax(probabilities: Integers) -> Callable[..., np.ndarray]:
    def reference(x: np.ndarray, *, axis: int = -1) -> np.ndarray:
        """x [...] -> the same shape, multiples of 2**-15."""
        return from_fixed(probabilities(x, axis), PROBABILITY_BITS)

    return reference


SOFTMAX_VARIANTS = tuple(
    Variant(name, _softmax(probabilities), tolerance=1e-2, domain=_DOMAIN, source=SOURCES[name])
    for name, probabilities in PROBABILITIES.items()
)
