"""Units that multiply matrices in folds: what the mapper needs to know of any of them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from siliform.arch.parameter import parameter
from siliform.arch.technology import multiplier_bits
from siliform.arch.unit import Unit
from siliform.graph_ir.formats import Format, Range, format_named


@dataclass(frozen=True)
class Folding:
    """How a unit works a product off, on operands of given formats.

    Attributes
    ----------
    dataflow, overlap : as `siliform.arch.units.array` names them.
    overhead_cycles : beside the streams of its folds: of every fold where overlap is ``none``, of the whole
        where it is ``double-buffered``.
    word_elements : elements along K that it takes side by side; a product is as deep as the words of its K.
    depth_words : words along K that it works on at a time.
    """

    dataflow: str
    overlap: str
    overhead_cycles: int
    word_elements: int
    depth_words: int


def _carries(cell: Format, operand: Format) -> bool:
    """Whether multipliers of one element format take the elements of another, widened.

    Integers take whole numbers, which 4-bit floats are in counts of their step (as in
    `Technology.mac_energy_pj`); floats take floats of a narrower significand, since exponents are added
    beside the multiplier. A power of two is shifted by, not multiplied.
    """
    if cell.is_integer_like:
        held, needed = Range.of(cell), Range.of(operand)
        whole = operand.is_integer_like or (operand.kind == "float" and operand.bits <= 4)
        low, high = needed.low / needed.step, needed.high / needed.step
        return whole and held.low <= low and high <= held.high
    both_floats = cell.kind == operand.kind == "float"
    return both_floats and multiplier_bits(operand.name) <= multiplier_bits(cell.name)


@dataclass(frozen=True, kw_only=True)
class MatrixUnit(Unit):
    """A grid of cells that multiplies two matrices fold by fold, a fold as large as the grid."""

    rows: int = parameter("cells along the rows' dimension", low=1, high=4096, knob=(8, 16, 32, 64, 128, 256))
    columns: int = parameter(
        "cells along the columns' dimension", low=1, high=4096, knob=(8, 16, 32, 64, 128, 256)
    )

    @property
    @abstractmethod
    def sum_bits(self) -> int:
        """Width of a partial sum as it leaves the unit and comes back."""

    @abstractmethod
    def folding(self, formats: Sequence[str]) -> Folding:
        """The unit's folds on operands of these two formats, which it accepts."""

    def cell_formats(self, formats: tuple[str, str]) -> tuple[str, str]:
        """The formats of the multipliers that take operands of these two, which set a product's energy.

        Cells that take one element at a time, whatever its format, carry it in the widest that they have,
        sign-extended: all bits of their multiplier follow it. Words hold as many elements as fit: those are
        multiplied as they are.
        """
        if self.folding(formats).word_elements > 1:
            return formats
        first, second = formats
        return self._carrier(first), self._carrier(second)

    def _carrier(self, name: str) -> str:
        """The widest format of the cells that holds every element of this one, counted in its steps."""
        carried = format_named(name)
        able = [f for f in map(format_named, getattr(self, "formats", ())) if _carries(f, carried)]
        return max(able, key=lambda f: (f.is_integer_like, multiplier_bits(f.name))).name if able else name

    def kept_share(self, second_is_weight: bool) -> float:
        """The share of a product's pairs that are multiplied, where the unit skips zeros."""
        return 1.0
