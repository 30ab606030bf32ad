"""The output-stationary array: parameters, law and cases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from siliform.arch.units.array import tiled_array_cycles
from siliform.rtl.array import mutants as array_mutants
from siliform.rtl.array.grid import COMMON, Grid
from siliform.rtl.array.grid import HERE as ARRAY
from siliform.rtl.array.operands import OPERANDS
from siliform.rtl.common.unit import Case, Mutant, Shape
from siliform.rtl.output_stationary.product import flags, folds, lanes, total_lanes

HERE = Path(__file__).parent
SHARED = ("cell_operands", "mac_shifted", "mac_plane", "accumulator", "totals")
OWN = ("output_control", "output_cells", "drain_wave", "drain_serial", "output_array", "output_unit")

# A mistake in each module of its own, the kind a person makes.
MUTANTS = (
    Mutant("a sum that goes on", "output_cells.sv", "first_i[r+c] ? '0 : sum_q[r][c]", "sum_q[r][c]"),
    Mutant("a gap added up", "output_cells.sv", "add_i[r+c] ? sum_out[r][c] : sum_q[r][c]", "sum_out[r][c]"),
    Mutant(
        "a flag off its diagonal",
        "output_cells.sv",
        "sum_in[r][c] = first_i[r+c]",
        "sum_in[r][c] = first_i[c]",
    ),
    Mutant("a copy too late", "drain_wave.sv", "if (last_i[r+c])", "if (last_i[r+c+1])"),
    Mutant("rows overwritten by those above", "drain_wave.sv", "last_i[Rows+c+r]", "last_i[Rows+c]"),
    Mutant("columns that leave askew", "drain_wave.sv", ".Reverse(1'b1)", ".Reverse(1'b0)"),
    Mutant("folds too close", "output_control.sv", "Steps'(1) << (Rows - 1)", "Steps'(1) << (Rows - 2)"),
    Mutant("folds too far apart", "output_control.sv", "Steps'(1) << (Rows - 1)", "Steps'(1) << Rows"),
    Mutant(
        "a beat enters while rows leave", "output_control.sv", "Steps'(1) << (Steps - 1)", "Steps'(1) << Rows"
    ),
    Mutant("one operand without the other", "output_control.sv", "clear && act_valid_i;", "clear;"),
    Mutant("steps while a row waits", "output_control.sv", "sum_ready_i || !sum_valid_o", "1'b1"),
    Mutant("a tag for the wrong fold", "output_control.sv", "last_q[Diagonals-1] ? tag_q", "1'b1 ? tag_q"),
    Mutant(
        "a row too few",
        "drain_serial.sv",
        "last_i[2*Rows+Columns-3-:Rows]",
        "last_i[2*Rows+Columns-4-:Rows-1]",
    ),
)


@dataclass(frozen=True)
class OutputStationaryUnit(Grid):
    """An output-stationary array: rows lie along M, columns along N, and K streams.

    With overlap ``none`` the cells' own sums shift out, and the next fold waits; with ``double-buffered``
    they are copied to a second register in each cell and leave while the next fold streams.
    """

    kind: ClassVar[str] = "output_stationary"
    law_unit: ClassVar[str] = "array"
    top: ClassVar[str] = "output_unit"
    # In the order of use: what a module instantiates comes before it.
    sources = (
        *(COMMON / f"{name}.sv" for name in ("skew", "fixed_to_float")),
        *(ARRAY / f"{name}.sv" for name in SHARED),
        *(HERE / f"{name}.sv" for name in OWN),
    )

    @property
    def name(self) -> str:
        """The unit's parameters in a word."""
        return self.cell_name

    @classmethod
    def elaborations(cls) -> Sequence[Self]:
        """Both circuits, all kinds of cells, square and not."""
        return (
            cls(),
            cls(3, 5, "none", weight="log2_4"),
            cls(1, 1),
            cls(1, 1, "none", "int4", "int4"),
            cls(5, 3, weight="int4"),
            cls(4, 4, "none", "fp4_e2m1", "fp4_e2m1", totals="fp32"),
            cls(4, 8, activation="fp8_e4m3", weight="fp8_e4m3", sum_bits=48, totals="fp32"),
            cls(8, 2, "none", "fp8_e4m3", "fp8_e5m2", sum_bits=64),
            cls(2, 3, activation="fp8_e5m2", weight="int8", sum_bits=56),
            cls(8, 8, "none"),
            cls(8, 8),
        )

    @classmethod
    def of_parameters(cls, parameters: Mapping[str, int]) -> Self:
        """The unit that `output_unit` is with these parameters."""
        return cls(**cls.fields_of(parameters))

    def selects(self) -> Mapping[str, Any]:
        """This dataflow and overlap; whatever its cells multiply, they take a step a cycle."""
        return {"dataflow": "output-stationary", "overlap": self.overlap, "formats": OPERANDS}

    def law_cycles(self, m: int, n: int, k: int, tile_k: int, batch: int = 1) -> int:
        """The simulator's law for `batch` products of M x N x K, K in tiles."""
        tiles = (m, n, k, m, n, tile_k, self.rows, self.columns)
        return int(
            tiled_array_cycles(*tiles, dataflow="output-stationary", overlap=self.overlap, batch=batch)
        )

    def shape(self, generator: np.random.Generator) -> Shape:
        """One to a few folds; products of one row, or smaller than the array, often; K whole or in tiles."""
        small, large = max(self.rows, self.columns), 3 * max(self.rows, self.columns) + 4
        m, n, k = (int(generator.integers(1, 1 + generator.choice([2, small, large]))) for _ in range(3))
        k = min(k, self.exact_terms)
        tile_k = k if generator.random() < 0.5 else int(generator.integers(1, k + 1))
        return {"batch": int(generator.choice([1, 1, 1, 2, 3])), "m": m, "n": n, "k": k, "tile_k": tile_k}

    def case(self, shape: Shape, generator: np.random.Generator) -> Case:
        """Products of all codes of the operands, and often of the corners alone."""
        a, b = self.draw_operands(shape, generator)
        batch, m, n, k, tile_k = (shape[name] for name in ("batch", "m", "n", "k", "tile_k"))
        passes = list(folds(self, batch, m, n, k, tile_k))
        activation, weight = self.operands
        acts = [lanes(activation, a[f.product, f.m, f.k].T, self.rows, generator) for f in passes]
        weights = [lanes(weight, b[f.product, f.k, f.n], self.columns, generator) for f in passes]
        total, used = total_lanes(self, passes, self.product(a, b))
        return Case(
            shape,
            {
                "weight": {"weight": np.concatenate(weights)},
                "act": {**flags(passes, generator), "act": np.concatenate(acts)},
            },
            {"total": {"total": total}},
            self.law_cycles(m, n, k, tile_k, batch),
            care={"total": {"total": used}},
            bins=frozenset(name for name, hit in (self._hits(shape) | self.corner_hits(a, b)).items() if hit),
        )

    def bins(self) -> frozenset[str]:
        """All there are, less those that an array of one row or column cannot meet."""
        absent = {"N below the array"} if self.columns == 1 else set()
        if self.rows == 1:
            absent |= {"M below the array", "M ragged over folds", "a stream shorter than a drain"}
        one = np.zeros((1, 1, 1), np.int64)
        shape = {"batch": 1, "m": 1, "n": 1, "k": 1, "tile_k": 1}
        return frozenset({*self._hits(shape), *self.corner_hits(one, one)} - absent)

    def _hits(self, shape: Shape) -> dict[str, bool]:
        """Which kinds of shape this is."""
        m, n, k, tile_k = (shape[name] for name in ("m", "n", "k", "tile_k"))
        return {
            "one row": m == 1,
            "M below the array": m < self.rows,
            "N below the array": n < self.columns,
            "M ragged over folds": m > self.rows and m % self.rows > 0,
            "a stream shorter than a drain": k < self.rows < m,
            "K in tiles": tile_k < k,
            "K in ragged tiles": tile_k < k and k % tile_k > 0,
            "several products": shape["batch"] > 1,
        }

    @classmethod
    def mutants(cls) -> Sequence[Mutant]:
        """Of its own modules, and of those it shares that its two first elaborations reach."""
        return (
            *MUTANTS,
            *array_mutants.INTEGER_CELLS,
            *array_mutants.SHIFTED_CELLS,
            *array_mutants.ACCUMULATOR,
        )
