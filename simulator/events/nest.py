"""What the tiles of a block ask, one number a tile: compute time, bytes in, bytes out.

The bytes are those of the block's closed form (`Access.total_bytes`): every transfer is rounded to
whole bytes, and the first read or the last write of an operand makes up for the rounding. The
compute time is the law's (`Block.compute_cycles`), shared among the tiles as the law of the leading
unit shares it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property
from math import ceil, prod

import numpy as np

from siliform.arch.accelerator import Accelerator
from siliform.arch.law import ceil_div
from siliform.arch.program import Access, Block, Loop, Mask, Movement, Product, Scalars
from siliform.arch.units.array import roles
from siliform.arch.units.dma import Dma
from siliform.arch.units.matrix import MatrixUnit
from siliform.arch.units.tensor import TensorCores
from siliform.simulator.events.clock import Clock
from siliform.simulator.mapping.gemm import block_sides
from siliform.simulator.planner import unit_named

#: assumption: a transfer of a streaming block outlasts so many startups, which then hide behind others.
HIDING = 4
#: assumption: a streaming block takes one of so many parts of the room at most, so that others fit beside it.
ROOM_PARTS = 4
#: More than any transfer: a tile must be there whole before it is worked on.
WHOLE = 1 << 62

Ints = np.ndarray  # int64, one number a tile


@dataclass(frozen=True, eq=False)
class Stream:
    """The transfers of one operand: bytes with each tile, most of them 0.

    Attributes
    ----------
    accesses : which of the block's accesses it is, or is made of.
    sizes : bytes before (a read) or after (a write) each tile.
    early : whether it was there before the program ran, so that it may be fetched ahead of other blocks.
    pass_bytes : bytes of the whole operand; a later pass comes back to the first byte.
    """

    accesses: tuple[int, ...]
    sizes: list[int]
    early: bool
    pass_bytes: int

    def name(self, block: Block) -> str:
        """What it moves, of a block of the nest's shape."""
        return "+".join(block.accesses[i].value for i in self.accesses)


@dataclass(frozen=True, eq=False)
class Nest:
    """A block as the engine runs it.

    Attributes
    ----------
    compute_ticks : of each tile.
    reads : streams through DRAM.
    writes : all results as one stream; None where nothing leaves.
    shares : for each unit, the ticks that it is busy of `total_ticks`; the first one leads.
    total_ticks : the sum of `compute_ticks`.
    lead_bytes : of a tile's bytes, those that must be in before its work starts.
    trail_bytes : of a tile's results, those that leave only after its work ended.
    buffer_bytes : room that a tile takes.
    buffers : tiles held at a time.
    command_bytes : of the commands that say what to do with each tile, fetched ahead of its operands; empty
        where no DMA counts them.
    """

    compute_ticks: list[int]
    reads: tuple[Stream, ...]
    writes: Stream | None
    shares: tuple[tuple[str, int], ...]
    total_ticks: int
    lead_bytes: int
    trail_bytes: int
    buffer_bytes: int
    buffers: int
    command_bytes: list[int] = field(default_factory=list)

    @property
    def tiles(self) -> int:
        """Number of tiles."""
        return len(self.compute_ticks)

    @cached_property  # runs of equal blocks share a nest, and its table is the dearest part of folding them
    def table(self) -> Ints:
        """All that a tile asks, [tiles, numbers]: equal rows ask the same."""
        columns = [self.compute_ticks, *(s.sizes for s in self.reads)]
        columns += [self.writes.sizes] if self.writes else []
        columns += [self.command_bytes] if self.command_bytes else []
        return np.array(columns, dtype=np.int64).T


def nest_of(
    block: Block,
    accelerator: Accelerator,
    clock: Clock,
    *,
    merged: bool,
    memory: str = "dram",
    room_bytes: int | None = None,
) -> Nest:
    """Unroll a block.

    Parameters
    ----------
    merged : whether reads become one stream, where the DRAM does not care about addresses.
    room_bytes : what tiles may take of the scratchpad; all of it where none is given.
    """
    room_bytes = accelerator.scratchpad.bytes if room_bytes is None else room_bytes
    grid = _Grid(block)
    places = [i for i, access in enumerate(block.accesses) if access.memory == memory]
    moved = [block.accesses[i] for i in places]
    reads = [s for i in places for s in _reads(i, grid)]
    writes = [_writes(i, grid) for i in places if block.accesses[i].direction == "write"]
    commands = _command_bytes(reads, writes, grid.tiles, accelerator)
    if merged:
        kinds = ([s for s in reads if s.early], [s for s in reads if not s.early])
        reads = [_together(kind) for kind in kinds if kind]
    weights, shares = _work(block, grid, accelerator)
    total = block.compute_cycles * clock.ticks_per_cycle
    sides = _sides(block, accelerator)
    whole = any(u.handover == "whole-tiles" for u in accelerator.units if isinstance(u, Dma))
    nest = Nest(
        compute_ticks=_shared_out(total, weights),
        reads=tuple(reads),
        writes=_together(writes) if writes else None,
        shares=tuple((unit, min(cycles * clock.ticks_per_cycle, total)) for unit, cycles in shares),
        total_ticks=total,
        lead_bytes=WHOLE if whole else _first_bytes(moved, "read", block, sides),
        trail_bytes=WHOLE if whole else _first_bytes(moved, "write", block, sides),
        buffer_bytes=sum(_tile_bytes(a, block.loops) for a in _held(block, accelerator, memory)),
        buffers=block.buffers,
        command_bytes=commands,
    )
    return nest if sides is not None else _in_descriptors(nest, accelerator, clock, room_bytes)


def _in_descriptors(nest: Nest, accelerator: Accelerator, clock: Clock, room_bytes: int) -> Nest:
    """Tiles of a streaming unit in groups that one DMA transfer moves; work still starts on its first tile.

    The tiles of such a block only say how finely transfers and work interleave: nothing is kept from
    one to the next. A transfer moves enough of them to outlast `HIDING` startups, and all buffers take
    at most one `ROOM_PARTS`th of the room.
    """
    # Of a room smaller than its tiles it takes what there is, as they could as well be smaller.
    nest = replace(nest, buffer_bytes=min(nest.buffer_bytes, room_bytes // nest.buffers))
    engines = [unit for unit in accelerator.units if isinstance(unit, Dma)]
    moved = max((sum(stream.sizes) for stream in (*nest.reads, nest.writes) if stream), default=0)
    if not engines or not moved:
        return nest
    startup = min(engine.startup_cycles for engine in engines) * clock.ticks_per_cycle
    wanted = HIDING * startup * nest.tiles // (moved * clock.ticks_per_byte)
    fitting = room_bytes // (ROOM_PARTS * nest.buffers * max(nest.buffer_bytes, 1))
    group = min(max(wanted, 1), max(fitting, 1), max(nest.tiles // nest.buffers, 1))
    if group == 1:
        return nest
    return replace(
        nest,
        compute_ticks=_grouped(nest.compute_ticks, group),
        reads=tuple(replace(s, sizes=_grouped(s.sizes, group)) for s in nest.reads),
        writes=nest.writes and replace(nest.writes, sizes=_grouped(nest.writes.sizes, group)),
        lead_bytes=max((sum(sizes) for sizes in zip(*(s.sizes for s in nest.reads), strict=True)), default=0),
        trail_bytes=max(nest.writes.sizes) if nest.writes else 0,
        buffer_bytes=nest.buffer_bytes * group,
        command_bytes=[max(part) for part in _parts(nest.command_bytes, group)],
    )


def _parts(numbers: list[int], group: int) -> list[list[int]]:
    return [numbers[i : i + group] for i in range(0, len(numbers), group)]


def _grouped(numbers: list[int], group: int) -> list[int]:
    sums: Ints = np.add.reduceat(np.array(numbers, np.int64), np.arange(0, len(numbers), group))
    return _numbers(sums)


class _Grid:
    """The index and the size of every loop at every tile."""

    def __init__(self, block: Block) -> None:
        self.block, self.loops = block, block.loops
        self.index: dict[str, Ints] = {}
        self.size: dict[str, Ints] = {}
        inner = prod(loop.count for loop in self.loops)
        step = np.arange(inner, dtype=np.int64) if block.mask is None else _seen_steps(block, block.mask)
        self.tiles = len(step)
        for loop in self.loops:
            inner //= loop.count
            index = (step // inner) % loop.count
            self.index[loop.dim] = index
            self.size[loop.dim] = np.where(index == loop.count - 1, loop.size(loop.count - 1), loop.tile)

    def points(self, dims: tuple[str, ...]) -> Ints:
        """Points of a tile in some of the dims."""
        found = np.ones(self.tiles, np.int64)
        for dim in dims:
            found *= self.size[dim]
        return found

    def arrives(self, access: Access) -> Ints:
        """True where an operand changes, and with the first tile."""
        dims = self.block.comes_with(access)
        changed = np.zeros(self.tiles, bool)
        changed[0] = True
        for dim in dims:
            changed[1:] |= self.index[dim][1:] != self.index[dim][:-1]
        return changed

    def outside(self, dims: tuple[str, ...]) -> list[Loop]:
        """Foreign loops around the innermost own one: an operand comes once for each of their iterations."""
        own = [i for i, loop in enumerate(self.loops) if loop.dim in dims and loop.count > 1]
        around = self.loops[: own[-1]] if own else ()
        return [loop for loop in around if loop.dim not in dims]


def _seen_steps(block: Block, mask: Mask) -> Ints:
    """The tiles worked on, counted as if all were; the loops of the mask are the innermost ones."""
    rows, keys = block.loop(mask.row), block.loop(mask.key)
    if block.loops[-2:] != (rows, keys):
        raise ValueError(f"block {block.name}: the mask's loops {mask.row}, {mask.key} are not the innermost")
    seen = np.array([row * keys.count + key for row, key in mask.pairs(rows, keys)], np.int64)
    around = np.arange(prod(loop.count for loop in block.loops[:-2]), dtype=np.int64)
    return (around[:, None] * (rows.count * keys.count) + seen).reshape(-1)


def _reads(place: int, grid: _Grid) -> list[Stream]:
    """What comes in by one access: an operand, or partial sums that come back."""
    access = grid.block.accesses[place]
    arrives = grid.arrives(access)
    if access.direction == "read":
        sizes = _whole_bytes(access.bits, grid.points(access.dims) * arrives)
        _make_up(sizes, grid.block.access_bytes(access), 0)
    elif access.spill_bits and grid.outside(access.dims):
        again = np.zeros(grid.tiles, bool)
        for loop in grid.outside(access.dims):
            again |= grid.index[loop.dim] > 0
        sizes = _whole_bytes(access.spill_bits, grid.points(access.dims) * (arrives & again))
    else:
        return []
    passes = access.passes(grid.loops) - (access.direction == "write")
    early = access.direction == "read" and not access.maker
    return [Stream((place,), _numbers(sizes), early, max(int(sizes.sum()) // max(passes, 1), 1))]


def _writes(place: int, grid: _Grid) -> Stream:
    """What goes out by one access: results, and partial sums that are not complete."""
    access = grid.block.accesses[place]
    leaves = np.roll(grid.arrives(access), -1)
    points = grid.points(access.dims) * leaves
    done = np.ones(grid.tiles, bool)
    if access.spill_bits:
        for loop in grid.outside(access.dims):
            done &= grid.index[loop.dim] == loop.count - 1
    sizes = _whole_bytes(access.bits, points * done)
    spilled = _whole_bytes(access.spill_bits, points * ~done)
    returned = int(spilled.sum())  # every partial sum that leaves comes back
    _make_up(sizes, grid.block.access_bytes(access) - 2 * returned, -1)
    sizes += spilled
    return Stream((place,), _numbers(sizes), False, max(int(sizes.sum()) // access.passes(grid.loops), 1))


def _command_bytes(
    reads: list[Stream], writes: list[Stream], tiles: int, accelerator: Accelerator
) -> list[int]:
    """Bytes of the commands of each tile: its loads, its work and its store, where a DMA counts them.

    As the assembler has it, what a tile needs beside its first operand lies together and is one load.
    """
    each = max((unit.command_bytes for unit in accelerator.units if isinstance(unit, Dma)), default=0)
    if not each:
        return []
    first = [s for s in reads if s.accesses[0] == 0]
    rest = [s for s in reads if s.accesses[0] != 0]
    commands = np.ones(tiles, np.int64)
    for together in (first, rest, writes):
        moved = np.zeros(tiles, np.int64)
        for stream in together:
            moved += np.array(stream.sizes, np.int64)
        commands += moved > 0
    return _numbers(each * commands)


def _whole_bytes(bits: Fraction | int, points: Ints) -> Ints:
    """Bytes of so many points each, rounded down."""
    unique, place = np.unique(points, return_inverse=True)
    bytes_of = np.array([int(bits * int(p)) // 8 for p in unique], dtype=np.int64)
    return bytes_of[place.reshape(points.shape)]


def _make_up(sizes: Ints, total: int, place: int) -> None:
    """Put what rounding left out with the first transfer (0) or the last one (-1)."""
    moved = np.flatnonzero(sizes)
    sizes[moved[place] if moved.size else place] += total - int(sizes.sum())


def _together(streams: list[Stream]) -> Stream:
    sizes = np.array([s.sizes for s in streams], np.int64).sum(axis=0)
    accesses = tuple(i for s in streams for i in s.accesses)
    return Stream(accesses, _numbers(sizes), streams[0].early, max(int(sizes.sum()), 1))


def _numbers(column: Ints) -> list[int]:
    found: list[int] = column.tolist()
    return found


def _held(block: Block, accelerator: Accelerator, memory: str) -> list[Access]:
    """What a tile takes room for, as the mapper counts it.

    What stays on chip has room already. Of a product's tile, results gather in the accumulators where
    there are some, and what the stages behind it read streams by; so does what is read behind an attention,
    row by row as its queries are.
    """
    moved = [a for a in block.accesses if a.memory == memory]
    first = block.stages[0] if block.stages else None
    if not isinstance(first, Product):
        return moved
    held = [a for a in moved if a.direction == "read" or not accelerator.accumulator]
    inner = first.k
    if isinstance(inner, str):
        return [a for a in held if a.spill_bits or inner in a.dims]
    by_row = [a for a in held if a.direction == "read" and a.dims == ("group", "row")]
    return [a for a in held if not any(a is other for other in by_row[1:])]


def _tile_bytes(access: Access, loops: tuple[Loop, ...]) -> int:
    """Bytes of a tile as the mapper counts them: without scales, a fraction of a bit an element."""
    points = prod(loop.tile for loop in loops if loop.dim in access.dims)
    bits = max(access.bits, Fraction(access.spill_bits))
    return ceil((int(bits) or bits) * points / 8)


def _sides(block: Block, accelerator: Accelerator) -> dict[str, int] | None:
    """How much of each dim an array works on at a time; None where work starts on whole tiles.

    As in the closed form of the mapper: transfers come in the order in which the array needs them.
    """
    if accelerator.of_kind("tensor"):  # a GPU hides transfers behind other warps, not behind other tiles
        return {loop.dim: 0 for loop in block.loops}
    if not block.stages:
        return None
    first = block.stages[0]
    unit = unit_named(accelerator.units, first.unit)
    if isinstance(first, Product) and isinstance(unit, MatrixUnit):
        folding = unit.folding(first.formats)
        m, n, words = block_sides(folding.dataflow, unit.rows, unit.columns, folding.depth_words)
        k = words * folding.word_elements
        return {"m": m, "n": n, "k": k, "row": unit.rows, "key": unit.columns, "batch": 1, "group": 1}
    return None


def _first_bytes(moved: list[Access], direction: str, block: Block, sides: dict[str, int] | None) -> int:
    """Bytes of one array block of each operand that moves that way."""
    if sides is None:
        return WHOLE
    extents = {loop.dim: loop.extent for loop in block.loops}
    total = 0
    for access in moved:
        if access.direction == direction and access.dims:
            total += int(access.bits * prod(min(extents[d], sides[d]) for d in access.dims)) // 8
    return total


def _work(block: Block, grid: _Grid, accelerator: Accelerator) -> tuple[Ints, list[tuple[str, int]]]:
    """How the tiles share the work, and the cycles that each unit is busy, the leading one first."""
    busy: dict[str, int] = {}
    weights = np.zeros(grid.tiles, np.int64)
    for stage in block.stages:
        unit = unit_named(accelerator.units, stage.unit)
        if isinstance(stage, Product):
            sizes = [_extent(d, grid) for d in (stage.m, stage.n, stage.k)]
            batch = _extent(stage.batch, grid)
            if isinstance(unit, MatrixUnit):
                passes = batch * _array_passes(unit, stage.formats, *sizes)
                weights += passes
                cycles = ceil(int(passes.sum()) * unit.kept_share(second_is_weight=True))
            else:
                weights += batch * sizes[0] * sizes[1] * sizes[2]
                cycles = block.compute_cycles if isinstance(unit, TensorCores) else _mac_cycles(unit, stage)
        elif isinstance(stage, Scalars):
            lanes = (unit.scalar_cycles(op, count) for op, count in stage.counts.items())
            cycles = sum(lanes) if stage.engine_cycles is None else stage.engine_cycles
        else:
            assert isinstance(stage, Movement)
            cycles = int(unit.move_cycles(stage.bytes))  # type: ignore[attr-defined]
        busy[stage.unit] = busy.get(stage.unit, 0) + cycles
    if not weights.any():
        weights = grid.points(tuple(grid.index))
    return weights, sorted(busy.items(), key=lambda pair: -pair[1])


def _mac_cycles(unit: object, product: Product) -> int:
    return int(unit.scalar_cycles("mac", product.points))  # type: ignore[attr-defined]


def _extent(dim: str | int, grid: _Grid) -> Ints:
    return grid.size[dim] if isinstance(dim, str) else np.full(grid.tiles, dim, np.int64)


def _array_passes(unit: MatrixUnit, formats: tuple[str, str], m: Ints, n: Ints, k: Ints) -> Ints:
    """Cycles of each tile by the array's law, filling and emptying of the whole left out."""
    folding = unit.folding(formats)
    along_rows, along_columns, stream = roles(folding.dataflow, m, n, ceil_div(k, folding.word_elements))
    folds = ceil_div(along_rows, unit.rows) * ceil_div(along_columns, unit.columns)
    if folding.overlap == "none":
        stream = stream + folding.overhead_cycles
    elif folding.overlap == "double-buffered":
        stream = np.maximum(stream, unit.rows)
    passes: Ints = folds * stream
    return passes


def _shared_out(total: int, weights: Ints) -> list[int]:
    """Whole numbers in proportion to the weights, equal for equal weights, the rest with the last."""
    whole = int(weights.sum())
    unique, place = np.unique(weights, return_inverse=True)
    each = np.array([total * int(w) // whole for w in unique] if whole else [0], dtype=np.int64)
    shared: list[int] = each[place.reshape(weights.shape)].tolist()
    shared[-1] += total - sum(shared)
    return shared
