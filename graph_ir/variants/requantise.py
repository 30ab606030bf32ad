"""Requantisation: wide integer sums to narrow integers, by an integer multiplier and a shift."""

from __future__ import annotations

from typing import Any

import numpy as np

from siliform.graph_ir.formats import format_named
from siliform.graph_ir.formats.integers import round_to_integers
from siliform.graph_ir.variants.fixed_point import shift_right_even

MULTIPLIER_BITS = 31  # Jacob et al., CVPR 2018, section 2.2: a mantissa in [2**30, 2**31)


def fixed_multiplier(factor: Any) -> tuple[np.ndarray, np.ndarray]:
    """Positive real factors as ``multiplier / 2**shift``, the multiplier in [2**30, 2**31).

    ValueError where a factor is not positive, or so great or small that the shift leaves 1 to 62.
    """
    known = np.asarray(factor, np.float64)
    if not (known > 0).all():
        raise ValueError(f"requantisation by {known.min()}; factors must be positive")
    fraction, exponent = np.frexp(known)
    multiplier = np.rint(np.ldexp(fraction, MULTIPLIER_BITS)).astype(np.int64)
    shift = MULTIPLIER_BITS - exponent.astype(np.int64)
    full = multiplier == 2**MULTIPLIER_BITS  # rounded up to the next power of two
    multiplier, shift = np.where(full, multiplier >> 1, multiplier), np.where(full, shift - 1, shift)
    if (shift < 1).any() or (shift > 62).any():
        raise ValueError(f"requantisation by {known.min()} to {known.max()}; they need 2**-31 to 2**29")
    return multiplier, shift


def requantise(total: np.ndarray, multiplier: Any, shift: Any, format: str) -> np.ndarray:
    """``total * multiplier / 2**shift`` rounded half to even, saturated to an integer format.

    `total` is int32 in range, so that the product has at most 63 bits; OverflowError otherwise.
    Source: Jacob et al., CVPR 2018, section 2.2; they round halves away from zero, here to even.
    """
    if total.size and (total.min() < -(2**31) or total.max() >= 2**31):
        raise OverflowError(f"sums from {total.min()} to {total.max()} do not fit the int32 accumulator")
    return round_to_integers(shift_right_even(total * multiplier, shift), format_named(format))
