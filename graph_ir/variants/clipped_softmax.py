"""Integer clipped softmax: the integer softmax in Q.15, stretched, shifted and clipped.

The stretch ``zeta - gamma`` and the shift `gamma` are taken in Q.15; the stretched probability is rounded
half to even.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from siliform.graph_ir.opspec import Variant
from siliform.graph_ir.variants.fixed_point import constant, from_fixed, shift_right_even
from siliform.graph_ir.variants.softmax import PROBABILITIES, PROBABILITY_BITS, SOURCES, Integers


def stretch_and_shift(gamma: float, zeta: float) -> tuple[int, int]:
    """``zeta - gamma`` and `gamma` in Q.15, as the circuit takes them."""
    return constant(zeta - gamma, PROBABILITY_BITS), constant(gamma, PROBABILITY_BITS)


def _clipped(probabilities: Integers) -> Callable[..., np.ndarray]:
    def reference(x: np.ndarray, *, gamma: float, zeta: float, axis: int = -1) -> np.ndarray:
        """x [...] -> the same shape, multiples of 2**-15 from 0 to 1."""
        stretch, shift = stretch_and_shift(gamma, zeta)
        grown = probabilities(x, axis) * stretch + (shift << PROBABILITY_BITS)
        level = np.clip(shift_right_even(grown, PROBABILITY_BITS), 0, 1 << PROBABILITY_BITS)
        return from_fixed(level, PROBABILITY_BITS)

    return reference


CLIPPED_SOFTMAX_VARIANTS = tuple(
    Variant(
        name,
        _clipped(probabilities),
        tolerance=4e-3 if name == "integer_polynomial" else 1e-3,
        domain="rows of up to 512 scores from -32 to 32, or minus infinity where masked, whose greatest "
        "result is 1/8 or above; gamma from -0.1 to 0, zeta from 1 to 1.1",
        source=f"Bondarenko et al., Quantizable Transformers, arXiv 2306.12929, equation 4; {SOURCES[name]}",
    )
    for name, probabilities in PROBABILITIES.items()
)
