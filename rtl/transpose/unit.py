"""The transposer: parameters, streams, law and cases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from siliform.arch.units.transpose import transpose_cycles
from siliform.graph_ir.ops.views import permute
from siliform.rtl.common.design import Design, Field, Stream
from siliform.rtl.common.lanes import check_range, integers, noise
from siliform.rtl.common.unit import Case, HardwareUnit, Mutant, Shape

HERE = Path(__file__).parent
SOURCES = tuple(HERE / f"{name}.sv" for name in ("transpose_tile", "transpose_side", "transposer"))

MUTANTS = (
    Mutant("rows out as rows", "transpose_tile.sv", "row_q[r][column_i]", "row_q[column_i][r]"),
    Mutant("a tile written twice", "transposer.sv", "taken && fill == 1'(t)", "taken"),
    Mutant("a row of the tile before", "transpose_side.sv", "last_i ? '0 : place_q", "place_q"),
    Mutant("one tile only", "transpose_side.sv", "tile_q ^ last_i", "1'b0"),
    Mutant("columns of the tile that fills", "transposer.sv", "columns_q[drain]", "columns_q[fill]"),
    Mutant("a lane too many", "transposer.sv", "{Side{1'b1}} << 1 << rows_q", "{Side{1'b1}} << 2 << rows_q"),
    Mutant("rows into a full tile", "transposer.sv", "!full_q[fill]", "1'b1"),
    Mutant("no row while columns leave", "transposer.sv", "!full_q[fill]", "full_q == '0"),
)


@dataclass(frozen=True)
class TransposeUnit(HardwareUnit):
    """Two tiles of `side` x `side` elements of `bits` bits."""

    kind: ClassVar[str] = "transpose"

    side: int = 4
    bits: int = 8

    def __post_init__(self) -> None:
        check_range(self, side=(2, 64), bits=(2, 63))

    @property
    def name(self) -> str:
        """The parameters in a word."""
        return f"{self.side}x{self.side}-{self.bits}bits"

    @classmethod
    def elaborations(cls) -> Sequence[Self]:
        """Sides that are powers of two and not; narrow elements and wide."""
        return cls(), cls(3, 5), cls(2, 2), cls(8, 4), cls(5, 32), cls(16, 8)

    def design(self) -> Design:
        """What Verilator builds."""
        return Design("transposer", SOURCES, (("Side", self.side), ("Width", self.bits)), self.streams())

    @classmethod
    def of_parameters(cls, parameters: Mapping[str, int]) -> Self:
        """The unit that `transposer` is with these parameters."""
        return cls(parameters["Side"], parameters["Width"])

    def streams(self) -> tuple[Stream, Stream]:
        """Rows in, columns out."""
        count = (self.side - 1).bit_length()
        rows = (
            Field("row_last", 1, 1, signed=False),
            Field("row_columns", 1, count, signed=False),
            Field("row", self.side, self.bits),
        )
        columns = (
            Field("column_last", 1, 1, signed=False),
            Field("column_keep", self.side, 1, signed=False),
            Field("column", self.side, self.bits),
        )
        return Stream("row", "in", rows), Stream("column", "out", columns)

    def shape(self, generator: np.random.Generator) -> Shape:
        """Matrices of one row or column, smaller than a tile, of whole tiles, and ragged."""

        def extent() -> int:
            whole = self.side * int(generator.integers(1, 4))
            ragged = whole + int(generator.integers(1, self.side))
            return int(
                generator.choice([1, int(generator.integers(1, self.side + 1)), whole, ragged, ragged])
            )

        return {"batch": int(generator.choice([1, 1, 2, 3])), "rows": extent(), "columns": extent()}

    def case(self, shape: Shape, generator: np.random.Generator) -> Case:
        """Matrices one behind the other, band by band; noise where a tile is not filled."""
        batch, rows, columns = (shape[name] for name in ("batch", "rows", "columns"))
        x = integers(generator, self.bits, batch, rows, columns)
        turned = permute.reference(x, axes=(0, 2, 1))
        tiles = [
            (b, top, min(self.side, rows - top), left, min(self.side, columns - left))
            for b in range(batch)
            for top in range(0, rows, self.side)
            for left in range(0, columns, self.side)
        ]
        into = [x[b, top : top + r, left : left + c] for b, top, r, left, c in tiles]
        out_of = [turned[b, left : left + c, top : top + r] for b, top, r, left, c in tiles]
        hits = self._hits(batch, rows, columns) | {
            f"element of {corner}": bool((x == corner).any()) for corner in self._corners()
        }
        return Case(
            shape,
            inputs={
                "row": {
                    "row_last": _lasts(into),
                    "row_columns": np.concatenate(
                        [
                            np.where(last, tile.shape[1] - 1, generator.integers(self.side))
                            for tile in into
                            for last in [_lasts([tile])]
                        ]
                    ),
                    "row": np.concatenate([self._beats(tile, generator) for tile in into]),
                }
            },
            expected={
                "column": {
                    "column_last": _lasts(out_of),
                    "column_keep": np.concatenate([self._used(tile) for tile in out_of]).astype(np.int64),
                    "column": np.concatenate([self._beats(tile, generator) for tile in out_of]),
                }
            },
            law_cycles=int(transpose_cycles(rows, columns, self.side, batch)),
            care={"column": {"column": np.concatenate([self._used(tile) for tile in out_of])}},
            bins=frozenset(name for name, hit in hits.items() if hit),
        )

    def _beats(self, tile: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """A tile's beats, one a line of it: [beats, side]."""
        made = noise(generator, self.bits, len(tile), self.side)
        made[:, : tile.shape[1]] = tile
        return made

    def _used(self, tile: np.ndarray) -> np.ndarray:
        """Which lanes of those beats hold elements."""
        return np.tile(np.arange(self.side) < tile.shape[1], (len(tile), 1))

    def _corners(self) -> tuple[int, ...]:
        low = -(2 ** (self.bits - 1))
        return low, 0, -low - 1

    def _hits(self, batch: int, rows: int, columns: int) -> dict[str, bool]:
        return {
            "one row": rows == 1,
            "one column": columns == 1,
            "smaller than a tile": rows < self.side and columns < self.side,
            "whole tiles": rows % self.side == columns % self.side == 0,
            "ragged both ways": rows > self.side < columns and rows % self.side > 0 < columns % self.side,
            "several matrices": batch > 1,
        }

    def bins(self) -> frozenset[str]:
        """Shapes and corner values."""
        return frozenset(self._hits(1, 1, 1)) | {f"element of {corner}" for corner in self._corners()}

    @classmethod
    def mutants(cls) -> Sequence[Mutant]:
        """At least one in each module."""
        return MUTANTS


def _lasts(tiles: Sequence[np.ndarray]) -> np.ndarray:
    """1 in the last beat of each tile, else 0: [beats, 1]."""
    return np.concatenate([np.arange(len(tile)) == len(tile) - 1 for tile in tiles]).astype(np.int64)[:, None]
