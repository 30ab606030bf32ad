"""Requantisation: wide integer sums to narrow integers, by an integer multiplier and a shift."""

from __future__ import annotations

from typing import Any

import numpy as np

from siliform.graph_ir.formats import format_named
from siliform.graph_ir.formats.integers import round_to_integers
from siliform.graph_ir.variants.fixed_point import shift_right_even

MULTIPLIER_BITS = 31  # Jacob et al., CVPR 2018, section 2.2: a mantissa in [2**30, 2**31)


def fixed_multiplier(factor: Any, bits: int = MULTIPLIER_BITS) -> tuple[np.ndarray, np.ndarray]:
    """Positive real factors as ``multiplier / 2**shift``, the multiplier of `bits` bits, the first 1.

    ValueError where a factor is not positive, or so great or small that the shift leaves 1 to 62.
    """
    known = np.asarray(factor, np.float64)
    if not (known > 0).all():
        raise ValueError(f"requantisation by {known.min()}; factors must be positive")
    fraction, exponent = np.frexp(known)
    multiplier = np.rint(np.ldexp(fraction, bits)).astype(np.int64)
    shift = bits - exponent.astype(np.int64)
    full = multiplier == 2**bits  # rounded up to the next power of two
    multiplier, shift = np.where(full, multiplier >> 1, multiplier), np.where(full, shift - 1, shift)
    if (shift < 1).any() or (shift > 62).any():
        raise ValueError(
            f"requantisation by {known.min()} to {known.max()}; they need 2**{bits - 62} to 2**{bits - 2}"
        )
    return multiplier, shift


def requantise(total: np.ndarray, multiplier: Any, shift: Any, format: str) -> np.ndarray:
    """``total * multiplier / 2**shift`` rounded half to even, saturated to an integer format.

    `total` is int32 in range, so that the product has at most 63 bits; OverflowError otherwise.
    Source: Jacob et al., CVPR 2018, section 2.2; they round halves away from zero, here to even.
    """
    if total.size and (total.min() < -(2**31) or total.max() >= 2**31):
        raise OverflowError(f"sums from {total.min()} to {total.max()} do not fit the int32 accumulator")
    return round_to_integers(shift_right_even(total * multiplier, shift), format_named(format))


def requantised_sum(
    a: np.ndarray, b: np.ndarray, multiplier_a: int, multiplier_b: int, shift: int, format: str
) -> np.ndarray:
    """``(a * multiplier_a + b * multiplier_b) / 2**shift`` rounded half to even, saturated to `format`.

    a and b are int64 of at most 16 bits; multipliers from 0 to 2**31 - 1; shift from 1 to 62.
    Source: Jacob et al., CVPR 2018, appendix A.2.
    """
    total = a * multiplier_a + b * multiplier_b
    return round_to_integers(shift_right_even(total, shift), format_named(format))


def common_multipliers(first: float, second: float) -> tuple[int, int, int]:
    """Two positive factors as multipliers over one ``2**shift``, the greater one in [2**30, 2**31).

    ValueError where the greater one leaves the range of `fixed_multiplier`.
    """
    _, shift = fixed_multiplier(max(first, second))
    one, other = (int(np.rint(np.ldexp(factor, int(shift)))) for factor in (first, second))
    return one, other, int(shift)
