"""Who serves tiles and transfers. Each gives out times first come, first served, in whole ticks.

A request is answered at once with when it begins and when it ends, because nobody who comes later
can change that; so a tile costs one or two events and not one for each resource that it touches.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Hashable, Mapping
from heapq import heapreplace

from siliform.simulator.dram.bulk import DramModel

#: Stream of the commands; assumption: all in one place, so that they find or open the same row.
COMMANDS = 1 << 20


class Server:
    """One after the other: a unit, or the host that launches kernels.

    Attributes
    ----------
    free_at : when whoever came last is done.
    busy_ticks, waited_ticks : that it served, and that its customers waited for it.
    """

    __slots__ = ("busy_ticks", "free_at", "name", "waited_ticks")

    def __init__(self, name: str) -> None:
        self.name = name
        self.free_at = 0
        self.busy_ticks = 0
        self.waited_ticks = 0


class Transfers:
    """DRAM behind the DMA's channels: so many transfers are in flight, each asked for `startup_ticks` ahead.

    The startup of one hides behind the data of another, where there are several channels. DRAM serves
    them in the order in which they were asked for.

    Attributes
    ----------
    served : transfers so far.
    busy_ticks, waited_ticks : of data, and of transfers that were ready waiting for those before them.
    deepest : most that waited at once.
    """

    __slots__ = (
        "_ends", "_serve", "_starts", "busy_ticks", "deepest", "dram", "ports", "served",
        "startup_ticks", "waited_ticks",
    )  # fmt: skip

    def __init__(self, dram: DramModel, count: int, startup_ticks: int, ports: Ports | None = None) -> None:
        self.dram, self.ports, self.startup_ticks = dram, ports, startup_ticks
        self._serve = dram.transfer
        self._ends = [0] * count  # of the channels, a heap: banks may hold a transfer up past later ones
        self._starts: deque[int] = deque()  # of those that wait
        self.served = self.busy_ticks = self.waited_ticks = self.deepest = 0

    @property
    def channels(self) -> int:
        """How many transfers may be in flight."""
        return len(self._ends)

    def move(
        self, now: int, size: int, write: bool, stream: int = 0, address: int = 0
    ) -> tuple[int, int, int, int]:
        """Move so many bytes, `now` never before that of the call before.

        When a channel is free and the startup over; when the data begin and end to flow; and when the
        scratchpad's banks have let them all through, until when the channel is held.
        """
        ends, ports = self._ends, self.ports
        free = ends[0]
        ready = (now if now > free else free) + self.startup_ticks
        start, end = self._serve(ready, stream, address, size, write)
        self.served += 1
        self.busy_ticks += end - start
        if start > ready:
            self.waited_ticks += start - ready
            self._join(ready, start)
        arrived = ports.flow(now, start, end, size) if ports is not None and ports.contended else end
        heapreplace(ends, arrived)
        return ready, start, end, arrived

    def _join(self, ready: int, start: int) -> None:
        """One more that waits."""
        starts = self._starts
        while starts and starts[0] <= ready:
            starts.popleft()
        starts.append(start)
        if len(starts) > self.deepest:
            self.deepest = len(starts)

    def command(self, now: int, size: int) -> None:
        """Fetch commands: they take DRAM's time, and queues of them hide how long one is under way."""
        self._serve(now, COMMANDS, 0, size, False)

    def state(self, now: int, bases: Mapping[int, int]) -> Hashable:
        """All that decides the future, relative to now."""
        return (
            tuple(sorted([end - now if end > now else 0 for end in self._ends])),
            tuple([start - now for start in self._starts if start > now]),
            self.dram.state(now, bases),
        )


#: assumption: rates in `Ports` are whole multiples of a byte a cycle over this: 2**20 cycles lose a byte.
RATE_SCALE = 1 << 20


#: Later than anything happens.
NEVER = 1 << 200


class Ports:
    """The banks of a scratchpad, each serving a word a cycle: flows of bytes share their bandwidth.

    A flow that comes gets what those before it leave, moment by moment. Banks are taken to be
    interleaved word by word, so that only the sum of all flows matters and not which bank a word is in.

    While all that may flow at once (`expect`) fits, nobody needs to be followed: `contended` is false,
    and flows that began then are not seen by those that come in a contended time.

    Attributes
    ----------
    unit_bytes : that units read and wrote.
    waited_ticks : that flows took longer than they would have alone.
    """

    __slots__ = (
        "_capacity", "_expected", "_scale", "_taken", "_times", "contended", "unit_bytes", "waited_ticks",
    )  # fmt: skip

    def __init__(self, bytes_per_cycle: int, ticks_per_cycle: int) -> None:
        self._scale = RATE_SCALE * ticks_per_cycle  # a byte in a tick
        self._capacity = bytes_per_cycle * RATE_SCALE
        #: From each of these times to the next so much of the rate is taken; none from the last one on.
        self._times, self._taken = [0], [0]
        self._expected = 0
        self.contended = False
        self.unit_bytes = 0
        self.waited_ticks = 0

    def expect(self, size: int, duration: int) -> None:
        """Flows of such a rate may come from now on; of a negative size: no longer."""
        rate = abs(size) * self._scale // (duration or 1)
        self._expected += rate if size > 0 else -rate
        self.contended = self._expected > self._capacity

    def flow(self, now: int, start: int, end: int, size: int) -> int:
        """When `size` bytes that would flow evenly from `start` to `end` have flowed; `end` or later."""
        alone = end - start or 1
        rate = size * self._scale // alone
        if not rate:
            return end
        self._forget(now)
        times, taken = self._times, self._taken
        left, at, place = rate * alone, start, self._cut(start)
        while True:
            given = min(rate, self._capacity - taken[place])
            over = times[place + 1] if place + 1 < len(times) else NEVER
            if given and left <= given * (over - at):
                break
            left -= given * (over - at)
            taken[place] += given
            at, place = over, place + 1
        last = at - (-left // given)
        self._cut(last)
        taken[place] += given
        late = max(last, end)
        self.waited_ticks += late - end
        return late

    def _forget(self, now: int) -> None:
        """Leave out what is over."""
        over = bisect_right(self._times, now) - 1
        if over > 0:
            del self._times[:over], self._taken[:over]

    def _cut(self, time: int) -> int:
        """Let a stretch of the same rates begin at a time: its place."""
        place = bisect_left(self._times, time)
        if place == len(self._times) or self._times[place] != time:
            self._times.insert(place, time)
            self._taken.insert(place, self._taken[place - 1])
        return place

    def state(self, now: int) -> Hashable:
        """What is taken from now on, relative to now."""
        self._forget(now)
        stretches = zip(self._times, self._taken, strict=True)
        return tuple((max(time - now, 0), taken) for time, taken in stretches)


class Room:
    """Bytes of the scratchpad that tiles may take."""

    __slots__ = ("free", "total")

    def __init__(self, total: int) -> None:
        self.total = total
        self.free = total
