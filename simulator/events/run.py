"""The life of one block: tiles are fetched ahead, worked on in turn, and their results stored.

Fetching is asking: the DRAM answers with the time of the data, so it needs no process of its own.
The process of a run (`life`) waits for three things only: a tile's first bytes, the end of its work,
and the end of its last store.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Hashable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from siliform.arch.program import Block
from siliform.simulator.events.folding import WORTH_TILES, TileFolding
from siliform.simulator.events.nest import Nest
from siliform.simulator.events.resources import Server
from siliform.simulator.simulation import CAUSES

if TYPE_CHECKING:
    from siliform.simulator.events.engine import Engine

#: Places in `Run.stalls`, in the order of `CAUSES`.
DEPENDENT, DRAM, OPERAND, UNIT, BANK, DRAIN, LAUNCH = range(len(CAUSES))

#: A tile's transfer: when it was asked for, began, had its first bytes in, had all in; and its bytes.
Arrival = tuple[int, int, int, int, int]
#: Streams by their place in a nest, with the bytes that come with each tile.
Streams = list[tuple[int, list[int]]]


class Run:
    """One block on its way through the machine.

    Attributes
    ----------
    index : of the block in the program.
    started : whether everything that it depends on is done.
    ready : whether it may fetch all it needs: started, and launched where a host does that; before, what was
        there before the program ran may be fetched.
    fetched : whether all tiles were asked for.
    room_bytes : of the scratchpad that a tile takes.
    stalls : ticks lost to each of CAUSES.
    began, ended : when it was launched or its first tile found room, and when its last result was out; real
        ticks, folded stretches included.
    """

    __slots__ = (
        "_ahead", "_all", "_arrivals", "_awaited", "_buffers", "_busy", "_commands", "_compute", "_done",
        "_duration", "_early", "_fetched", "_held", "_lead", "_leader", "_leading", "_move", "_others",
        "_ports", "_rest", "_stored", "_stores", "_tiles", "_total", "_touched", "began", "block", "ended",
        "engine", "fetched", "index", "nest", "offsets", "places", "ready", "room_bytes", "stalls", "started",
    )  # fmt: skip

    def __init__(self, engine: Engine, index: int, block: Block, nest: Nest) -> None:
        self.engine, self.index, self.block, self.nest = engine, index, block, nest
        self.started = self.ready = False
        self.began = self.ended = -1
        self.stalls = [0] * len(CAUSES)
        self.room_bytes = engine.tile_room_bytes(block, nest)
        streams = nest.reads if nest.writes is None else (*nest.reads, nest.writes)
        self.places = [engine.place(stream, block) for stream in streams]
        self.offsets = [0] * len(streams)
        self._tiles, self._buffers, self._lead = nest.tiles, nest.buffers, nest.lead_bytes
        self._compute, self._total = nest.compute_ticks, max(nest.total_ticks, 1)
        self._stores = nest.writes.sizes if nest.writes else [0] * nest.tiles
        shares = [(engine.servers[name], ticks) for name, ticks in nest.shares]
        # A block that only moves bytes through the DMA occupies no unit.
        (self._leader, self._leading), *self._others = shares or [(Server(""), 0)]
        self._all = [(place, stream.sizes) for place, stream in enumerate(nest.reads)]
        self._ahead = [pair for pair in self._all if nest.reads[pair[0]].early]
        self._rest = [pair for pair in self._all if not nest.reads[pair[0]].early]
        self._commands = nest.command_bytes
        self._arrivals: deque[Arrival] = deque()
        self._early: deque[Arrival] = deque()
        self._fetched = self._done = self._held = 0
        self.fetched = False
        self._stored = 0  # when the last store ends
        self._ports = engine.ports
        #: As `Engine.transfer`; where nobody asks which transfer it was, without that detour.
        self._move = engine.transfers.move if engine.direct else partial(engine.transfer, self)
        #: Of the last tile: ticks of its work and of its leader's share, bytes that units touched for it.
        self._duration, self._busy, self._touched = -1, 0, 0
        self._awaited: Any = None

    # -- fetching --------------------------------------------------------------------------------

    def fetch(self, now: int) -> None:
        """Ask for further tiles, as long as there are buffers and room for them."""
        room, size, tile = self.engine.room, self.room_bytes, self._fetched
        limit, streams, asked = self._tiles, self._all, self._arrivals
        if not self.ready:  # one tile ahead: a second one's weights would delay what else the first needs
            limit, streams, asked = not (self.started or self.block.launch_cycles), self._ahead, self._early
        while tile < limit and self._held < self._buffers and room.free >= size:
            room.free -= size
            self._held += 1
            asked.append(self._asked(now, tile, streams))
            tile += 1
        self._fetched = tile
        self.fetched = tile == self._tiles
        if self._awaited is not None and self._arrivals:
            self._awaited.succeed()
            self._awaited = None

    def _asked(self, now: int, tile: int, streams: Streams) -> Arrival:
        """Ask for what these streams bring with a tile."""
        move, lead = self._move, self._lead
        begun = done = now
        size = 0
        if self._commands and streams is not self._rest:
            self.engine.transfers.command(now, self._commands[tile])
        for place, sizes in streams:
            part = sizes[tile]
            if part:
                _, start, _, done = move(now, part, False, place, tile)
                if not size:
                    begun = start
                size += part
        head = done if size <= lead else begun + (done - begun) * lead // size
        return now, begun, head, done, size

    def _complete(self, now: int) -> None:
        """What was fetched ahead gets the rest of its operands, behind whatever was asked for before."""
        self.ready = True
        for tile, (asked, begun, head, done, size) in enumerate(self._early):
            _, start, first, last, more = self._asked(now, tile, self._rest)
            if more:
                asked, begun, head, done = now, start, max(head, first), max(done, last)
            self._arrivals.append((asked, begun, head, done, size + more))
        self._early.clear()

    # -- living ----------------------------------------------------------------------------------

    def life(self) -> Generator[Any, Any, None]:
        """The process: one tile after the other, then the last store."""
        engine, arrivals, room, recorder = self.engine, self._arrivals, self.engine.room, self.engine.recorder
        env, timeout, work, move = engine.env, engine.env.timeout, self._work, self._move
        hungry, tiles, stores, trail = engine.hungry, self._tiles, self._stores, self.nest.trail_bytes
        out, per_byte = len(self.nest.reads), engine.clock.ticks_per_byte
        folding = TileFolding(self) if engine.setting.fold and tiles >= WORTH_TILES else None
        now = free = yield from self._begin()
        while self._done < tiles:
            tile = self._done if folding is None else folding.skip(self._done)
            if not arrivals:
                self._awaited = env.event()
                yield self._awaited
                now = env.now
            if self.began < 0:
                self.began, free = engine.real(now), now
            arrival = arrivals.popleft()
            if arrival[2] > free:
                self._operand_stall(free, arrival)
                if arrival[2] > now:
                    yield timeout(arrival[2] - now)
                    now = arrival[2]
            ready = now
            start, end = work(now, tile, arrival)
            stored = stores[tile]
            if stored > trail:  # the first results leave while the last are made
                now = end - (stored - trail) * per_byte
                if now < start:
                    now = start
                yield timeout(now - ready)
                left = move(now, stored - trail, True, out, tile)[3]
                if left > self._stored:
                    self._stored = left
                stored = trail
            yield timeout(end - now)
            if recorder is not None:
                recorder.worked(self, tile, free, ready, start, end)
            now = free = end
            engine.tiles += 1
            self._done = tile + 1
            self._held -= 1
            room.free += self.room_bytes
            if stored:
                left = move(now, stored, True, out, tile)[3]
                if left > self._stored:
                    self._stored = left
            if len(hungry) == 1 and hungry[0] is self and recorder is None:
                self.fetch(now)  # as `feed` would, with nobody else to ask
            elif hungry or recorder is not None:
                engine.feed()
        yield from self._end(now)

    def _begin(self) -> Generator[Any, Any, int]:
        """Launched where a host does that, it may fetch all it needs: when."""
        if self.block.launch_cycles:
            self.began = self.engine.real(self.engine.env.now)
            yield self.engine.env.timeout(self._launched())
        now = self.engine.env.now
        self._complete(now)
        self.engine.feed()
        return now

    def _end(self, now: int) -> Generator[Any, Any, None]:
        """Once the last result is out: units are clocked, whoever comes next begins with a whole cycle."""
        engine = self.engine
        left = engine.whole_cycle(max(self._stored, now)) - now
        if left:
            self.stalls[DRAIN] += left
            yield engine.env.timeout(left)
        self.ended = engine.real(engine.env.now)
        engine.finished(self)

    def _work(self, now: int, tile: int, arrival: Arrival) -> tuple[int, int]:
        """Give a tile whose first bytes are there to its units: when they start on it, when all are done."""
        leader, ports = self._leader, self._ports
        start = now
        if leader.free_at > now:
            start = leader.free_at
            self.stalls[UNIT] += start - now
            leader.waited_ticks += start - now
        duration = self._compute[tile]
        if duration != self._duration:  # most tiles last as long as the one before
            self._duration = duration
            self._busy = duration * self._leading // self._total
            self._touched = self.block.unit_bytes * duration // self._total
        end = start + duration
        _, _, _, done, size = arrival
        if done > start and size:
            # The last bytes need their own share of the work after they came.
            late = done + (duration if self._lead >= size else duration * self._lead // size)
            if late > end:
                self.stalls[OPERAND] += late - end
                end = late
        if ports is not None:
            ports.unit_bytes += self._touched
            if ports.contended:
                squeezed = ports.flow(now, start, end, self._touched)
                self.stalls[BANK] += squeezed - end
                end = squeezed
        for server, ticks in self._others:
            end = self._beside(server, start, duration * ticks // self._total, end)
        leader.busy_ticks += self._busy
        leader.free_at = end
        return start, end

    def _launched(self) -> int:
        """Ticks until the host has launched it; launches follow one another."""
        engine = self.engine
        now, host = engine.env.now, engine.host
        cost = self.block.launch_cycles * engine.clock.ticks_per_cycle
        start = max(now, host.free_at)
        host.free_at = start + cost
        host.busy_ticks += cost
        host.waited_ticks += start - now
        self.stalls[LAUNCH] += start + cost - now
        return start + cost - now

    def _beside(self, server: Server, start: int, share: int, end: int) -> int:
        """Let another unit do its share of a tile beside the leading one: when both are done."""
        begun = server.free_at if server.free_at > start else start
        server.waited_ticks += begun - start
        server.busy_ticks += share
        server.free_at = begun + share
        if self.engine.recorder is not None:
            self.engine.recorder.served(self, server.name, self._done, begun, begun + share)
        if server.free_at > end:
            self.stalls[UNIT] += server.free_at - end
            return server.free_at
        return end

    def _operand_stall(self, free: int, arrival: Arrival) -> None:
        """Split a wait for first bytes: for room to ask in, in the queue for DRAM, for the data."""
        stalls = self.stalls
        asked, begun, head, _, _ = arrival
        first = asked if asked > free else free
        then = min(max(begun, first), head)
        stalls[DEPENDENT] += first - free
        stalls[DRAM] += then - first
        stalls[OPERAND] += head - then

    def advance(self, tiles: int, offsets: Sequence[int]) -> None:
        """Pass over tiles that were folded, and over the bytes of each stream that came with them."""
        self._fetched += tiles
        self._done += tiles
        for place, forward in enumerate(offsets):
            self.offsets[place] += forward
        moved = zip(self.places, offsets, range(len(offsets)), strict=True)
        self.engine.moved_on({s: by for (s, _), by, place in moved if by % self.pass_bytes(place)})

    def pass_bytes(self, place: int) -> int:
        """Bytes after which a stream begins anew."""
        reads, writes = self.nest.reads, self.nest.writes
        return reads[place].pass_bytes if place < len(reads) else writes.pass_bytes if writes else 1

    def relabel(self, index: int, block: Block) -> None:
        """Stand for a later block of the same shape, those between being folded."""
        self.index, self.block = index, block

    def state(self, now: int) -> Hashable:
        """What decides its future beyond the tile it is at, relative to now."""
        return (
            self.started, tuple((max(a - now, 0), max(b - now, 0), max(h - now, 0), max(d - now, 0), s)
                  for a, b, h, d, s in (*self._arrivals, *self._early)),
            self._fetched - self._done, self._held, max(self._stored - now, 0),
        )  # fmt: skip
