"""Many designs at once: every product on every array, each mapped optimally."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from siliform.simulator.mapping.gemm import (
    DATAFLOWS,
    OBJECTIVES,
    OVERLAPS,
    ArrayResources,
    GemmProblem,
    matrix_bytes,
    moved_bytes,
)
from siliform.simulator.mapping.search import search_all
from siliform.simulator.mapping.tiles import (
    FOLDED,
    KINDS,
    OVERLAPPED,
    STREAMED,
    WHOLE,
    tile_table,
    tile_tables,
)

# What m, n and k do on the array, by dataflow: 0 streamed, 1 folded over the rows, 2 folded over the columns.
_ROLES = np.array([[0, 2, 1], [1, 2, 0], [2, 0, 1]])


@dataclass(frozen=True)
class ArrayPopulation:
    """Arrays as in `ArrayResources`, one array of values per parameter, all of the same length.

    `dataflow` and `overlap` are indices into DATAFLOWS and OVERLAPS, `accumulator_bytes` is -1 where
    accumulators share the scratchpad. `mac_pj` may have a second axis, one value per product.
    `overhead_cycles` and `depth` are -1 where an array has none of its own.
    """

    rows: Any
    columns: Any
    dataflow: Any
    overlap: Any
    scratchpad_bytes: Any
    dram_bytes_per_cycle: Any
    accumulator_bytes: Any
    double_buffered: Any
    mac_pj: Any
    scratchpad_pj_per_byte: Any
    accumulator_pj_per_byte: Any
    dram_pj_per_byte: Any
    static_pj_per_cycle: Any
    overhead_cycles: Any = None
    depth: Any = None
    whole_columns: Any = None

    def __post_init__(self) -> None:
        for name, absent in (("overhead_cycles", -1), ("depth", -1), ("whole_columns", False)):
            if getattr(self, name) is None:
                object.__setattr__(self, name, np.full(len(self.rows), absent))
        lengths = {len(np.asarray(getattr(self, f.name))) for f in fields(self)}
        if len(lengths) != 1:
            raise ValueError(
                f"the parameters of a population of arrays have different lengths: {sorted(lengths)}"
            )
        for name, names in (("dataflow", DATAFLOWS), ("overlap", OVERLAPS)):
            codes = np.asarray(getattr(self, name))
            if ((codes < 0) | (codes >= len(names))).any():
                raise ValueError(
                    f"{name} must lie between 0 and {len(names) - 1}, the index of {', '.join(names)}"
                )
        for name in ("rows", "columns", "scratchpad_bytes", "dram_bytes_per_cycle"):
            if not (np.asarray(getattr(self, name)) > 0).all():
                raise ValueError(f"{name} must be positive in every array of a population")

    def __len__(self) -> int:
        return len(self.rows)

    @classmethod
    def of(cls, resources: Sequence[ArrayResources]) -> ArrayPopulation:
        """Return the population of these arrays."""
        columns: dict[str, Any] = {
            f.name: np.array([getattr(r, f.name) for r in resources]) for f in fields(cls)
        }
        columns["dataflow"] = np.array([DATAFLOWS.index(r.dataflow) for r in resources])
        columns["overlap"] = np.array([OVERLAPS.index(r.overlap) for r in resources])
        for name in ("accumulator_bytes", "overhead_cycles", "depth"):
            given = [getattr(r, name) for r in resources]
            columns[name] = np.array([-1 if value is None else value for value in given])
        return cls(**columns)


@dataclass(frozen=True)
class SearchOutcome:
    """What `search.search_all` wrote: costs [arrays, products, 5] and tiles [arrays, products, 4]."""

    costs: np.ndarray
    tiles: np.ndarray


@dataclass(frozen=True)
class PopulationCosts:
    """The cost of every product on every array, float64 [arrays, products] of whole numbers (energy
    excepted).

    Where not even the smallest tile fits, all are infinite.
    """

    cycles: np.ndarray
    compute_cycles: np.ndarray
    dram_bytes: np.ndarray
    energy_pj: np.ndarray


def best_mappings(
    problems: Sequence[GemmProblem],
    arrays: ArrayPopulation,
    objective: str = "latency",
) -> PopulationCosts:
    """Return the cost of the best mapping of each product on each array; the same numbers as
    `gemm.best_mapping`.
    """
    costs = search_population(problems, arrays, objective).costs
    return PopulationCosts(costs[..., 4], costs[..., 1], costs[..., 2], costs[..., 3])


def search_population(
    problems: Sequence[GemmProblem],
    arrays: ArrayPopulation,
    objective: str,
    tile: tuple[int, int, int] | None = None,
) -> SearchOutcome:
    """Map every product on every array; see `search.search_all`. With `tile`, only these sizes are
    considered."""
    if objective not in OBJECTIVES:
        raise ValueError(f"objective {objective!r} is none of {', '.join(OBJECTIVES)}")
    shape = (len(arrays), len(problems))
    products = np.array([_product_row(p) for p in problems], float)  # one type: compiled once
    lengths = np.array([(p.rows, p.n, p.k) for p in problems])
    tables, entries, begins = _tile_tables(lengths, *_on_array(arrays), tile)
    costs = np.full((*shape, 5), np.inf)
    tiles = np.zeros((*shape, 4))
    mac_pj = np.asarray(arrays.mac_pj, float)
    macs = np.array([p.macs_per_point for p in problems])
    per_point = (mac_pj if mac_pj.ndim == 2 else mac_pj[:, None]) * macs
    rows = array_rows(replace(arrays, mac_pj=per_point), len(problems))
    search_all(products, rows, entries, begins, tables, OBJECTIVES.index(objective), costs, tiles)
    return SearchOutcome(costs, tiles)


def _product_row(problem: GemmProblem) -> list[float]:
    """Return the fields of `search.Product`."""
    m, n, k = problem.rows, problem.n, problem.k
    matrices = (
        matrix_bytes(m * k, problem.a_bits),
        matrix_bytes(k * n, problem.b_bits),
        matrix_bytes(m * n, problem.c_bits),
    )
    transfers = (*moved_bytes(problem), matrices[2])
    away = [not problem.a_resident, not problem.b_resident, not problem.c_resident]
    bits = (problem.a_bits, problem.b_bits, float(problem.c_bits))
    return [
        problem.products, m, n, k,
        *(b * moved for b, moved in zip(bits, away, strict=True)), problem.accumulator_bits,
        *matrices, matrix_bytes(m * n, problem.accumulator_bits),
        *(b * moved for b, moved in zip(transfers, away, strict=True)),
        problem.full_rows, problem.beside_cycles, problem.kept, problem.steps,
    ]  # fmt: skip


def array_rows(arrays: ArrayPopulation, problems: int) -> np.ndarray:
    """Return float64 [arrays, problems, 15], the fields of `search.Array`."""
    own = np.asarray(arrays.overhead_cycles)
    skew = np.where(own < 0, 2 * np.asarray(arrays.rows) + arrays.columns - 2, own)
    overlap = np.asarray(arrays.overlap)
    buffers = np.where(arrays.double_buffered, 2, 1)
    accumulators = np.asarray(arrays.accumulator_bytes)
    per_array = (
        arrays.dataflow,
        np.where(overlap == OVERLAPS.index("none"), skew, 0),
        np.where(overlap == OVERLAPS.index("double-buffered"), skew, 0),
        arrays.double_buffered,
        np.asarray(arrays.scratchpad_bytes) // buffers,
        np.where(accumulators < 0, -1, accumulators // buffers),
        arrays.dram_bytes_per_cycle,
        arrays.mac_pj,
        arrays.scratchpad_pj_per_byte,
        np.where(accumulators < 0, arrays.scratchpad_pj_per_byte, arrays.accumulator_pj_per_byte),
        arrays.dram_pj_per_byte,
        arrays.static_pj_per_cycle,
        *_blocks(arrays),
    )
    rows = np.empty((len(arrays), problems, len(per_array)))
    for column, values in enumerate(per_array):
        values = np.asarray(values)
        rows[:, :, column] = values if values.ndim == 2 else values[:, None]
    return rows


def _blocks(arrays: ArrayPopulation) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return `gemm.block_sides` of every array: along m, along n, along k."""
    turned = np.asarray(arrays.dataflow) == DATAFLOWS.index("input-stationary")
    rows, columns = np.asarray(arrays.rows), np.asarray(arrays.columns)
    depth = np.asarray(arrays.depth)
    deep = np.where(depth < 0, rows, depth)
    return np.where(turned, columns, rows), np.where(turned, rows, columns), deep


def _on_array(arrays: ArrayPopulation) -> tuple[np.ndarray, np.ndarray]:
    """Return int64 [arrays, 3] twice: the kind of m, n and k on each array, and the side that matters to
    it."""
    role = _ROLES[np.asarray(arrays.dataflow)]
    pipelined = (np.asarray(arrays.overlap) == OVERLAPS.index("double-buffered"))[:, None]
    kinds = np.where(role > 0, FOLDED, np.where(pipelined, OVERLAPPED, STREAMED))
    kinds[:, 1] = np.where(arrays.whole_columns, WHOLE, kinds[:, 1])
    rows, columns = (np.asarray(side, np.int64)[:, None] for side in (arrays.rows, arrays.columns))
    return kinds, np.where(kinds == STREAMED, 1, np.where(role == 2, columns, rows))


def _tile_tables(
    lengths: np.ndarray, kinds: np.ndarray, sides: np.ndarray, tile: tuple[int, int, int] | None
) -> tuple[np.ndarray, Any, Any]:
    """Return which table each dimension of each product uses on each array, and the tables.

    `lengths` is [products, 3], `kinds` and `sides` are [arrays, 3]; each distinct combination gets one table.
    """
    distinct_lengths, length_of = np.unique(lengths, return_inverse=True)
    distinct_sides, side_of = np.unique(sides, return_inverse=True)
    pairs = side_of.reshape(sides.shape) * KINDS + kinds
    per_length = distinct_sides.size * KINDS
    uses = length_of.reshape(lengths.shape)[None] * per_length + pairs[:, None]
    used = np.zeros(distinct_lengths.size * per_length, bool)
    used[uses] = True
    codes = np.flatnonzero(used)
    number = np.cumsum(used) - 1
    code_lengths = distinct_lengths[codes // per_length]
    code_sides = distinct_sides[codes // KINDS % distinct_sides.size]
    if tile is None:
        return number[uses], *tile_tables(code_lengths, code_sides, codes % KINDS)
    one_each = [
        tile_table(n, s, kind, t) for n, s, kind, t in zip(lengths[0], sides[0], kinds[0], tile, strict=True)
    ]
    return np.arange(3)[None, None], np.concatenate(one_each), np.arange(4)
