"""The weight-stationary array with its accumulator: parameters, streams, law and cases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal, Self

import numpy as np

from siliform.arch.units.array import tiled_array_cycles
from siliform.graph_ir.errors import UserError
from siliform.graph_ir.ops.matmul import matmul
from siliform.rtl.array.product import (
    Noise,
    activation_flags,
    activation_lanes,
    folds,
    total_lanes,
    weight_lanes,
)
from siliform.rtl.common.design import Design, Field, Stream
from siliform.rtl.common.unit import Case, HardwareUnit, Mutant, Shape

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

# A mistake in each module, the kind a person makes.
MUTANTS = (
    Mutant(
        "activations without a sign",
        "mac_plane.sv",
        "logic signed [   ActWidth-1:0] act",
        "logic [ActWidth-1:0] act",
    ),
    Mutant(
        "weights without a sign", "mac_plane.sv", "ProductWidth'(weight)", "ProductWidth'($unsigned(weight))"
    ),
    Mutant("a carry dropped", "mac_plane.sv", "sum_i[r][c] + SumWidth'", "sum_i[r][c] ^ SumWidth'"),
    Mutant("sums one row short", "array_cells.sv", "sum_q[Rows-1]", "sum_q[Rows-2]"),
    Mutant(
        "a wave without its diagonal", "weights_double.sv", "weight_q[use_now[r+c]]", "weight_q[use_now[c]]"
    ),
    Mutant(
        "rows overwritten early", "weights_double.sv", "RowWidth'(r) <= beat", "RowWidth'(r) <= beat + 1'b1"
    ),
    Mutant(
        "a set used before it is full",
        "array_control.sv",
        "beat_q == RowWidth'(Rows - 1)",
        "beat_q == RowWidth'(Rows - 2)",
    ),
    Mutant(
        "one step too late", "systolic_array.sv", "Latency  = Rows + Columns - 1", "Latency  = Rows + Columns"
    ),
    Mutant("a load that waits", "array_control.sv", "(DoubleBuffered || !busy_i)", "!busy_i"),
    Mutant("a load that does not wait", "array_control.sv", "(DoubleBuffered || !busy_i)", "1'b1"),
    Mutant(
        "steps while a beat waits",
        "systolic_array.sv",
        "sum_ready_i || !sum_valid_o",
        "sum_ready_i || 1'b1",
    ),
    Mutant("folds not added up", "accumulator.sv", "sum_accumulate_i ? held_q[row_q][c] : '0", "'0"),
    Mutant("a row never restarted", "accumulator.sv", "sum_last_i ? '0 : row_q", "row_q"),
)


@dataclass(frozen=True)
class ArrayUnit(HardwareUnit):
    """A weight-stationary array with its accumulator.

    rows, columns : cells along K and along N.
    overlap : as the law names it; ``none`` holds one weight in a cell, ``double-buffered`` two.
    activation_bits, weight_bits : operand widths, two's complement.
    sum_bits : width of a partial sum, which wraps.
    depth_rows : rows of a product that the accumulator holds; longer products are tiled along M.
    """

    kind: ClassVar[str] = "array"

    rows: int = 4
    columns: int = 4
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
        """The unit's parameters in a word."""
        bits = f"w{self.weight_bits}a{self.activation_bits}"
        return f"{self.rows}x{self.columns}-{self.overlap}-{bits}-depth{self.depth_rows}"

    @classmethod
    def elaborations(cls) -> Sequence[Self]:
        """Both circuits, two widths of weights, square and not, an accumulator that is often too short."""
        small = (cls(), cls(3, 5, "none", weight_bits=4, depth_rows=9))
        sizes = ((1, 1, 8), (4, 8, 8), (8, 4, 4), (8, 8, 8), (16, 16, 8))
        both: tuple[Literal["none", "double-buffered"], ...] = ("none", "double-buffered")
        return small + tuple(cls(r, c, overlap, weight_bits=w) for r, c, w in sizes for overlap in both)

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

    @classmethod
    def of_parameters(cls, parameters: Mapping[str, int]) -> Self:
        """The unit that `matrix_unit` is with these parameters."""
        return cls(
            rows=parameters["Rows"],
            columns=parameters["Columns"],
            overlap="double-buffered" if parameters["DoubleBuffered"] else "none",
            activation_bits=parameters["ActWidth"],
            weight_bits=parameters["WeightWidth"],
            sum_bits=parameters["SumWidth"],
            depth_rows=parameters["Depth"],
        )

    def streams(self) -> tuple[Stream, Stream, Stream]:
        """Weights and activations in, totals out."""
        flags = tuple(Field(f"act_{name}", 1, 1, signed=False) for name in ("last", "accumulate", "emit"))
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

    def shape(self, generator: np.random.Generator) -> Shape:
        """One to a few folds; products of one row, or smaller than the array, often."""
        small, large = max(self.rows, self.columns), 3 * max(self.rows, self.columns) + 2
        m, n, k = (int(generator.integers(1, 1 + generator.choice([2, small, large]))) for _ in range(3))
        if generator.random() < 0.15:
            m = int(generator.integers(self.depth_rows, 2 * self.depth_rows + 2))  # tiled along M
        return {"batch": int(generator.choice([1, 1, 1, 2, 3])), "m": m, "n": n, "k": k}

    def case(self, shape: Shape, generator: np.random.Generator) -> Case:
        """Products of every value of the operands' widths, and often of the extremes alone."""
        batch, m, n, k = (shape[name] for name in ("batch", "m", "n", "k"))
        a = _operand(generator, self.activation_bits, (batch, m, k))
        b = _operand(generator, self.weight_bits, (batch, k, n))
        return self.case_of(a, b, generator)

    def case_of(self, a: np.ndarray, b: np.ndarray, noise: np.random.Generator) -> Case:
        """The product of a [B, M, K] and b [B, K, N] as beats; `noise` fills lanes that no fold uses."""
        (batch, m, k), n = a.shape, b.shape[2]
        passes = list(folds(self, batch, m, n, k))
        of_weight, of_act = _noise(noise, self.weight_bits), _noise(noise, self.activation_bits)
        total, used = total_lanes(self, passes, matmul.reference(a, b))
        return Case(
            {"batch": batch, "m": m, "n": n, "k": k},
            {
                "weight": {"weight": np.concatenate([weight_lanes(self, f, b, of_weight) for f in passes])},
                "act": {
                    **activation_flags(passes),
                    "act": np.concatenate([activation_lanes(self, f, a, of_act) for f in passes]),
                },
            },
            {"total": {"total": total}},
            self.law_cycles(m, n, k, batch),
            care={"total": {"total": used}},
            bins=frozenset(name for name, hit in self._hits(a, b).items() if hit),
        )

    def bins(self) -> frozenset[str]:
        """All there are, less those that an array of one row or column cannot meet."""
        absent = {"K below the array", "a stream shorter than a load", "K ragged over folds"}
        absent = absent if self.rows == 1 else set()
        if self.columns == 1:
            absent.add("N below the array")
        none = np.zeros((1, 1, 1), np.int64)
        return frozenset(set(self._hits(none, none)) - absent)

    def _hits(self, a: np.ndarray, b: np.ndarray) -> dict[str, bool]:
        """What the products of a [B, M, K] and b [B, K, N] cover."""
        (batch, m, k), n = a.shape, b.shape[2]
        kinds = {
            "one row": m == 1,
            "K below the array": k < self.rows,
            "N below the array": n < self.columns,
            "K ragged over folds": k > self.rows and k % self.rows > 0,
            "a stream shorter than a load": m < self.rows < k,
            "tiled along M": m > self.depth_rows,
            "several products": batch > 1,
        }
        for name, bits, values in (("act", self.activation_bits, a), ("weight", self.weight_bits, b)):
            for corner in _corners(bits):
                kinds[f"{name} of {corner}"] = bool((values == corner).any())
        return kinds

    @classmethod
    def mutants(cls) -> Sequence[Mutant]:
        """At least one in each module."""
        return MUTANTS


def _corners(bits: int) -> tuple[int, ...]:
    """The values of two's complement at which mistakes show."""
    low = -(2 ** (bits - 1))
    return low, low + 1, -1, 0, 1, -low - 1


def _operand(generator: np.random.Generator, bits: int, shape: tuple[int, ...]) -> np.ndarray:
    """Integers of a width, int64: all of its values, corners among them never, now and then, or only."""
    found = _noise(generator, bits)(shape)
    share = generator.choice([0.0, 0.3, 1.0])
    return np.where(generator.random(shape) < share, generator.choice(_corners(bits), shape), found)


def _noise(generator: np.random.Generator, bits: int) -> Noise:
    return lambda shape: generator.integers(-(2 ** (bits - 1)), 2 ** (bits - 1), shape)
