"""Whole ticks: a unit of time in which a cycle and a byte of DRAM both last whole numbers."""

from __future__ import annotations

from dataclasses import dataclass

from siliform.arch.accelerator import Accelerator

#: assumption: a tick is at most this share of a cycle, so that times of other origin (nanoseconds of a data
#: sheet, shares of a tile) lose little when they are rounded to ticks.
LEAST_TICKS_PER_CYCLE = 64


@dataclass(frozen=True)
class Clock:
    """Ticks of one design: integers, so that runs repeat exactly and states can be compared.

    Attributes
    ----------
    ticks_per_cycle : of the design's clock.
    ticks_per_byte : at the sustained bandwidth of its DRAM.
    """

    ticks_per_cycle: int
    ticks_per_byte: int

    @classmethod
    def of(cls, accelerator: Accelerator) -> Clock:
        """The coarsest ticks that are fine enough."""
        rate = accelerator.dram_bytes_per_cycle  # bytes/cycle = ticks_per_cycle / ticks_per_byte
        finer = -(-LEAST_TICKS_PER_CYCLE // rate.numerator)
        return cls(rate.numerator * finer, rate.denominator * finer)

    def cycles(self, ticks: int) -> int:
        """Whole cycles that cover so many ticks."""
        return -(-ticks // self.ticks_per_cycle)
