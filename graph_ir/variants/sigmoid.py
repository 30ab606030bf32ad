"""Integer sigmoid: values in int32 Q.12, results in int32 Q.15.

``sigmoid(x) = exp(x) / (exp(x) + exp(0))``, the integer softmax of x beside a zero: sigmoid attention takes
the circuits of softmax, and a row of one element needs no sum over others.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from siliform.graph_ir.opspec import Variant
from siliform.graph_ir.variants.fixed_point import from_fixed
from siliform.graph_ir.variants.softmax import PROBABILITIES, PROBABILITY_BITS, SOURCES

_TOLERANCES = (("integer_base2", 2e-4), ("integer_polynomial", 4e-3))


def _beside_zero(name: str) -> Callable[[np.ndarray], np.ndarray]:
    def reference(x: np.ndarray) -> np.ndarray:
        """x [...] -> the same shape, multiples of 2**-15; NaN raises UserError."""
        known = np.asarray(x)
        pairs = np.stack([known, np.zeros_like(known)], axis=-1)
        return from_fixed(PROBABILITIES[name](pairs, -1)[..., 0], PROBABILITY_BITS)

    return reference


SIGMOID_VARIANTS = tuple(
    Variant(
        name,
        _beside_zero(name),
        tolerance=tolerance,
        domain="any values, one of which at least is 1 or above",
        source=SOURCES[name],
    )
    for name, tolerance in _TOLERANCES
)
