"""Skipping what has been seen: exact, because it waits until the whole state recurs.

Two stretches repeat in a transformer: the tiles of a block, and the layers. For both the engine
looks whether the machine is in a state that it was in before (times relative to now, open rows
relative to addresses) *and* what lies ahead asks the same as it did then. Only then do as many
periods as lie ahead pass at once: clocks and counters move on by their multiples, and nothing else
changes. Where state or work never recurs, everything is run.

Work is compared number by number (`Nest.table`, block shapes and dependences), so one tile that
asks a byte more ends a stretch.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from siliform.arch.program import Block
from siliform.simulator.events.nest import Nest

if TYPE_CHECKING:
    from siliform.simulator.events.engine import Engine
    from siliform.simulator.events.run import Run

#: assumption: states that are remembered at a time: memory against periods of more tiles than this.
REMEMBERED = 4096
#: assumption: fewer tiles than this are run at once, as looking at states takes longer.
WORTH_TILES = 8
#: assumption: earlier tiles in the same state that one is compared with: those of a pass of the inner loops.
COMPARED_TILES = 8
#: assumption: earlier blocks in the same state that a block is compared with: the nodes of a layer are fewer.
COMPARED = 64


class _Seen(NamedTuple):
    """A tile at whose start the machine was in some state: when, and what was counted and moved by then."""

    tile: int
    then: int
    tally: list[int]
    offsets: tuple[int, ...]


class TileFolding:
    """Looks at each tile of one run whether the machine was there before."""

    def __init__(self, run: Run) -> None:
        self._run, self._engine = run, run.engine
        self._seen: dict[Hashable, deque[_Seen]] = {}
        self._breaks: dict[int, np.ndarray] = {}

    def skip(self, tile: int) -> int:
        """Leave out the periods from `tile` on that are known: the run, time and counts move on; to where."""
        run, engine = self._run, self._engine
        if not engine.alone():
            self._seen.clear()
            return tile
        state = engine.state(run)
        if len(self._seen) >= REMEMBERED:
            self._seen.clear()
        earlier = self._seen.setdefault(state, deque(maxlen=COMPARED_TILES))
        now = _Seen(tile, engine.real(engine.env.now), engine.tally(run), tuple(run.offsets))
        for before in reversed(earlier):
            period = tile - before.tile
            times = self._repeats(tile, before.tile, period, before.offsets)
            if times >= 1:
                forward = [times * (b - a) for a, b in zip(before.offsets, now.offsets, strict=True)]
                engine.repeat(run, before.tally, now.tally, times)
                engine.skipped += times * (now.then - before.then)
                run.advance(times * period, forward)
                return tile + times * period
        earlier.append(now)
        return tile

    def _repeats(self, tile: int, first: int, period: int, offsets: tuple[int, ...]) -> int:
        """How many whole periods ahead ask what the last one asked, fetches ahead included."""
        run = self._run
        if period not in self._breaks:
            self._breaks[period] = breaks(run.nest, period)
        ends = self._breaks[period]
        place = int(np.searchsorted(ends, first))
        end = int(ends[place]) if place < len(ends) else run.nest.tiles - period
        ahead = run.nest.buffers + 1  # with one tile left to fetch, others still wait for their turn
        times = (end + period - tile - ahead) // period
        moved: dict[int, int] = {}
        for place, (before, now) in enumerate(zip(offsets, run.offsets, strict=True)):
            forward, whole = now - before, run.pass_bytes(place)
            if moved.setdefault(run.places[place][0], forward % whole) != forward % whole:
                return 0  # one array, read and written at different paces
            if forward % whole == 0:
                continue  # where it was: the next period comes back there too
            if before // whole != now // whole:
                return 0  # an operand began anew in between
            times = min(times, (whole - now % whole) // forward - 1)
        return times


def breaks(nest: Nest, period: int) -> np.ndarray:
    """Tiles that do not ask what the tile one period later asks, ascending."""
    table = nest.table
    return np.flatnonzero((table[:-period] != table[period:]).any(axis=1))


class BlockFolding:
    """Looks at the end of each block, when no other is under way, whether the machine was there before."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._blocks = engine.blocks
        self._shapes = _numbered(engine.shapes)
        names = {block.name: i for i, block in enumerate(self._blocks)}
        self._after = [tuple(names[name] for name in block.after) for block in self._blocks]
        self._kept = [engine.residents.kept_for(i) for i in range(len(self._blocks))]
        self._seen: dict[Hashable, list[tuple[int, int, list[int]]]] = {}

    def skipped(self, last: int) -> int:
        """How many blocks after block `last` to leave out; all about them is already noted."""
        engine = self._engine
        state = (engine.state(None), engine.waiting_state(last), self._shapes[last])
        now, tally = engine.real(engine.env.now), engine.tally(None)
        earlier = self._seen.setdefault(state, [])
        for first, then, counted in reversed(earlier[-COMPARED:]):
            period = last - first
            times = self._repeats(last, period)
            if times >= 1:
                engine.repeat(None, counted, tally, times)
                engine.skipped += times * (now - then)
                engine.relive(range(first + 1, last + 1), times, now - then)
                self._seen.clear()
                return times * period
        earlier.append((last, now, tally))
        return 0

    def _repeats(self, last: int, period: int) -> int:
        """How many whole periods after `last` ask what the one before asked, the window ahead included."""
        index = last - period + 1
        while index + period < len(self._blocks) and self._alike(index, index + period, last - period):
            index += 1
        return (index + period - 1 - last - self._engine.window) // period

    def _alike(self, one: int, other: int, done: int) -> bool:
        """Whether two blocks ask the same of blocks in the same place, or of the same one long ago.

        What they leave on chip must go as soon, too: a reader far ahead leaves less room from there on.
        """
        if self._shapes[one] != self._shapes[other] or len(self._after[one]) != len(self._after[other]):
            return False
        if self._kept[one] != self._kept[other]:
            return False
        pairs = zip(self._after[one], self._after[other], strict=True)
        return all(b - a == other - one or (a == b and a <= done) for a, b in pairs)


def _numbered(shapes: list[Hashable]) -> list[int]:
    numbers: dict[Hashable, int] = {}
    return [numbers.setdefault(shape, len(numbers)) for shape in shapes]


def shape_of(block: Block) -> Hashable:
    """What decides how a block runs: everything but names."""
    accesses = tuple(
        (a.direction, a.memory, a.dims, a.bits, a.spill_bits, bool(a.maker)) for a in block.accesses
    )
    stages = tuple(repr(stage) for stage in block.stages)
    numbers = (block.buffers, block.compute_cycles, block.launch_cycles, block.unit_bytes)
    return (block.loops, block.mask, accesses, stages, *numbers)
