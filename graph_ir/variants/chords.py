"""Functions by chords: a function that is nearly 0 far below and nearly x far above, in fixed point.

Between -reach and reach the function is known at knots an eighth apart, and what lies between two knots
is on the line through both, its rise rounded half to even. Below -reach it is 0, from reach on it is x.
Operands and results are int16 in Q.11, from -16 to 16.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from siliform.graph_ir.variants.fixed_point import constant, shift_right_even

VALUE_BITS = 11  # fraction bits of operand and result
SEGMENT_BITS = 8  # a chord spans 2**8 steps of 2**-11, an eighth


@dataclass(frozen=True)
class Chords:
    """The table of one function: its values at -reach, -reach + 1/8, ..., reach in Q.11."""

    reach: int
    knots: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(self.knots) != 16 * self.reach + 1:
            raise ValueError(f"{len(self.knots)} knots for {16 * self.reach} chords")

    def levels(self, value: np.ndarray) -> np.ndarray:
        """The function of int16 levels in Q.11, as such levels; any shape."""
        edge = self.reach << VALUE_BITS
        offset = np.clip(value, -edge, edge - 1) + edge
        segment, rest = offset >> SEGMENT_BITS, offset & (2**SEGMENT_BITS - 1)
        knots = np.array(self.knots, np.int64)
        rise = shift_right_even((knots[segment + 1] - knots[segment]) * rest, SEGMENT_BITS)
        return np.where(value >= edge, value, np.where(value < -edge, 0, knots[segment] + rise))


def chords(function: Callable[[float], float], reach: int) -> Chords:
    """The table of `function`, its values rounded to nearest."""
    places = (i / 8 - reach for i in range(16 * reach + 1))
    return Chords(reach, tuple(constant(function(place), VALUE_BITS) for place in places))
