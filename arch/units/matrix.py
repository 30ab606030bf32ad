"""Units that multiply matrices in folds: what the mapper needs to know of any of them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from siliform.arch.parameter import parameter
from siliform.arch.unit import Unit


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

        The operands' own, unless cells carry narrow operands in wider ones.
        """
        return formats

    def kept_share(self, second_is_weight: bool) -> float:
        """The share of a product's pairs that are multiplied, where the unit skips zeros."""
        return 1.0
