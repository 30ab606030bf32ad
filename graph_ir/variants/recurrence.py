"""Fixed-point linear recurrence: decays in int16 Q.14, drive and states in int32 Q.16.

A step multiplies the state by its decay exactly, rounds the product half to even back to the state's
steps, adds the drive and saturates. Steps follow each other, so there is no order to depend on.
"""

from __future__ import annotations

import numpy as np

from siliform.graph_ir.opspec import Variant
from siliform.graph_ir.variants.fixed_point import from_fixed, shift_right_even, to_fixed

DECAY_BITS = 14  # fraction bits of a decay: int16 then reaches from -2 to 2, and holds 1 exactly
STATE_BITS = 16  # fraction bits of drive and state: int32 then reaches 2**15
STATE_WIDTH = 32


def recurrence_levels(
    decay: np.ndarray,
    drive: np.ndarray,
    initial: np.ndarray,
    decay_bits: int = DECAY_BITS,
    width: int = STATE_WIDTH,
) -> np.ndarray:
    """Integer decay [L, ...] in Q.decay_bits, drive [L, ...] and initial [...] -> states [L, ...], int64.

    States are integers of `width` bits, saturated; a decay times a state has at most 62 bits.
    """
    low, high = -(2 ** (width - 1)), 2 ** (width - 1) - 1
    state, made = initial.astype(np.int64), np.empty(drive.shape, np.int64)
    for step, (factor, push) in enumerate(zip(decay, drive, strict=True)):
        state = np.clip(shift_right_even(factor.astype(np.int64) * state, decay_bits) + push, low, high)
        made[step] = state
    return made


def fixed_point_recurrence(
    a: np.ndarray, b: np.ndarray, initial: np.ndarray | None = None, *, axis: int
) -> np.ndarray:
    """a and b [..., L, ...] -> h with h[t] = a[t] h[t-1] + b[t] along `axis`; h[-1] is `initial` or 0."""
    decay = np.moveaxis(to_fixed(a, DECAY_BITS, "int16"), axis, 0)
    drive = np.moveaxis(to_fixed(b, STATE_BITS, "int32"), axis, 0)
    before = np.zeros(drive.shape[1:]) if initial is None else to_fixed(initial, STATE_BITS, "int32")
    made = recurrence_levels(decay, drive, before)
    return from_fixed(np.moveaxis(made, 0, axis), STATE_BITS)


LINEAR_RECURRENCE_VARIANTS = (
    Variant(
        "fixed_point",
        fixed_point_recurrence,
        tolerance=4e-3,
        domain="decays from 0 to 0.99, normally distributed drive, up to 512 steps",
        source="Gu and Dao, Mamba, arXiv 2312.00752, algorithm 2; a decay rounded by 2**-15 tells 100 times",
    ),
)
