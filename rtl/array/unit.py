"""The weight-stationary array with its accumulator: parameters, law and cases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from siliform.arch.units.array import tiled_array_cycles
from siliform.rtl.array import mutants
from siliform.rtl.array.grid import COMMON, HERE, Grid
from siliform.rtl.array.operands import OPERANDS
from siliform.rtl.array.product import activation_flags, activation_lanes, folds, total_lanes, weight_lanes
from siliform.rtl.common.unit import Case, Mutant, Shape

CELLS = ("cell_operands", "mac_shifted", "mac_plane")
ARRAY = ("array_cells", "weights_single", "weights_double", "array_control", "systolic_array")
UNIT = ("accumulator", "totals", "matrix_unit")


@dataclass(frozen=True)
class ArrayUnit(Grid):
    """A weight-stationary array with its accumulator.

    Rows lie along K, columns along N. With overlap ``none`` a cell holds one weight, with
    ``double-buffered`` two.

    depth_rows : rows of a product that the accumulator holds; longer products are tiled along M.
    """

    kind: ClassVar[str] = "array"
    top: ClassVar[str] = "matrix_unit"
    # In the order of use: what a module instantiates comes before it.
    sources = (
        *(COMMON / f"{name}.sv" for name in ("skew", "fixed_to_float")),
        *(HERE / f"{name}.sv" for name in (*CELLS, *ARRAY, *UNIT)),
    )

    depth_rows: int = 64

    def __post_init__(self) -> None:
        super().__post_init__()
        self.within("depth_rows", 1, 4096)

    @property
    def name(self) -> str:
        """The unit's parameters in a word."""
        return f"{self.cell_name}-depth{self.depth_rows}"

    @classmethod
    def elaborations(cls) -> Sequence[Self]:
        """Both circuits, all kinds of cells, square and not, an accumulator that is often too short."""
        return (
            cls(),
            cls(3, 5, "none", "fp8_e4m3", "fp8_e4m3", sum_bits=48, totals="fp32", depth_rows=9),
            cls(1, 1),
            cls(4, 4, "none"),
            cls(4, 8, "none", weight="int4"),
            cls(8, 4, weight="int4"),
            cls(8, 8, "none", "int4", "int4"),
            cls(4, 4, weight="log2_4"),
            cls(2, 6, "none", "fp4_e2m1", "log2_4", depth_rows=5),
            cls(4, 4, activation="fp4_e2m1", weight="fp4_e2m1", totals="fp32"),
            cls(4, 3, activation="fp8_e4m3", weight="fp4_e2m1", sum_bits=40, totals="fp32"),
            cls(3, 4, "none", "fp8_e4m3", "fp8_e5m2", sum_bits=64),
            cls(4, 2, activation="fp8_e5m2", weight="int8", sum_bits=56),
            cls(2, 3, activation="fp4_e1m2", weight="fp4_e3m0"),
            cls(5, 4, activation="int16", weight="ternary"),
            cls(16, 16),
        )

    def parameters(self) -> dict[str, int]:
        """Those of `matrix_unit`."""
        return {**super().parameters(), "Depth": self.depth_rows}

    @classmethod
    def of_parameters(cls, parameters: Mapping[str, int]) -> Self:
        """The unit that `matrix_unit` is with these parameters."""
        return cls(**cls.fields_of(parameters), depth_rows=parameters["Depth"])

    def selects(self) -> Mapping[str, Any]:
        """This dataflow and overlap; whatever its cells multiply, they take a step a cycle."""
        return {"dataflow": "weight-stationary", "overlap": self.overlap, "formats": OPERANDS}

    def law_cycles(self, m: int, n: int, k: int, batch: int = 1) -> int:
        """The simulator's law for `batch` products of M x N x K, tiled along M by the accumulator."""
        tile_m = min(m, self.depth_rows)
        tiles = (m, n, k, tile_m, n, k, self.rows, self.columns)
        return int(
            tiled_array_cycles(*tiles, dataflow="weight-stationary", overlap=self.overlap, batch=batch)
        )

    def shape(self, generator: np.random.Generator) -> Shape:
        """One to a few folds; products of one row, or smaller than the array, often."""
        small, large = max(self.rows, self.columns), 3 * max(self.rows, self.columns) + 2
        m, n, k = (int(generator.integers(1, 1 + generator.choice([2, small, large]))) for _ in range(3))
        if generator.random() < 0.15:
            m = int(generator.integers(self.depth_rows, 2 * self.depth_rows + 2))  # tiled along M
        batch = int(generator.choice([1, 1, 1, 2, 3]))
        return {"batch": batch, "m": m, "n": n, "k": min(k, self.exact_terms)}

    def case(self, shape: Shape, generator: np.random.Generator) -> Case:
        """Products of all codes of the operands, and often of the corners alone."""
        return self.case_of(*self.draw_operands(shape, generator), generator)

    def case_of(self, a: np.ndarray, b: np.ndarray, noise: np.random.Generator) -> Case:
        """The product of codes a [B, M, K] and b [B, K, N] as beats; noise fills lanes that no fold uses."""
        (batch, m, k), n = a.shape, b.shape[2]
        passes = list(folds(self, batch, m, n, k))
        total, used = total_lanes(self, passes, self.product(a, b))
        return Case(
            {"batch": batch, "m": m, "n": n, "k": k},
            {
                "weight": {"weight": np.concatenate([weight_lanes(self, f, b, noise) for f in passes])},
                "act": {
                    **activation_flags(passes),
                    "act": np.concatenate([activation_lanes(self, f, a, noise) for f in passes]),
                },
            },
            {"total": {"total": total}},
            self.law_cycles(m, n, k, batch),
            care={"total": {"total": used}},
            bins=frozenset(name for name, hit in self._hits(a, b).items() if hit),
        )

    def bins(self) -> frozenset[str]:
        """All there are, less those that an array of one row or column cannot meet."""
        absent = {"N below the array"} if self.columns == 1 else set()
        if self.rows == 1:
            absent |= {"K below the array", "a stream shorter than a load", "K ragged over folds"}
        none = np.zeros((1, 1, 1), np.int64)
        return frozenset(set(self._hits(none, none)) - absent)

    def _hits(self, a: np.ndarray, b: np.ndarray) -> dict[str, bool]:
        """What the products of codes a [B, M, K] and b [B, K, N] cover."""
        (batch, m, k), n = a.shape, b.shape[2]
        return {
            "one row": m == 1,
            "K below the array": k < self.rows,
            "N below the array": n < self.columns,
            "K ragged over folds": k > self.rows and k % self.rows > 0,
            "a stream shorter than a load": m < self.rows < k,
            "tiled along M": m > self.depth_rows,
            "several products": batch > 1,
            **self.corner_hits(a, b),
        }

    @classmethod
    def mutants(cls) -> Sequence[Mutant]:
        """At least one in each module."""
        cells = (*mutants.INTEGER_CELLS, *mutants.SHIFTED_CELLS, *mutants.FLOATS)
        return (*cells, *mutants.MARCH, *mutants.ACCUMULATOR, *mutants.TOTALS)
