"""Blocks living together on one machine, on a SimPy environment of their own.

Order of events: by time, then by the order in which they were asked for (SimPy's own rule), and
blocks that could go ahead at the same time go in program order. Nothing is random, so a program
always runs alike.

A block may start as soon as the blocks that it depends on are done; the oldest blocks get room
first. While the oldest of those that still want room waits for others, what it needs that was there
before the program ran (weights, say) is fetched ahead. With `overlap=False` a block starts when the
one before is done, stores included, as the closed form has it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field
from math import ceil
from typing import TYPE_CHECKING, Any, Protocol, cast

from siliform.arch.accelerator import Accelerator
from siliform.arch.program import Block, Program
from siliform.arch.units.dma import Dma
from siliform.simulator.dram.bulk import DramModel
from siliform.simulator.events.clock import Clock
from siliform.simulator.events.folding import BlockFolding, shape_of
from siliform.simulator.events.nest import Nest, Stream, nest_of
from siliform.simulator.events.recording import Recorder
from siliform.simulator.events.resources import Ports, Room, Server, Transfers
from siliform.simulator.events.run import Run

if TYPE_CHECKING:
    from collections.abc import Generator

    class Ticking(Protocol):
        """SimPy's environment, of which only whole ticks are asked."""

        now: int

        def timeout(self, delay: int) -> Any:
            """An event so many ticks from now."""

        def event(self) -> Any:
            """An event that somebody else triggers."""

        def process(self, generator: Generator[Any, Any, None]) -> Any:
            """Let a generator live."""

        def run(self) -> None:
            """Until nothing is left to happen."""


#: assumption: blocks looked at side by side, enough for the heads of a layer, few enough to keep order.
WINDOW = 16
#: assumption: transfers under way on a GPU, whose multiprocessors fetch for themselves: more than ever wait.
GPU_TRANSFERS = 1 << 10


@dataclass(frozen=True)
class Lived:
    """How one block fared: when it began and ended, and the ticks that were lost to each of CAUSES."""

    start_ticks: int
    end_ticks: int
    stalls_ticks: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Setting:
    """What to run on what.

    Attributes
    ----------
    dram : a fresh model, in the clock's ticks.
    merged : whether it does not care about addresses, so that a tile's reads are one transfer.
    overlap : whether a block may run beside others.
    fold : whether stretches that repeat exactly are skipped.
    record : how many tiles and transfers to keep for a timeline, at most; 0 keeps none.
    told : called with the number of blocks done, as they get done.
    """

    program: Program
    accelerator: Accelerator
    clock: Clock
    dram: DramModel
    merged: bool
    overlap: bool = True
    fold: bool = True
    record: int = 0
    told: Callable[[int], None] | None = None


class Engine:
    """One run of one program. `run` may be called once."""

    def __init__(self, setting: Setting) -> None:
        accelerator, clock = setting.accelerator, setting.clock
        self.setting, self.clock = setting, clock
        self.blocks = setting.program.blocks
        import simpy

        self.env = cast("Ticking", simpy.Environment())
        self.servers = {unit.name: Server(unit.name) for unit in accelerator.units}
        self.host = Server("host")
        self.dram = setting.dram
        memory = accelerator.scratchpad
        # Where no law counts what units read on chip (a GPU's cache), banks are taken to be enough.
        banked = any(block.unit_bytes for block in self.blocks)
        self.ports = Ports(memory.bytes_per_cycle, clock.ticks_per_cycle) if banked else None
        if self.ports is not None:
            self.ports.expect(1, clock.ticks_per_byte)
        self.transfers = _transfers(setting.dram, accelerator, clock, self.ports)
        self.residents = _Residents(self.blocks)
        self.room = Room(max(memory.bytes - self.residents.peak_bytes, 1))
        self.lived: dict[int, Lived] = {}
        self.recorder = Recorder(self, setting.record) if setting.record else None
        #: Whether nobody asks which transfer it was: runs then ask `transfers` themselves.
        self.direct = setting.merged and self.recorder is None
        self.skipped = 0  # ticks that folding left out
        self.tiles = 0  # of work that were run
        self.folded_events = 0  # transfers and tiles that were not
        self.window = WINDOW if setting.overlap else 1
        self.shapes = [shape_of(block) for block in self.blocks]
        self._nests: dict[Hashable, Nest] = {}
        self._indices = {block.name: i for i, block in enumerate(self.blocks)}
        self._active: list[Run] = []
        self.hungry: list[Run] = []
        self._next = 0
        self._places: dict[str, tuple[int, int]] = {}
        self._folded_counts: dict[str, int] = {}
        self._address = 0
        self._folding = BlockFolding(self) if setting.fold and setting.merged else None

    def run(self) -> None:
        """Until every block is done."""
        self._admit()
        self.env.run()
        if len(self.lived) < len(self.blocks):
            waiting = ", ".join(run.block.name for run in self._active)
            raise RuntimeError(f"the simulation stopped although blocks wait: {waiting}")

    def real(self, now: int) -> int:
        """Ticks since the beginning, folded stretches included."""
        return now + self.skipped

    def whole_cycle(self, now: int) -> int:
        """The first time from then on that is a whole number of cycles since the beginning."""
        return now + -self.real(now) % self.clock.ticks_per_cycle

    # -- what runs ask ---------------------------------------------------------------------------

    @property
    def events(self) -> int:
        """Transfers and tiles of work that were run."""
        return self.transfers.served + self.tiles

    def transfer(
        self, run: Run, now: int, size: int, write: bool, place: int, tile: int
    ) -> tuple[int, int, int, int]:
        """Move a tile's bytes between DRAM and scratchpad; as `Transfers.move`, and noted where they lie."""
        stream, address = run.places[place]
        address += run.offsets[place] % run.pass_bytes(place)
        run.offsets[place] += 0 if self.setting.merged else size
        times = self.transfers.move(now, size, write, stream, address)
        if self.recorder is not None:
            self.recorder.moved(run, place, size, write, tile, times)
        return times

    def transfer_ticks(self, size: int) -> int:
        """Ticks of a transfer at the sustained bandwidth, alone."""
        return size * self.clock.ticks_per_byte

    def place(self, stream: Stream, block: Block) -> tuple[int, int]:
        """Number and address of the array that a stream belongs to; each begins with a page of its own."""
        name = stream.name(block)
        if name not in self._places:
            self._places[name] = (len(self._places), self._address)
            self._address += -(-stream.pass_bytes // self.dram.page_bytes) * self.dram.page_bytes
        return self._places[name]

    # -- who may go ----------------------------------------------------------------------------

    def feed(self) -> None:
        """Give free room to whoever may use it, oldest first."""
        sated, now = 0, self.env.now  # sated: of those in front
        for place, run in enumerate(self.hungry):
            if run.ready or sated == place:
                run.fetch(now)
            sated += run.fetched and run.started
        if sated:
            self.hungry[:] = [run for run in self.hungry if not (run.fetched and run.started)]
        if self.recorder is not None:
            self.recorder.level()

    def finished(self, run: Run) -> None:
        """A block is done: those that waited for it may go."""
        self._active.remove(run)
        self.lived[run.index] = Lived(run.began, run.ended, tuple(run.stalls))
        self.residents.done(run.index)
        if self.ports is not None:
            self.ports.expect(-run.block.unit_bytes, run.nest.total_ticks)
        if self._folding is not None and len(self.lived) == run.index + 1 and self._idle():
            self._pass_over(run.index, self._folding.skipped(run.index))
        if self.setting.told is not None:
            self.setting.told(len(self.lived))
        self._admit()
        self.feed()

    def _admit(self) -> None:
        """Take up further blocks, and start those that nothing holds back."""
        while len(self._active) < self.window and self._next < len(self.blocks):
            index = self._next
            self._next += 1
            run = Run(self, index, self.blocks[index], self._nest(index))
            self._active.append(run)
            self.hungry.append(run)
        for i, run in enumerate(self._active):
            if not run.started and self._free_of_others(run) and (i == 0 or self._fits(run, i)):
                run.started = True
                self.residents.start(run.index)
                if self.ports is not None:
                    self.ports.expect(run.block.unit_bytes, run.nest.total_ticks)
                self.env.process(run.life())
        self.feed()

    def _free_of_others(self, run: Run) -> bool:
        return all(self._indices[name] in self.lived for name in run.block.after)

    def _fits(self, run: Run, place: int) -> bool:
        """Whether its results fit on chip beside all that older blocks may still leave there."""
        older = [other.index for other in self._active[:place] if not other.started]
        return self.residents.fit((*older, run.index))

    def _nest(self, index: int) -> Nest:
        shape = self.shapes[index]
        if shape not in self._nests:
            setting = self.setting
            self._nests[shape] = nest_of(
                self.blocks[index],
                setting.accelerator,
                self.clock,
                merged=setting.merged,
                room_bytes=self.room.total,
            )
        return self._nests[shape]

    def tile_room_bytes(self, block: Block, nest: Nest) -> int:
        """What a tile takes of the room. ValueError where the block's buffers do not fit."""
        most = self.room.total // nest.buffers
        if nest.buffer_bytes <= most:
            return nest.buffer_bytes
        if self.setting.accelerator.of_kind("tensor"):
            return most  # a GPU's cache: what does not fit is not kept
        raise ValueError(
            f"block {block.name}: {nest.buffers} buffers of {nest.buffer_bytes} bytes do not fit the "
            f"{self.room.total} bytes that results on chip leave of the scratchpad"
        )

    # -- folding ---------------------------------------------------------------------------------

    def alone(self) -> bool:
        """Whether only one block is under way."""
        return sum(run.started for run in self._active) == 1

    def _idle(self) -> bool:
        return not any(run.started for run in self._active)

    def state(self, run: Run | None) -> Hashable:
        """All that decides the future of the machine and of a run, relative to now."""
        now = self.env.now
        return (
            None if run is None else run.state(now),
            self.transfers.state(now, self._bases()),
            None if self.ports is None else self.ports.state(now),
            tuple(max(server.free_at - now, 0) for server in self.servers.values()),
            max(self.host.free_at - now, 0),
            self.room.free,
        )

    def _bases(self) -> dict[int, int]:
        """Where each stream goes on that may find a row of its own open."""
        if self.setting.merged:
            return {}
        bases: dict[int, int] = {}
        for run in sorted(self._active, key=lambda run: not run.started):  # who moves on a stream comes first
            for place, (stream, address) in enumerate(run.places):
                bases.setdefault(stream, address + run.offsets[place] % run.pass_bytes(place))
        return bases | dict.fromkeys(set(self.dram.opened()) - bases.keys(), 0)

    def moved_on(self, streams: dict[int, int]) -> None:
        """Streams go on so many bytes further, tiles between being folded: the DRAM's open rows follow."""
        if not self.setting.merged:
            self.dram.move(dict.fromkeys(self._bases(), 0) | streams)

    def waiting_state(self, last: int) -> Hashable:
        """What blocks that have not started hold already, counted from block `last`."""
        now = self.env.now
        return (
            self.residents.live_bytes,
            self._next - last,
            tuple((run.index - last, run.state(now)) for run in self._active),
        )

    def tally(self, run: Run | None) -> list[int]:
        """Everything that is counted, in one list."""
        counts = [n for s in (*self.servers.values(), self.host) for n in (s.busy_ticks, s.waited_ticks)]
        counts += [self.transfers.waited_ticks, self.transfers.busy_ticks]
        counts += [0, 0] if self.ports is None else [self.ports.unit_bytes, self.ports.waited_ticks]
        counts += [self.events + self.folded_events, *self.dram_counts().values()]
        return counts + (run.stalls if run is not None else [])

    def repeat(self, run: Run | None, before: list[int], after: list[int], times: int) -> None:
        """Count what happened between two tallies so many times more."""
        more = iter([times * (b - a) for a, b in zip(before, after, strict=True)])
        for server in (*self.servers.values(), self.host):
            server.busy_ticks += next(more)
            server.waited_ticks += next(more)
        self.transfers.waited_ticks += next(more)
        self.transfers.busy_ticks += next(more)
        moved, waited = next(more), next(more)
        if self.ports is not None:
            self.ports.unit_bytes += moved
            self.ports.waited_ticks += waited
        self.folded_events += next(more)
        for name in self.dram.counts():
            self._folded_counts[name] = self._folded_counts.get(name, 0) + next(more)
        if run is not None:
            run.stalls[:] = [n + next(more) for n in run.stalls]
        if self.recorder is not None:
            self.recorder.folded(run, times)

    def dram_counts(self) -> dict[str, int]:
        """What the DRAM counted, folded stretches included."""
        return {name: n + self._folded_counts.get(name, 0) for name, n in self.dram.counts().items()}

    def relive(self, blocks: range, times: int, period: int) -> None:
        """Note for the blocks of further periods what those of the last one went through."""
        for i in range(1, times + 1):
            for index in blocks:
                lived = self.lived[index]
                later = Lived(
                    lived.start_ticks + i * period, lived.end_ticks + i * period, lived.stalls_ticks
                )
                self.lived[index + i * len(blocks)] = later

    def _pass_over(self, last: int, blocks: int) -> None:
        """Leave out blocks that were folded: those that wait stand for the ones behind them."""
        for index in range(last + 1, last + 1 + blocks):
            self.residents.start(index)
            self.residents.done(index)
        self._next += blocks
        for run in self._active:
            run.relabel(run.index + blocks, self.blocks[run.index + blocks])


def _transfers(dram: DramModel, accelerator: Accelerator, clock: Clock, ports: Ports | None) -> Transfers:
    engines = [unit for unit in accelerator.units if isinstance(unit, Dma)]
    if not engines:
        return Transfers(dram, GPU_TRANSFERS, 0, ports)
    startup = min(engine.startup_cycles for engine in engines)
    channels = sum(engine.channels for engine in engines)
    return Transfers(dram, channels, startup * clock.ticks_per_cycle, ports)


@dataclass
class _Residents:
    """Results that stay in the scratchpad from the block that makes them to the last that reads them."""

    blocks: tuple[Block, ...]
    live_bytes: int = 0
    _made: dict[int, int] = field(default_factory=dict)
    _readers: dict[int, set[int]] = field(default_factory=dict)
    _reads: dict[int, list[int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        indices = {block.name: i for i, block in enumerate(self.blocks)}
        for i, block in enumerate(self.blocks):
            own = [a for a in block.accesses if a.memory != "dram"]
            # What is held, once: partial sums that come and go are traffic, not more of it.
            written = [a for a in own if a.direction == "write"]
            self._made[i] = sum(ceil(a.bits * a.points(block.loops) / 8) for a in written)
            for maker in {indices[a.maker] for a in own if a.direction == "read" and a.maker}:
                self._readers.setdefault(maker, set()).add(i)
                self._reads.setdefault(i, []).append(maker)
        self.peak_bytes = max(self._levels(), default=0)

    def _levels(self) -> Iterator[int]:
        """Bytes that live during each block, one block after the other."""
        live = 0
        last = {maker: max(readers) for maker, readers in self._readers.items()}
        for i in range(len(self.blocks)):
            live += self._made[i]
            yield live
            live -= sum(self._made[m] for m in self._reads.get(i, ()) if last[m] == i)
            live -= self._made[i] if i not in last else 0

    def kept_for(self, index: int) -> int:
        """How many blocks later the results of a block are read last; 0 where nobody reads them."""
        return max(self._readers.get(index, {index})) - index

    def fit(self, indices: tuple[int, ...]) -> bool:
        """Whether the results of these blocks fit beside those that live."""
        return self.live_bytes + sum(self._made[i] for i in indices) <= self.peak_bytes

    def start(self, index: int) -> None:
        """A block begins to write."""
        self.live_bytes += self._made[index]

    def done(self, index: int) -> None:
        """A block is done: what it was the last to read goes, and what nobody reads."""
        for maker in self._reads.get(index, ()):
            self._readers[maker].discard(index)
            if not self._readers[maker]:
                self.live_bytes -= self._made[maker]
        if index not in self._readers:
            self.live_bytes -= self._made[index]
