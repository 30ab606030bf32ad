"""The best mapping of a matrix product onto a systolic array, found exactly within a declared map space.

The map space of C[m, n] = A[m, k] B[k, n], `batch` times one after the other:

- outer tiles of any integer sizes along m, n and k, the last along each dimension shorter where they do not
  divide; along n whole folds of the columns where accumulators are read by rows of the array
  (`ArrayResources.whole_columns`);
- any order of the three outer loops. Only the innermost one changes the DRAM traffic: along it, the tile of
  the operand that it does not index stays on chip. A result tile that is left before it is complete goes out
  as partial sums of the accumulator's width and comes back;
- a footprint of one tile of A, one of B and the accumulators of one tile of C within the scratchpad, or the
  accumulators within their own memory; each halved where buffers are double.

The array works a tile off in folds of rows x columns (`ArrayResources.overlap` names the convention). For one
that takes several elements of k at a time, k counts words of so many (`GemmProblem.macs_per_point`). DRAM
moves whole matrices: a matrix of `bits`-wide elements is ceil(elements * bits / 8) bytes, counted once per
pass. Cycles are whole: every transfer takes ceil(bytes / bytes per cycle). With a double-buffered scratchpad
the product takes max(compute + fill, DRAM); otherwise compute + DRAM. Transfers come in the order in which
the array needs them, so that the fill, which nothing can hide, is one block of A and of B in and one of C
out: a block is as large as the array (and as deep as its rows along the streamed dimension), or the product.
It does not shrink with the tiles: where they are smaller than the array, the next ones fill it no later.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from fractions import Fraction

from siliform.graph_ir.errors import UserError

DATAFLOWS = ("weight-stationary", "output-stationary", "input-stationary")
OVERLAPS = ("none", "double-buffered", "bound")
OBJECTIVES = ("latency", "energy", "edp", "traffic")
INNERMOST = ("k", "n", "m")  # by the codes of `search`
_ORDERS = {"k": ("m", "n", "k"), "n": ("m", "k", "n"), "m": ("n", "k", "m")}


@dataclass(frozen=True)
class GemmProblem:
    """`batch` products C[m, n] = A[m, k] B[k, n].

    Parameters
    ----------
    a_bits, b_bits, c_bits : bits of one element, scales included; C's are those written to DRAM.
    accumulator_bits : bits of a partial sum.
    a_resident, b_resident, c_resident : the operand stays on chip in space counted elsewhere: no DRAM
        traffic and no tile of its own. A resident C still gathers in accumulators, and still spills partial
        sums.
    b_shared : all products of the batch use the same B (a layer's weights): the batch is more rows of A.
    full_rows : tiles span all of n, for an epilogue that needs whole rows.
    a_dram_bits, b_dram_bits : bits moved per element where they differ from those held: a convolution reads
        each input once and unfolds it on chip, scales travel with their elements. None: as held.
    beside_cycles : work on other units that runs beside the array, such as an epilogue: the slower counts.
    kept : share of the pairs that the array multiplies, where it skips zeros; its time and energy have it.
    steps : groups of the batch of which each reads what the one before wrote: folds of different steps do not
        overlap.
    macs_per_point : multiply-accumulates of one point of m, n and k; more than 1 where k counts words of
        several elements, of which the last one may be filled in part.
    """

    m: int
    n: int
    k: int
    batch: int = 1
    a_bits: float = 8
    b_bits: float = 8
    c_bits: float | Fraction = 8
    accumulator_bits: float = 32
    a_resident: bool = False
    b_resident: bool = False
    c_resident: bool = False
    b_shared: bool = False
    full_rows: bool = False
    a_dram_bits: float | Fraction | None = None
    b_dram_bits: float | Fraction | None = None
    beside_cycles: int = 0
    kept: float = 1.0
    macs_per_point: float = 1.0
    steps: int = 1

    def __post_init__(self) -> None:
        sizes = ("m", "n", "k", "batch", "a_bits", "b_bits", "c_bits", "accumulator_bits", "kept")
        for name in (*sizes, "macs_per_point", "steps"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} of a product must be positive, not {getattr(self, name)}")

    @property
    def macs(self) -> int:
        """Multiply-accumulate operations of the whole batch."""
        return round(self.batch * self.m * self.n * self.k * self.macs_per_point)

    @property
    def products(self) -> int:
        """Products run one after the other: a shared B makes one of the whole batch."""
        return 1 if self.b_shared else self.batch

    @property
    def rows(self) -> int:
        """Rows of A and C in one of `products`."""
        return self.m * self.batch if self.b_shared else self.m

    def in_words(self, elements: int) -> GemmProblem:
        """The same product, its k in words of so many elements: whole on chip, as they are in DRAM."""
        if elements == 1:
            return self
        words = -(-self.k // elements)
        held = (self.a_bits, self.b_bits)
        stored = (self.a_dram_bits, self.b_dram_bits)
        moved = [Fraction(h if s is None else s) for h, s in zip(held, stored, strict=True)]
        return replace(
            self,
            k=words,
            a_bits=held[0] * elements,
            b_bits=held[1] * elements,
            a_dram_bits=moved[0] * self.k / words,
            b_dram_bits=moved[1] * self.k / words,
            macs_per_point=self.macs_per_point * self.k / words,
        )


@dataclass(frozen=True)
class ArrayResources:
    """A systolic array with the memories that feed it.

    Parameters
    ----------
    rows, columns : processing elements.
    dataflow : one of DATAFLOWS. Weight-stationary folds k over rows and n over columns and streams m;
        input-stationary folds k and m and streams n; output-stationary folds m and n and streams k.
    overlap : one of OVERLAPS. With s the streamed length of a tile and F its folds, one tile takes
        F (s + 2 rows + columns - 2) cycles (none), (F - 1) max(s, rows) + s + 2 rows + columns - 2
        (double-buffered; further tiles and batch elements follow without a gap), F s (bound).
    overhead_cycles : what stands in place of 2 rows + columns - 2, for a grid with another skew or none.
    depth : elements along the streamed dimension, or along k, that it works on at a time; its rows, if None.
    scratchpad_bytes : shared by operands and accumulators, unless `accumulator_bytes` are there.
    whole_columns : tiles of n are whole folds of the columns, the last one excepted, because accumulators are
        read and written in words of a row of the array.
    double_buffered : transfers of the next tile run during the computation of this one, in the other half.
    """

    rows: int
    columns: int
    dataflow: str
    overlap: str
    scratchpad_bytes: int
    dram_bytes_per_cycle: float
    accumulator_bytes: int | None = None
    double_buffered: bool = True
    mac_pj: float = 0.0
    scratchpad_pj_per_byte: float = 0.0
    accumulator_pj_per_byte: float = 0.0
    dram_pj_per_byte: float = 0.0
    static_pj_per_cycle: float = 0.0
    overhead_cycles: int | None = None
    depth: int | None = None
    whole_columns: bool = False

    def __post_init__(self) -> None:
        if self.whole_columns and self.dataflow == "input-stationary":
            raise ValueError("an input-stationary array does not fold n over its columns: no whole_columns")
        if self.dataflow not in DATAFLOWS:
            raise ValueError(f"dataflow {self.dataflow!r} is none of {', '.join(DATAFLOWS)}")
        if self.overlap not in OVERLAPS:
            raise ValueError(f"overlap {self.overlap!r} is none of {', '.join(OVERLAPS)}")
        for name in ("rows", "columns", "scratchpad_bytes", "dram_bytes_per_cycle"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} of an array must be positive, not {getattr(self, name)}")

    @property
    def buffers(self) -> int:
        """How many tiles share a memory: the one computed on and, double-buffered, the one transferred."""
        return 2 if self.double_buffered else 1


@dataclass(frozen=True)
class GemmMapping:
    """A product on an array: tiles, the order of the loops over them, and what that costs.

    `order` runs from the outermost loop to the innermost. `cycles` contain the computation
    (`compute_cycles`), and what of the transfers is not hidden behind it. `scratchpad_bytes` and
    `accumulator_bytes` are bytes accessed by the array and by DRAM transfers (all of which are counted at
    the scratchpad). Footprints are of one buffer.
    """

    tile_m: int
    tile_n: int
    tile_k: int
    order: tuple[str, str, str]
    tiles_m: int
    tiles_n: int
    tiles_k: int
    operand_footprint_bytes: int
    accumulator_footprint_bytes: int
    compute_cycles: int
    fill_cycles: int
    fill_bytes: int
    memory_cycles: int
    cycles: int
    a_read_bytes: int
    b_read_bytes: int
    c_written_bytes: int
    sums_written_bytes: int
    sums_read_bytes: int
    scratchpad_bytes: int
    accumulator_bytes: int
    energy_pj: float

    @property
    def dram_bytes(self) -> int:
        """All bytes to and from DRAM."""
        written = self.c_written_bytes + self.sums_written_bytes
        return self.a_read_bytes + self.b_read_bytes + self.sums_read_bytes + written


class NoMapping(UserError):
    """Not even the smallest tile fits. Says which memory is too small, and what it would need."""

    def __init__(
        self,
        *,
        asked: str,
        tile: tuple[int, int, int],
        memory: str,
        needed_bytes: int,
        capacity_bytes: int,
        buffers: int,
    ) -> None:
        self.memory = memory
        self.needed_bytes = needed_bytes
        self.capacity_bytes = capacity_bytes
        size = " x ".join(str(t) for t in tile)
        each = "" if buffers == 1 else f" in each of {buffers} buffers"
        super().__init__(
            asked=asked,
            found=f"tiles of {size} need {needed_bytes} bytes{each} of the {memory}, "
            f"which has {capacity_bytes} bytes",
            where=f"the {memory} of the array",
            next_step=f"give the {memory} at least {needed_bytes * buffers} bytes",
        )


def best_mapping(problem: GemmProblem, resources: ArrayResources, objective: str = "latency") -> GemmMapping:
    """Return the mapping with the least latency, energy, energy-delay product ("edp") or DRAM traffic.

    Ties go to fewer compute cycles, then fewer DRAM bytes, less energy, fewer cycles, and larger tiles along
    m, n, k: where computation hides the transfers, the least latency is the one that moves least.

    Raises
    ------
    NoMapping : not even tiles of one element (of one row, with `full_rows`) fit; names the memory and the
        bytes needed.
    """
    return _found(problem, resources, objective, None)


def mapping_with_tiles(
    problem: GemmProblem, resources: ArrayResources, tile_m: int, tile_n: int, tile_k: int
) -> GemmMapping:
    """Return the mapping with these outer tiles and the innermost loop that moves the fewest DRAM bytes.

    Raises
    ------
    NoMapping : the tiles do not fit.
    """
    tile = (tile_m, tile_n, tile_k)
    for size, length in zip(tile, (problem.rows, problem.n, problem.k), strict=True):
        if not 1 <= size <= length:
            raise ValueError(
                f"tiles {tile} do not lie within the product {problem.rows, problem.n, problem.k}"
            )
    if problem.full_rows and tile_n != problem.n:
        raise ValueError(f"tiles of {tile_n} columns are not whole rows of {problem.n}")
    return _found(problem, resources, "latency", tile)


def _found(
    problem: GemmProblem,
    resources: ArrayResources,
    objective: str,
    tile: tuple[int, int, int] | None,
) -> GemmMapping:
    from siliform.simulator.mapping.population import ArrayPopulation, search_population

    found = search_population((problem,), ArrayPopulation.of((resources,)), objective, tile)
    tile_m, tile_n, tile_k, innermost = (int(x) for x in found.tiles[0, 0])
    if tile_m == 0:
        fewest = min(problem.n, resources.columns) if resources.whole_columns else 1
        smallest = (1, problem.n if problem.full_rows else fewest, 1)
        raise _no_mapping(problem, resources, tile or smallest)
    _, compute, _, energy, cycles = found.costs[0, 0]
    chosen = (tile_m, tile_n, tile_k)
    return _described(
        problem, resources, chosen, INNERMOST[innermost], int(compute), int(cycles), float(energy)
    )


def matrix_bytes(elements: int, bits: float | Fraction) -> int:
    """Return the bytes of so many elements packed without gaps; exact for a fraction of bits."""
    return math.ceil(elements * bits / 8)


def block_sides(dataflow: str, rows: int, columns: int, depth: int | None = None) -> tuple[int, int, int]:
    """Return how much of m, n and k the array works on at a time; as deep as its rows where it streams."""
    return (columns if dataflow == "input-stationary" else rows,
            rows if dataflow == "input-stationary" else columns,
            rows if depth is None else depth)  # fmt: skip


def first_block_bytes(problem: GemmProblem, resources: ArrayResources) -> int:
    """Return the fill: the first blocks of A and B in and the last of C out, resident operands left out."""
    sides = block_sides(resources.dataflow, resources.rows, resources.columns, resources.depth)
    lengths = (problem.rows, problem.n, problem.k)
    m, n, k = (min(length, side) for length, side in zip(lengths, sides, strict=True))
    n = problem.n if problem.full_rows else n
    return (
        (0 if problem.a_resident else matrix_bytes(m * k, problem.a_bits))
        + (0 if problem.b_resident else matrix_bytes(k * n, problem.b_bits))
        + (0 if problem.c_resident else matrix_bytes(m * n, problem.c_bits))
    )


def moved_bytes(problem: GemmProblem) -> tuple[int, int]:
    """Return the bytes of one pass over A and B of one product, as DRAM holds them."""
    a = problem.a_bits if problem.a_dram_bits is None else problem.a_dram_bits
    b = problem.b_bits if problem.b_dram_bits is None else problem.b_dram_bits
    return matrix_bytes(problem.rows * problem.k, a), matrix_bytes(problem.k * problem.n, b)


def transfer_cycles(moved_bytes: int, bytes_per_cycle: float) -> int:
    """Return the whole cycles of a transfer."""
    return math.ceil(moved_bytes / bytes_per_cycle)


def footprint_bytes(problem: GemmProblem, tile_m: int, tile_n: int, tile_k: int) -> tuple[int, int]:
    """Return the bytes of one buffer: the tiles of A and B that are not resident, and the accumulators."""
    a = 0 if problem.a_resident else matrix_bytes(tile_m * tile_k, problem.a_bits)
    b = 0 if problem.b_resident else matrix_bytes(tile_k * tile_n, problem.b_bits)
    return a + b, matrix_bytes(tile_m * tile_n, problem.accumulator_bits)


def _no_mapping(problem: GemmProblem, resources: ArrayResources, tile: tuple[int, int, int]) -> NoMapping:
    operands, sums = footprint_bytes(problem, *tile)
    memory, needed, capacity = "scratchpad", operands, resources.scratchpad_bytes
    if resources.accumulator_bytes is None:
        needed += sums
    elif sums * resources.buffers > resources.accumulator_bytes:
        memory, needed, capacity = "accumulator memory", sums, resources.accumulator_bytes
    return NoMapping(
        asked=f"map a product of {problem.rows} x {problem.n} x {problem.k} (m, n, k)"
        + (", whole rows at once" if problem.full_rows else ""),
        tile=tile,
        memory=memory,
        needed_bytes=needed,
        capacity_bytes=capacity,
        buffers=resources.buffers,
    )


def _folds(length: int, tile: int, side: int) -> int:
    """Return the sum over the tiles of `length` of ceil(tile / side)."""
    whole, last = divmod(length, tile)
    return whole * -(-tile // side) + -(-last // side)


def _visits(
    problem: GemmProblem, resources: ArrayResources, tile: tuple[int, int, int]
) -> tuple[int, int, int]:
    """Return how often the array passes over each dimension: its folds, or its tiles where it is streamed."""
    rows, columns = resources.rows, resources.columns
    sides = {
        "weight-stationary": (None, columns, rows),
        "output-stationary": (rows, columns, None),
        "input-stationary": (columns, None, rows),
    }[resources.dataflow]
    m, n, k = (
        -(-length // t) if side is None else _folds(length, t, side)
        for length, t, side in zip((problem.rows, problem.n, problem.k), tile, sides, strict=True)
    )
    return m, n, k


def _described(
    problem: GemmProblem,
    resources: ArrayResources,
    tile: tuple[int, int, int],
    innermost: str,
    compute_cycles: int,
    cycles: int,
    energy_pj: float,
) -> GemmMapping:
    """Return the mapping that the search found, with the parts of its cost spelled out."""
    m, n, k, batch = problem.rows, problem.n, problem.k, problem.products
    tiles_m, tiles_n, tiles_k = (-(-size // t) for size, t in zip((m, n, k), tile, strict=True))
    visits_m, visits_n, visits_k = _visits(problem, resources, tile)
    a_bytes, b_bytes = (
        batch * matrix_bytes(m * k, problem.a_bits),
        batch * matrix_bytes(k * n, problem.b_bits),
    )
    a_moved, b_moved = (batch * moved for moved in moved_bytes(problem))
    c_bytes = batch * matrix_bytes(m * n, problem.c_bits)
    sums_bytes = batch * matrix_bytes(m * n, problem.accumulator_bits)
    a_read = 0 if problem.a_resident else a_moved * (1 if innermost == "n" else tiles_n)
    b_read = 0 if problem.b_resident else b_moved * (1 if innermost == "m" else tiles_m)
    c_written = 0 if problem.c_resident else c_bytes
    spilled = 0 if innermost == "k" else (tiles_k - 1) * sums_bytes
    dram_bytes = a_read + b_read + c_written + 2 * spilled
    operands, sums = footprint_bytes(problem, *tile)
    fill_bytes = 0
    if resources.double_buffered:
        fill_bytes = first_block_bytes(problem, resources)
    kept = c_bytes if problem.c_resident else 0
    return GemmMapping(
        tile_m=tile[0],
        tile_n=tile[1],
        tile_k=tile[2],
        order=_ORDERS[innermost],
        tiles_m=tiles_m,
        tiles_n=tiles_n,
        tiles_k=tiles_k,
        operand_footprint_bytes=operands,
        accumulator_footprint_bytes=sums,
        compute_cycles=compute_cycles,
        fill_bytes=fill_bytes,
        fill_cycles=transfer_cycles(fill_bytes, resources.dram_bytes_per_cycle),
        memory_cycles=transfer_cycles(dram_bytes, resources.dram_bytes_per_cycle),
        cycles=cycles,
        a_read_bytes=a_read,
        b_read_bytes=b_read,
        c_written_bytes=c_written,
        sums_written_bytes=spilled,
        sums_read_bytes=spilled,
        scratchpad_bytes=a_bytes * visits_n + b_bytes * visits_m + kept + dram_bytes,
        accumulator_bytes=sums_bytes * (2 * visits_k - 1),
        energy_pj=energy_pj,
    )
