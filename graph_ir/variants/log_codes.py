"""Integer logarithmic codes: values in Q.15 with 16 bits and no sign, codes by comparison.

A code is above k where its value is at most a limit, so that codes are counts of limits and no logarithm is
taken. The limits are exact integers: powers of fractions are compared, never floats.
"""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache

import numpy as np

from siliform.graph_ir.formats import Quantised, format_named, quantise
from siliform.graph_ir.opspec import Variant
from siliform.graph_ir.variants.fixed_point import from_fixed, to_fixed

VALUE_BITS = 15  # fraction bits of a value
VALUE_WIDTH = 16  # bits of a value: from 0 to just below 2


def values_of(x: np.ndarray) -> np.ndarray:
    """Real values as int64 in Q.15: rounded half to even, saturated to 0 and to 16 bits."""
    return np.clip(to_fixed(x, VALUE_BITS, "int32"), 0, 2**VALUE_WIDTH - 1)


@lru_cache(maxsize=256)
def _limits(bits: int, numerator: int, denominator: int, scale: float) -> tuple[int, ...]:
    return tuple(_limit(k, numerator, denominator, scale) for k in range(2**bits - 1))


def limits(bits: int, numerator: int, denominator: int, scale: float) -> np.ndarray:
    """int64 [2**bits - 1], descending: the greatest value in Q.15 whose code is above k, for each code k."""
    return np.array(_limits(bits, numerator, denominator, float(scale)), np.int64)


def _limit(k: int, numerator: int, denominator: int, scale: float) -> int:
    """By bisection: the code of v is above k where ``(s / v)**(2 d) > 2**((2 k + 1) n)``; ties are even."""
    size, power = Fraction(scale) * 2**VALUE_BITS, 2 * denominator
    most = 2 ** ((2 * k + 1) * numerator)

    def above(value: int) -> bool:
        reached, allowed = size.numerator**power, most * (value * size.denominator) ** power
        return reached > allowed or (reached == allowed and k % 2 == 1)

    low, high = 0, 2**VALUE_WIDTH  # zero has the last code; `high` is above every value
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if above(middle) else (low, middle)
    return low


def integer_log_codes(
    x: np.ndarray, *, bits: int, numerator: int = 1, denominator: int = 1, scale: float = 1.0
) -> np.ndarray:
    """x [...] -> uint8 codes of the same shape: how many limits each value does not exceed."""
    steps = limits(bits, numerator, denominator, scale)
    return (steps.size - np.searchsorted(steps[::-1], values_of(x), side="left")).astype(np.uint8)


def integer_log2(x: np.ndarray, scale: np.ndarray | None = None, *, format: str) -> Quantised:
    """x [...] of probabilities in ``log2_<bits>@tensor`` or ``adalog<n>_<bits>@tensor`` with the scale 1.

    Values become Q.15 first; `limits` then has the same codes.
    """
    known = format_named(format)
    if known.kind != "log2" or not known.name.endswith("@tensor"):
        raise ValueError(f"integer_log2 makes log2_<bits>@tensor or adalog<n>_<bits>@tensor, not {format}")
    if scale is not None and np.any(np.asarray(scale) != 1):
        raise ValueError(f"integer_log2 of probabilities has the scale 1, not {scale}")
    return quantise(from_fixed(values_of(x), VALUE_BITS), known, np.ones(()))


LOG_CODES_VARIANTS = (
    Variant(
        "integer",
        integer_log_codes,
        tolerance=0.0,
        domain="multiples of 2**-15 from 0 to just below 2",
        source="comparison with the middles between codes; Wu et al., AdaLog, ECCV 2024, equation 6",
    ),
)

QUANTIZE_VARIANTS = (
    Variant(
        "integer_log2",
        integer_log2,
        tolerance=0.75,
        domain="probabilities; the float form takes a scale from the data, and each is within a factor of "
        "the root of two of the value",
        source="Li et al., RepQ-ViT, ICCV 2023, equation 6",
    ),
)
