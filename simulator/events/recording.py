"""What tiles and transfers went through, kept while a simulation runs, for a timeline.

Times are ticks since the beginning, folded stretches included. Keeping stops at a limit and counts
what it leaves out from there on, so that whoever draws it can say so.
"""

from __future__ import annotations

from dataclasses import dataclass
from heapq import heapreplace
from typing import TYPE_CHECKING, NamedTuple

from siliform.simulator.simulation import CAUSES

if TYPE_CHECKING:
    from siliform.simulator.events.engine import Engine
    from siliform.simulator.events.run import Run

#: assumption: tiles and transfers that a timeline shows at most, unless told otherwise: some sixty megabytes
#: of text, which browsers still take.
RECORDED = 100_000
#: A tile's stalls as a timeline tells them: what the host takes to launch a kernel is no tile's.
TILE_CAUSES = tuple(cause for cause in CAUSES if cause != "launch")


class Moved(NamedTuple):
    """A transfer: asked for, allowed to flow (`ready`), over the bus from `start` to `end`, and `arrived`."""

    block: int
    tile: int
    stream: str
    size_bytes: int
    write: bool
    channel: int
    asked: int
    ready: int
    start: int
    end: int
    arrived: int


class Worked(NamedTuple):
    """A tile, one of `tiles` of its block, on its leading unit.

    `free` is when its block could have begun it, `ready` when its first bytes were there; `stalls` are
    ticks by TILE_CAUSES, `moved_bytes` what its units read from the scratchpad and wrote to it.
    """

    block: int
    tile: int
    tiles: int
    unit: str
    free: int
    ready: int
    start: int
    end: int
    stalls: tuple[int, ...]
    moved_bytes: int


class Served(NamedTuple):
    """A tile's share of another unit, beside the leading one."""

    block: int
    tile: int
    unit: str
    start: int
    end: int


class Fold(NamedTuple):
    """A stretch left out because the machine's state recurred: tiles of a block, or (None) whole blocks."""

    block: int | None
    start: int
    end: int
    times: int


@dataclass(frozen=True, eq=False)
class Recording:
    """All that was kept, each sequence in the order in which it was asked for.

    Attributes
    ----------
    levels : bytes of the scratchpad that were taken from some tick on, (tick, bytes).
    limit : how many transfers, tiles and shares of tiles are kept at most.
    left_out : how many came after the limit was reached; they were run, and are not told.
    until : tick up to which all is told but what was folded; None where nothing was left out.
    channels : of the DMA; 0 where none is followed.
    scratchpad_bytes : that there are.
    """

    moved: tuple[Moved, ...]
    worked: tuple[Worked, ...]
    served: tuple[Served, ...]
    levels: tuple[tuple[int, int], ...]
    folds: tuple[Fold, ...]
    limit: int
    left_out: int
    until: int | None
    channels: int
    scratchpad_bytes: int


class Recorder:
    """Keeps at most `limit` transfers, tiles and shares of tiles of an engine's run."""

    def __init__(self, engine: Engine, limit: int) -> None:
        self._engine, self._limit = engine, limit
        self._kept = self._left_out = 0
        self._until: int | None = None
        self._moved: list[Moved] = []
        self._worked: list[Worked] = []
        self._served: list[Served] = []
        self._levels: list[tuple[int, int]] = []
        self._folds: list[tuple[int | None, int, int, int]] = []
        self._stalls: dict[int, tuple[int, ...]] = {}
        #: When each channel of the DMA is free, a heap; a transfer takes the one that is free first.
        self._channels = [(0, channel) for channel in range(engine.transfers.channels)]

    def moved(
        self, run: Run, place: int, size: int, write: bool, tile: int, times: tuple[int, int, int, int]
    ) -> None:
        """A transfer was asked for now; `times` are when it may flow, begins, ends and has arrived."""
        _, channel = heapreplace(self._channels, (times[3], self._channels[0][1]))
        if self._room():
            nest, skipped = run.nest, self._engine.skipped
            stream = nest.reads[place] if place < len(nest.reads) else nest.writes
            assert stream is not None
            ready, start, end, arrived = (time + skipped for time in times)
            asked = self._engine.env.now + skipped
            moved = Moved(
                run.index,
                tile,
                stream.name(run.block),
                size,
                write,
                channel,
                asked,
                ready,
                start,
                end,
                arrived,
            )
            self._moved.append(moved)

    def worked(self, run: Run, tile: int, free: int, ready: int, start: int, end: int) -> None:
        """A tile was worked on."""
        if self._room():
            nest, skipped = run.nest, self._engine.skipped
            unit = nest.shares[0][0] if nest.shares else ""
            moved = run.block.unit_bytes * nest.compute_ticks[tile] // max(nest.total_ticks, 1)
            found = tuple(run.stalls[: len(TILE_CAUSES)])
            before = self._stalls.get(run.index)
            self._stalls[run.index] = found
            stalls = found if before is None else tuple(b - a for a, b in zip(before, found, strict=True))
            times = (free + skipped, ready + skipped, start + skipped, end + skipped)
            self._worked.append(Worked(run.index, tile, nest.tiles, unit, *times, stalls, moved))

    def served(self, run: Run, unit: str, tile: int, start: int, end: int) -> None:
        """Another unit did its share of a tile."""
        if end > start and self._room():
            skipped = self._engine.skipped
            self._served.append(Served(run.index, tile, unit, start + skipped, end + skipped))

    def level(self) -> None:
        """Look how many bytes of the scratchpad are taken."""
        if self._left_out:
            return
        engine = self._engine
        now = engine.real(engine.env.now)
        taken = engine.room.total - engine.room.free + engine.residents.live_bytes
        levels = self._levels
        if levels and levels[-1][0] == now:
            levels[-1] = (now, taken)
        elif not levels or levels[-1][1] != taken:
            levels.append((now, taken))

    def folded(self, run: Run | None, times: int) -> None:
        """From now on `times` periods are left out: `Engine.skipped` is about to grow."""
        engine = self._engine
        if run is not None:
            self._stalls[run.index] = tuple(run.stalls[: len(TILE_CAUSES)])
        block = None if run is None else run.index
        self._folds.append((block, engine.real(engine.env.now), engine.skipped, times))

    def recording(self) -> Recording:
        """What was kept until now."""
        engine = self._engine
        accelerator = engine.setting.accelerator
        before = [*(skipped for _, _, skipped, _ in self._folds), engine.skipped]
        folds = tuple(
            Fold(block, start, start + before[i + 1] - skipped, times)
            for i, (block, start, skipped, times) in enumerate(self._folds)
        )
        return Recording(
            tuple(self._moved),
            tuple(self._worked),
            tuple(self._served),
            tuple(self._levels),
            folds,
            self._limit,
            self._left_out,
            self._until,
            engine.transfers.channels if accelerator.of_kind("dma") else 0,
            accelerator.scratchpad.bytes,
        )

    def _room(self) -> bool:
        """Whether one more is kept; counts it either way."""
        if self._kept < self._limit:
            self._kept += 1
            return True
        if self._until is None:
            self._until = self._engine.real(self._engine.env.now)
        self._left_out += 1
        return False
