"""A simulation as tracks of bars and counters over time, in ticks of its clock.

On a track bars are disjoint or lie within each other. A resource that serves one after the other has
one track; what overlaps is spread over lanes, tracks of the same name with a number.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from siliform.simulator.events.recording import TILE_CAUSES, Moved, Recording, Served, Worked
from siliform.simulator.events.simulate import Simulated
from siliform.simulator.report import Part
from siliform.simulator.simulation import CAUSES

#: What the groups of tracks are called, in order.
RESOURCES, NODES = "resources", "nodes"
#: Kinds of bars that are not work of a node's own kind.
WAIT, LOAD, STORE, CHANNEL, LAUNCH, ABOUT = "wait", "load", "store", "channel", "launch", "about"


class Bar(NamedTuple):
    """A stretch of time on a track.

    `name` is what it shows, mostly a node; `kind` is the node's kind of work, or one of the kinds above;
    `about` is what else is known of it, plain values by name.
    """

    name: str
    kind: str
    start: int
    end: int
    about: Mapping[str, Any]


@dataclass(frozen=True)
class Track:
    """A row of bars, sorted by start, longer ones first."""

    group: str
    name: str
    bars: tuple[Bar, ...]


@dataclass(frozen=True)
class Counter:
    """A number over time: `points` are (tick, value from then on), ticks ascending."""

    group: str
    name: str
    unit: str
    points: tuple[tuple[int, float], ...]


@dataclass(frozen=True)
class Timeline:
    """All that a trace or a picture shows.

    Attributes
    ----------
    title : model, phase, formats and design.
    totals : plain values by name: what the run was and came to.
    notes : what a reader must know of what is left out; empty where all is there.
    end : tick at which the last node was done.
    complete : whether all tiles and transfers of the nodes that are done are there.
    waits : what tiles waited for on their leading units, by unit: (cause, from, to).
    """

    title: str
    totals: Mapping[str, Any]
    notes: tuple[str, ...]
    clock_hz: float
    ticks_per_cycle: int
    end: int
    tracks: tuple[Track, ...]
    counters: tuple[Counter, ...]
    complete: bool = False
    waits: Mapping[str, tuple[tuple[str, int, int], ...]] = field(default_factory=dict)

    def of(self, group: str) -> tuple[Track, ...]:
        """The tracks of a group."""
        return tuple(track for track in self.tracks if track.group == group)

    @property
    def bars(self) -> int:
        """How many there are on all tracks."""
        return sum(len(track.bars) for track in self.tracks)


def timeline_of(simulated: Simulated) -> Timeline:
    """Everything that a simulation recorded; nodes alone where it recorded nothing."""
    maker = _Maker(simulated)
    return Timeline(
        title=maker.title,
        totals=maker.totals(),
        notes=tuple(maker.notes()),
        clock_hz=simulated.report.clock_hz,
        ticks_per_cycle=simulated.clock.ticks_per_cycle,
        end=maker.end,
        tracks=tuple(maker.tracks()),
        counters=tuple(counter for counter in maker.counters() if counter.points),
        complete=maker.complete(),
        waits=maker.waits(),
    )


class _Maker:
    """Makes the tracks of one simulation."""

    def __init__(self, simulated: Simulated) -> None:
        self.report, self.lived = simulated.report, simulated.lived
        self.recording: Recording | None = simulated.recording
        self.cycle = simulated.clock.ticks_per_cycle
        self.blocks = simulated.program.blocks
        self.parts = {part.name: part for part in self.report.parts}
        self.kinds = [self._kind(block.name) for block in self.blocks]
        self.end = max((life.end_ticks for life in self.lived.values()), default=0)
        report = self.report
        self.title = f"{report.model} ({report.phase}, {report.bits}) on {report.design}"

    def _kind(self, name: str) -> str:
        return self.parts[name].kind if name in self.parts else "unfinished"

    def cycles(self, ticks: int) -> int | float:
        """Ticks in cycles: whole where they are, else to a thousandth."""
        whole, rest = divmod(ticks, self.cycle)
        return whole if not rest else round(ticks / self.cycle, 3)

    def totals(self) -> dict[str, Any]:
        """What the run was and came to."""
        report, known = self.report, self.report.simulation
        found: dict[str, Any] = {
            "model": report.model,
            "design": report.design,
            "phase": report.phase,
            "bits": report.bits,
            "cycles": report.cycles,
            "clock_hz": report.clock_hz,
            "latency_s": report.latency_s,
        }
        if known is not None:
            found |= {"dram_model": known.dram_model, "nodes": known.blocks, "nodes_done": known.blocks_done}
        return found

    def complete(self) -> bool:
        """Whether nothing was folded and nothing came after the recording was full."""
        kept = self.recording
        return kept is not None and not kept.folds and kept.until is None

    def waits(self) -> dict[str, tuple[tuple[str, int, int], ...]]:
        """What tiles waited for before their work, by the unit that leads them."""
        found: dict[str, list[tuple[str, int, int]]] = {}
        for work in self.recording.worked if self.recording is not None else ():
            spans = [(cause, a, b) for cause, a, b in _waits(work) if b > a]
            found.setdefault(work.unit, []).extend(spans)
        return {unit: tuple(spans) for unit, spans in found.items()}

    def notes(self) -> Iterator[str]:
        """What is left out."""
        known, kept = self.report.simulation, self.recording
        if known is not None and known.partial:
            yield f"partial: stopped after {known.blocks_done} of {known.blocks} nodes"
        if kept is None:
            yield "nodes only: no tiles and transfers were recorded"
            return
        if kept.folds:
            yield (
                f"{len(kept.folds)} stretches were folded, since the machine's state recurred: their tiles "
                "and transfers are not shown (--no-fold runs them), their nodes are"
            )
        if kept.until is not None:
            yield (
                f"{kept.left_out:,} tiles and transfers from cycle {kept.until // self.cycle:,} on are not "
                f"shown: {kept.limit:,} were recorded; nodes are all shown"
            )

    # -- tracks ----------------------------------------------------------------------------------

    def tracks(self) -> Iterator[Track]:
        """What is to be known first, then resources, then nodes by module."""
        yield Track(RESOURCES, "about this run", _sorted(self._about()))
        yield from _lanes(RESOURCES, "host", self._launches())
        if self.recording is not None:
            yield from self._recorded(self.recording)
        modules: dict[str, list[Sequence[Bar]]] = {}
        for bars in self._nodes():
            module = ".".join(self.parts[bars[0].name].module.split(".")[:2]) or "(root)"
            modules.setdefault(module, []).append(bars)
        for module, found in modules.items():
            yield from _lanes(NODES, module, found)

    def _about(self) -> Iterator[Bar]:
        """The whole run, and what of it is not shown tile by tile."""
        notes = {f"note {i}": note for i, note in enumerate(self.notes(), start=1)}
        yield Bar(self.title, ABOUT, 0, self.end, self.totals() | notes)
        kept = self.recording
        if kept is None:
            return
        if kept.until is not None and kept.until < self.end:
            yield Bar("nodes only: recording is full", ABOUT, kept.until, self.end, {"limit": kept.limit})
        for fold in kept.folds:
            if fold.end <= self.end:
                what = "nodes" if fold.block is None else f"tiles of {self.blocks[fold.block].name}"
                about = {"periods": fold.times, "cycles": self.cycles(fold.end - fold.start)}
                yield Bar(f"folded: {what}", ABOUT, fold.start, fold.end, about)

    def _launches(self) -> list[Sequence[Bar]]:
        """What the host did, known of every node."""
        place = list(CAUSES).index("launch")
        found: list[Sequence[Bar]] = []
        for block in self.blocks:
            life = self.lived.get(block.name)
            if life is not None and block.launch_cycles:
                end = life.start_ticks + life.stalls_ticks[place]
                start = end - block.launch_cycles * self.cycle
                about = {"node": block.name, "module": block.module} | self._times(start, end)
                found.append([Bar(block.name, LAUNCH, start, end, about)])
        return found

    def _recorded(self, kept: Recording) -> Iterator[Track]:
        """Units, DRAM and channels of the DMA."""
        units: dict[str, list[Sequence[Bar]]] = {}
        known = self.report.simulation
        for use in known.resources if known is not None else ():
            if use.name not in ("dram", "scratchpad", "host"):
                units[use.name] = []
        for work in kept.worked:
            if work.unit and work.end > work.start:
                units[work.unit].append([self._work(work)])
        for share in kept.served:
            units[share.unit].append([self._share(share)])
        for unit, bars in units.items():
            yield from _lanes(RESOURCES, unit, bars)
        yield from _lanes(RESOURCES, "dram", [[self._transfer(moved)] for moved in kept.moved])
        for channel in range(kept.channels):
            held = self._held([moved for moved in kept.moved if moved.channel == channel])
            yield from _lanes(RESOURCES, f"dma channel {channel}", [[bar] for bar in held])

    def _times(self, start: int, end: int) -> dict[str, Any]:
        return {"cycle": self.cycles(start), "cycles": self.cycles(end - start)}

    def _work(self, work: Worked) -> Bar:
        block = self.blocks[work.block]
        about: dict[str, Any] = {"node": block.name, "module": block.module, "op": block.op}
        about |= {"tile": work.tile, "tiles": work.tiles} | self._times(work.start, work.end)
        if work.moved_bytes:
            about["scratchpad_bytes"] = work.moved_bytes
        for cause, lost in zip(TILE_CAUSES, work.stalls, strict=True):
            if lost:
                about[f"stall_{cause}_cycles"] = self.cycles(lost)
        return Bar(block.name, self.kinds[work.block], work.start, work.end, about)

    def _share(self, share: Served) -> Bar:
        block = self.blocks[share.block]
        about = {"node": block.name, "module": block.module, "op": block.op, "tile": share.tile}
        about |= self._times(share.start, share.end)
        return Bar(block.name, self.kinds[share.block], share.start, share.end, about)

    def _transfer(self, moved: Moved) -> Bar:
        """What the data bus of the DRAM did."""
        block, kind = self.blocks[moved.block], STORE if moved.write else LOAD
        about = {"node": block.name, "module": block.module, "tile": moved.tile, "value": moved.stream}
        about |= {"bytes": moved.size_bytes} | self._times(moved.start, moved.end)
        if moved.start > moved.ready:
            about["waited_cycles"] = self.cycles(moved.start - moved.ready)
        return Bar(f"{kind} {block.name}", kind, moved.start, moved.end, about)

    def _held(self, moves: Sequence[Moved]) -> Iterator[Bar]:
        """What one channel did: from when it took a transfer up to when all of it had arrived."""
        free = 0
        for moved in moves:
            block, kind = self.blocks[moved.block], STORE if moved.write else LOAD
            start, free = max(moved.asked, free), moved.arrived
            about = {
                "node": block.name,
                "module": block.module,
                "tile": moved.tile,
                "bytes": moved.size_bytes,
            }
            about |= self._times(start, moved.arrived)
            about["startup_cycles"] = self.cycles(moved.ready - start)
            about["dram_queue_cycles"] = self.cycles(moved.start - moved.ready)
            yield Bar(f"{kind} {block.name}", CHANNEL, start, moved.arrived, about)

    # -- nodes -----------------------------------------------------------------------------------

    def _nodes(self) -> Iterator[Sequence[Bar]]:
        """Every node that is done, and then its tiles and what it waited for in between."""
        tiles: dict[int, list[Worked]] = {}
        for work in self.recording.worked if self.recording is not None else ():
            tiles.setdefault(work.block, []).append(work)
        for index, block in enumerate(self.blocks):
            life = self.lived.get(block.name)
            if life is not None:
                part, found = self.parts[block.name], tiles.get(index, [])
                about = self._part(part) | self._times(life.start_ticks, life.end_ticks)
                if self.recording is not None and len(found) < (found[0].tiles if found else 1):
                    about["tiles_shown"] = len(found)
                bar = Bar(block.name, part.kind, life.start_ticks, life.end_ticks, about)
                yield [bar, *self._inside(block.name, found)]

    def _part(self, part: Part) -> dict[str, Any]:
        about: dict[str, Any] = {"node": part.name, "module": part.module, "op": part.op, "unit": part.unit}
        about |= {"bound_by": part.bottleneck, "macs": part.macs, "dram_bytes": part.dram_bytes}
        about["utilization"] = round(part.utilization, 4)
        for cause, lost in (part.stalls_cycles or {}).items():
            if lost:
                about[f"stall_{cause}_cycles"] = lost
        return about | ({"source": part.source} if part.source else {})

    def _inside(self, name: str, tiles: Sequence[Worked]) -> Iterator[Bar]:
        """Launch, waits and tiles of a node in order; waits longer than half a cycle."""
        life = self.lived[name]
        stalls = dict(zip(CAUSES, life.stalls_ticks, strict=True))
        if stalls["launch"]:
            end = life.start_ticks + stalls["launch"]
            yield Bar("launch", LAUNCH, life.start_ticks, end, self._times(life.start_ticks, end))
        for work in tiles:
            for cause, start, end in _waits(work):
                if 2 * (end - start) > self.cycle:
                    yield Bar(f"waits: {cause}", WAIT, start, end, self._times(start, end))
            if work.end > work.start:
                about = {"tile": work.tile} | self._times(work.start, work.end)
                yield Bar(f"tile {work.tile}", self.parts[name].kind, work.start, work.end, about)
        if tiles and stalls["drain"]:
            start = life.end_ticks - stalls["drain"]
            if start >= tiles[-1].end:
                yield Bar("waits: drain", WAIT, start, life.end_ticks, self._times(start, life.end_ticks))

    # -- counters --------------------------------------------------------------------------------

    def counters(self) -> Iterator[Counter]:
        """How many nodes ran; and of what was recorded, queues, room and the flow through the banks."""
        lives = [(life.start_ticks, life.end_ticks, 1) for life in self.lived.values()]
        yield Counter(RESOURCES, "nodes under way", "nodes", _stacked(lives))
        kept = self.recording
        if kept is None:
            return
        queue = [(moved.ready, moved.start, 1) for moved in kept.moved if moved.start > moved.ready]
        yield Counter(RESOURCES, "queue for dram", "transfers", _stacked(queue))
        waits: dict[str, list[tuple[int, int, int]]] = {}
        for work in kept.worked:
            if work.start > work.ready:
                waits.setdefault(work.unit, []).append((work.ready, work.start, 1))
        for unit in sorted(waits):
            yield Counter(RESOURCES, f"queue for {unit}", "tiles", _stacked(waits[unit]))
        size = kept.scratchpad_bytes
        taken = tuple((tick, float(used)) for tick, used in kept.levels)
        yield Counter(RESOURCES, "scratchpad taken", "bytes", taken)
        yield Counter(
            RESOURCES, "scratchpad room", "bytes", tuple((tick, size - used) for tick, used in taken)
        )
        if any(work.moved_bytes for work in kept.worked):
            yield Counter(RESOURCES, "scratchpad banks", "bytes per cycle", self._flow(kept))

    def _flow(self, kept: Recording) -> tuple[tuple[int, float], ...]:
        """Bytes a cycle that tiles and transfers move through the banks, each evenly over its time."""
        scale = 1 << 20  # whole numbers, so that what comes and goes adds up to nothing
        found = [(moved.start, moved.arrived, moved.size_bytes) for moved in kept.moved]
        found += [(work.start, work.end, work.moved_bytes) for work in kept.worked]
        rates = [(a, b, size * self.cycle * scale // (b - a)) for a, b, size in found if b > a and size]
        return tuple((tick, round(value / scale, 3)) for tick, value in _stacked(rates))


def _waits(work: Worked) -> Iterator[tuple[str, int, int]]:
    """What a tile waited for before its work, in order: cause, from, to."""
    lost = dict(zip(TILE_CAUSES, work.stalls, strict=True))
    now = work.free
    for cause in ("dependent", "dram"):
        end = min(now + lost[cause], work.ready)
        yield cause, now, end
        now = end
    yield "operand", now, work.ready
    yield "unit", work.ready, work.start


def _stacked(spans: Iterable[tuple[int, int, int]]) -> tuple[tuple[int, float], ...]:
    """The sum of the values of spans (from, to, value) over time, where it changes."""
    changes: dict[int, int] = {}
    for start, end, value in spans:
        changes[start] = changes.get(start, 0) + value
        changes[end] = changes.get(end, 0) - value
    found: list[tuple[int, float]] = []
    level = 0
    for tick in sorted(changes):
        if changes[tick]:
            level += changes[tick]
            found.append((tick, level))
    return tuple(found)


def _sorted(bars: Iterable[Bar]) -> tuple[Bar, ...]:
    return tuple(sorted(bars, key=lambda bar: (bar.start, -bar.end)))


def _lanes(group: str, name: str, families: Iterable[Sequence[Bar]]) -> Iterator[Track]:
    """Bars, each followed by those within it, on as few tracks as keep them from overlapping."""
    lanes: list[list[Bar]] = []
    free: list[int] = []
    for family in sorted(families, key=lambda bars: (bars[0].start, bars[0].end)):
        start, end = family[0].start, family[0].end
        place = next((i for i, until in enumerate(free) if until <= start), len(lanes))
        if place == len(lanes):
            lanes.append([])
            free.append(0)
        lanes[place] += family
        free[place] = end
    for i, lane in enumerate(lanes):
        yield Track(group, name if i == 0 else f"{name} ({i + 1})", tuple(lane))
