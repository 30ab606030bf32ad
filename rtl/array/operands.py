"""Formats of operands as the cells take them: codes on the wires, whole steps in the sums."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np

from siliform.graph_ir.errors import UserError, nearest
from siliform.graph_ir.formats import Accumulator, Format, Quantised, Range, accumulator, format_named
from siliform.graph_ir.variants.products import SHIFT_BITS, shift_factors

INTEGERS = ("ternary", "int3", "int4", "int5", "int8", "int16")
FLOATS = ("fp4_e1m2", "fp4_e2m1", "fp4_e3m0", "fp8_e4m3", "fp8_e5m2")
SHIFTS = (f"log2_{SHIFT_BITS}",)  # of weights: a sign and q for plus or minus 2**-q
OPERANDS = (*INTEGERS, *FLOATS, *SHIFTS)


@dataclass(frozen=True)
class Operand:
    """An operand's format.

    name : the element format; of ``log2_4`` the circuit has a sign as well, above the format's own bits.
    """

    name: str

    @property
    def format(self) -> Format:
        """The element format in `graph_ir.formats`."""
        return format_named(self.name)

    @property
    def is_shift(self) -> bool:
        """Whether products with it are shifts; such a format has no zero."""
        return self.name in SHIFTS

    @property
    def is_float(self) -> bool:
        """Whether sums of products count fractions."""
        return self.name in FLOATS

    @property
    def bits(self) -> int:
        """Width on the wires."""
        return self.format.bits + self.is_shift

    @property
    def exponent_bits(self) -> int:
        """Bits of a float's exponent, 0 for other formats."""
        return int(self.name[self.name.index("_e") + 2]) if self.is_float else 0

    @cached_property
    def range(self) -> Range:
        """The numbers it holds, infinities aside."""
        of_format = Range.of(self.format)
        return Range(-of_format.high, of_format.high, of_format.step) if self.is_shift else of_format

    @cached_property
    def codes(self) -> np.ndarray:
        """Every code that means a finite number, int64, ascending."""
        if self.is_shift:
            return np.arange(2**self.bits)
        known = self.format.codes()
        return known[np.isfinite(self.format.decode(known))].astype(np.int64)

    def counts(self, codes: np.ndarray) -> np.ndarray:
        """The numbers that `codes` mean, as counts of the format's step: int64."""
        if self.is_shift:
            half = 2 ** (self.bits - 1)
            return shift_factors(np.asarray(codes) >= half, np.asarray(codes) % half)
        return np.asarray(self.format.decode(codes) / float(self.range.step)).astype(np.int64)

    def quantised(self, codes: np.ndarray) -> Quantised:
        """The tensor that `codes` are, with the scale 1: what an op's reference takes."""
        return Quantised(self.format.decode(codes), np.array(1.0), format_named(f"{self.name}@tensor"))

    @cached_property
    def corners(self) -> Mapping[str, int]:
        """Codes at which mistakes show, by a name for each: extremes, zeros, ones, subnormals."""
        if self.is_shift:
            half = 2 ** (self.bits - 1)
            return {"1": 0, "-1": half, "the least": half - 1, "minus the least": 2 * half - 1}
        counts = self.counts(self.codes)
        low, high = int(counts.min()), int(counts.max())
        wanted = {"the lowest": low, "one step above it": low + 1, "-1 step": -1, "0": 0, "1 step": 1}
        wanted["the highest"] = high
        if self.is_float:
            normal = 2 ** (self.bits - 1 - self.exponent_bits)  # the least number with a leading one
            wanted |= {"the least normal": normal, "the next above it": normal + 1}
        # Of the two codes of a float's zero the positive one is the last written, and so kept.
        place = {int(count): int(code) for count, code in zip(counts[::-1], self.codes[::-1], strict=True)}
        minus_zero = {"-0": 2 ** (self.bits - 1)} if self.is_float else {}
        return {name: place[count] for name, count in wanted.items() if count in place} | minus_zero

    def draw(self, generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        """Codes of finite numbers: all of them, corners among them never, now and then, or only."""
        found = generator.choice(self.codes, shape)
        corners = generator.choice(list(self.corners.values()), shape)
        return np.where(generator.random(shape) < generator.choice([0.0, 0.3, 1.0]), corners, found)

    def noise(self, generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        """Any bits at all."""
        return generator.integers(0, 2**self.bits, shape)


@cache
def operand(name: str, where: str) -> Operand:
    """The operand of that name; UserError, with the nearest names, where no cell multiplies it."""
    if name not in OPERANDS:
        raise UserError(
            asked=f"an array in hardware with {where} = {name}",
            found=f"cells for {', '.join(OPERANDS)}",
            where=where,
            next_step=f"use one of the nearest: {nearest(name, OPERANDS)}",
        )
    return Operand(name)


def operand_of(bits: int, exponent_bits: int, is_shift: bool) -> Operand:
    """The operand that a circuit of these parameters takes."""
    (found,) = (
        o
        for o in map(Operand, OPERANDS)
        if (o.bits, o.exponent_bits, o.is_shift) == (bits, exponent_bits, is_shift)
    )
    return found


def exact(activation: Operand, weight: Operand, terms: int) -> Accumulator:
    """The fixed-point register that holds any sum of so many products."""
    return accumulator(activation.range, weight.range, terms)
