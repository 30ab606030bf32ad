"""Fixed-point steps that the integer variants share. Everything is int64 and exact.

"Q.n" is an integer that counts in steps of 2**-n.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from siliform.graph_ir.formats import format_named
from siliform.graph_ir.formats.integers import round_to_integers


def to_fixed(x: Any, fraction_bits: int, format: str) -> np.ndarray:
    """Real `x` as Q.fraction_bits: rounded half to even, saturated to the integer format.

    UserError where a value is NaN; infinities saturate.
    """
    grown = np.ldexp(np.asarray(x).astype(np.float64), fraction_bits)
    return round_to_integers(grown, format_named(format))


def from_fixed(levels: np.ndarray, fraction_bits: int) -> np.ndarray:
    """Q.fraction_bits as float32, rounded once where it has more than 24 bits."""
    return np.ldexp(levels.astype(np.float64), -fraction_bits).astype(np.float32)


def constant(value: float, fraction_bits: int) -> int:
    """A real constant as Q.fraction_bits, rounded to nearest."""
    return round(value * 2**fraction_bits)


def shift_right_even(levels: np.ndarray, places: Any) -> np.ndarray:
    """``levels / 2**places`` rounded half to even; `places` from 1 to 62, a number or an array."""
    below = levels >> places
    rest = levels - (below << places)
    half = np.int64(1) << (np.asarray(places, np.int64) - 1)
    return below + ((rest > half) | ((rest == half) & (below & 1 == 1)))


def divide_nearest(numerator: np.ndarray, denominator: np.ndarray | int) -> np.ndarray:
    """``numerator / denominator`` to the nearest integer, halves upwards; the denominator positive."""
    return (2 * numerator + denominator) // (2 * denominator)


def square_root(values: np.ndarray) -> np.ndarray:
    """The greatest integer whose square is at most each value, by Newton's iteration on integers.

    The iteration starts at a power of two above the root and falls until it stops falling, so the
    result is exact whatever the number of steps (at most 35 for 62 bits).
    Source: Kim et al., "I-BERT", ICML 2021, algorithm 4.
    """
    known = np.asarray(values, np.int64)
    if (known < 0).any() or (known >= 2**62).any():
        raise ValueError(f"square roots of {known.min()} to {known.max()}; they need 0 to 2**62 - 1")
    bits = np.frexp(known.astype(np.float64))[1].astype(np.int64)
    root = np.int64(1) << (bits + 1) // 2
    while True:
        lower = (root + known // np.maximum(root, 1)) >> 1
        falling = lower < root
        if not falling.any():
            return root
        root = np.where(falling, lower, root)
