"""The weight-stationary array as a design: its parameters, streams and law."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from siliform.arch.units.array import tiled_array_cycles
from siliform.graph_ir.errors import UserError
from siliform.rtl.common.design import Design, Field, Stream

HERE = Path(__file__).parent
# In the order of use: what a module instantiates comes before it.
SOURCES = (
    HERE.parent / "common" / "skew.sv",
    *(
        HERE / f"{name}.sv"
        for name in (
            "mac_plane",
            "array_cells",
            "weights_single",
            "weights_double",
            "array_control",
            "systolic_array",
            "accumulator",
            "matrix_unit",
        )
    ),
)
# Measured with Verilator 5.048 and g++ 12 on a busy two-core machine: 16 x 16 builds in 29 s unrolled and
# 10 s rolled, and runs 357 thousand cycles a second unrolled and 20 thousand rolled.
MOST_UNROLLED_CELLS = 256


@dataclass(frozen=True)
class ArrayUnit:
    """A weight-stationary array with its accumulator.

    rows, columns : cells along K and along N.
    overlap : as the law names it; ``none`` holds one weight in a cell, ``double-buffered`` two.
    activation_bits, weight_bits : operand widths, two's complement.
    sum_bits : width of a partial sum, which wraps.
    depth_rows : rows of a product that the accumulator holds; longer products are tiled along M.
    """

    rows: int
    columns: int
    overlap: Literal["none", "double-buffered"] = "double-buffered"
    activation_bits: int = 8
    weight_bits: int = 8
    sum_bits: int = 32
    depth_rows: int = 64

    def __post_init__(self) -> None:
        if self.overlap not in ("none", "double-buffered"):
            raise UserError(
                asked=f"an array in hardware with overlap {self.overlap!r}",
                found="circuits for none and double-buffered",
                where="overlap",
                next_step="choose one of the two; 'bound' is a limit that no circuit reaches",
            )
        for name, low, high in (
            ("rows", 1, 256),
            ("columns", 1, 256),
            ("activation_bits", 2, 16),
            ("weight_bits", 2, 16),
            ("sum_bits", 8, 64),
            ("depth_rows", 1, 4096),
        ):
            if not low <= getattr(self, name) <= high:
                raise UserError(
                    asked=f"an array in hardware with {name} = {getattr(self, name)}",
                    found=f"a unit that is built for {low} to {high}",
                    where=name,
                    next_step=f"choose {name} from {low} to {high}",
                )

    @property
    def name(self) -> str:
        """The unit's parameters in a word, for names of tests and messages."""
        bits = f"w{self.weight_bits}a{self.activation_bits}"
        return f"{self.rows}x{self.columns}-{self.overlap}-{bits}-depth{self.depth_rows}"

    def design(self) -> Design:
        """What Verilator builds."""
        parameters = {
            "Rows": self.rows,
            "Columns": self.columns,
            "ActWidth": self.activation_bits,
            "WeightWidth": self.weight_bits,
            "SumWidth": self.sum_bits,
            "Depth": self.depth_rows,
            "DoubleBuffered": int(self.overlap == "double-buffered"),
        }
        rolled = self.rows * self.columns > MOST_UNROLLED_CELLS
        return Design("matrix_unit", SOURCES, tuple(parameters.items()), self.streams(), rolled)

    def streams(self) -> tuple[Stream, Stream, Stream]:
        """Weights and activations in, totals out."""
        flags = tuple(Field(f"act_{name}", 1, 1) for name in ("last", "accumulate", "emit"))
        return (
            Stream("weight", "in", (Field("weight", self.columns, self.weight_bits),)),
            Stream("act", "in", (*flags, Field("act", self.rows, self.activation_bits))),
            Stream("total", "out", (Field("total", self.columns, self.sum_bits),)),
        )

    def law_cycles(self, m: int, n: int, k: int, batch: int = 1) -> int:
        """The simulator's law for `batch` products of M x N x K, tiled along M by the accumulator."""
        tile_m = min(m, self.depth_rows)
        return int(
            tiled_array_cycles(
                m,
                n,
                k,
                tile_m,
                n,
                k,
                self.rows,
                self.columns,
                dataflow="weight-stationary",
                overlap=self.overlap,
                batch=batch,
            )
        )
