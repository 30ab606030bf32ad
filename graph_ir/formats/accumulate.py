"""What a product of two formats accumulates into without ever rounding."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from siliform.graph_ir.formats.base import Format


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high` that are whole multiples of `step`."""

    low: Fraction
    high: Fraction
    step: Fraction

    @classmethod
    def of(cls, format: Format) -> Range:
        """The elements of a format, before scaling."""
        item = format.element
        return cls(Fraction(item.min), Fraction(item.max), Fraction(item.step))


@dataclass(frozen=True)
class Accumulator:
    """A fixed-point register that holds any sum of so many products exactly.

    Attributes
    ----------
    bits : width in two's complement, sign included.
    step : weight of the least significant bit, a power of two; 1 for an integer register.
    """

    bits: int
    step: Fraction

    @property
    def is_integer(self) -> bool:
        """Whether the register counts whole numbers."""
        return self.step == 1

    @property
    def fits_float64(self) -> bool:
        """Whether float64 holds every such sum: then its additions are exact in any order."""
        return self.bits <= 54 and self.step >= Fraction(1, 2**1074)


def accumulator(a: Format | Range, b: Format | Range, terms: int = 1) -> Accumulator:
    """The exact accumulator of `terms` products of an element of `a` and one of `b`.

    Scales are left out: they are applied behind the sum. Every element is a whole multiple of its
    format's step, so every product is one of the product of the steps, and the sum of the greatest
    products bounds the width. int8 x int8 over 768 terms takes 25 bits; fp4_e2m1 squared over 32
    terms takes 14 bits of a quarter each.
    """
    if terms < 1:
        raise ValueError(f"an accumulator of {terms} terms")
    x, y = (r if isinstance(r, Range) else Range.of(r) for r in (a, b))
    step = x.step * y.step
    products = [p * q for p in (x.low, x.high) for q in (y.low, y.high)]
    zero = Fraction(0)
    high, low = (int(bound * terms / step) for bound in (max(zero, *products), min(zero, *products)))
    return Accumulator(1 + max(high.bit_length(), (-low - 1).bit_length() if low else 0), step)
