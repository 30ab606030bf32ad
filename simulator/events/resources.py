"""Who serves tiles and transfers. Each gives out times first come, first served, in whole ticks.

A request is answered at once with when it begins and when it ends, because nobody who comes later
can change that; so a tile costs one or two events and not one for each resource that it touches.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable


class Server:
    """One after the other: a unit, or the host that launches kernels.

    Attributes
    ----------
    free_at : when whoever came last is done.
    busy, waited : ticks that it served, and that its customers waited for it.
    """

    __slots__ = ("busy", "free_at", "name", "waited")

    def __init__(self, name: str) -> None:
        self.name = name
        self.free_at = 0
        self.busy = 0
        self.waited = 0


class Queue:
    """How many wait for a resource: the starts that lie ahead."""

    __slots__ = ("_starts", "deepest")

    def __init__(self) -> None:
        self._starts: deque[int] = deque()
        self.deepest = 0

    def join(self, now: int, start: int) -> None:
        """One more that came `now` and is served from `start` on."""
        starts = self._starts
        while starts and starts[0] <= now:
            starts.popleft()
        if start > now:
            starts.append(start)
            if len(starts) > self.deepest:
                self.deepest = len(starts)

    def state(self, now: int) -> Hashable:
        """Who still waits, relative to now."""
        return tuple(start - now for start in self._starts if start > now)


class Channels:
    """The DMA's channels: so many transfers are in flight, each `startup` ticks ahead of its data.

    The startup of one hides behind the data of another, where there are several channels.
    """

    __slots__ = ("_ends", "_last", "count", "startup")

    def __init__(self, count: int, startup: int) -> None:
        self._ends: deque[int] = deque([0] * count, maxlen=count)
        self._last = 0
        self.count = count
        self.startup = startup

    def request(self, now: int) -> int:
        """When the data of a transfer asked for now may flow: a channel is free and the startup over."""
        free = self._ends[0]  # transfers end in the order in which they began
        ready = (now if now > free else free) + self.startup
        if ready > self._last:
            self._last = ready
        return self._last

    def until(self, end: int) -> None:
        """The transfer that was requested last ends then."""
        self._ends.append(end)

    def state(self, now: int) -> Hashable:
        """Times ahead, relative to now."""
        return (*(max(end - now, 0) for end in self._ends), max(self._last - now, 0))


#: Rates in `Ports` are whole multiples of a byte a cycle over this.
RATE_SCALE = 1 << 20


class Ports:
    """The banks of a scratchpad, each serving a word a cycle: flows of bytes share their bandwidth.

    A flow that comes gets what those before it leave. Banks are taken to be interleaved word by word,
    so that only the sum of all flows matters and not which bank a word is in.
    """

    __slots__ = ("_capacity", "_flows", "_scale", "moved_bytes", "waited")

    def __init__(self, bytes_per_cycle: int, ticks_per_cycle: int) -> None:
        self._scale = RATE_SCALE * ticks_per_cycle  # a byte in a tick
        self._capacity = bytes_per_cycle * RATE_SCALE
        self._flows: list[tuple[int, int]] = []  # end, rate
        self.moved_bytes = 0
        self.waited = 0

    def flow(self, start: int, end: int, size: int) -> int:
        """When `size` bytes that would flow evenly from `start` to `end` have flowed; `end` or later."""
        self.moved_bytes += size
        rate = size * self._scale // max(end - start, 1)
        flows = self._flows
        taken = 0
        if flows:
            flows[:] = [flow for flow in flows if flow[0] > start]
            taken = sum(flow[1] for flow in flows)
        if rate + taken > self._capacity:
            end = self._squeezed(start, end, size, rate)
            rate = size * self._scale // max(end - start, 1)
        if rate:
            flows.append((end, rate))
        return end

    def _squeezed(self, start: int, end: int, size: int, rate: int) -> int:
        """Fill the bandwidth that is left as the flows before run out."""
        left, now = size * self._scale, start
        waits = sorted(self._flows)
        taken = sum(flow[1] for flow in waits)
        for until, other in waits:
            given = min(rate, max(self._capacity - taken, 0))
            if given and left <= given * (until - now):
                break
            left -= given * (until - now)
            now, taken = until, taken - other
        given = max(min(rate, self._capacity - taken), 1)
        late = max(now - (-left // given), end)
        self.waited += late - end
        return late

    def state(self, now: int) -> Hashable:
        """Flows that are on, relative to now."""
        return tuple((end - now, rate) for end, rate in self._flows if end > now)


class Room:
    """Bytes of the scratchpad that tiles may take."""

    __slots__ = ("free", "total")

    def __init__(self, total: int) -> None:
        self.total = total
        self.free = total
