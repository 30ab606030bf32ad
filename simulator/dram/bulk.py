"""What a simulation asks of a DRAM: whole runs of bytes, first come, first served.

Times are whole ticks of the caller's choice. A transfer returns when its first data are on the bus and when
its last have been; in between they come evenly. Two models: `PlainDram` knows a bandwidth only, `BankedDram`
channels, banks, open rows and refresh, exactly as `bursts.BurstDram` does burst by burst.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import astuple
from fractions import Fraction
from math import ceil
from typing import Literal, Protocol

import numpy as np

from siliform.arch.dram import DramTiming
from siliform.simulator.dram.ticks import LOOK_AHEAD_BURSTS, DramTicks

NEVER = 1 << 62  # ticks: no refresh is ever due


class DramModel(Protocol):
    """A DRAM that reserves time for transfers. Calls come with `now` never decreasing."""

    def transfer(self, now: int, stream: int, address: int, size: int, write: bool) -> tuple[int, int]:
        """Reserve the DRAM for `size` consecutive bytes from `address` on: when the data begin and end.

        `stream` names the array that is read or written: it tells `state` which addresses move together.
        """

    def transfer_rows(
        self, now: int, stream: int, address: int, size: int, rows: int, stride: int, write: bool
    ) -> tuple[int, int]:
        """The same for `rows` runs of `size` bytes, `stride` bytes apart: a tile of a matrix."""

    def state(self, now: int, bases: Mapping[int, int]) -> Hashable:
        """Everything that decides the future, relative to `now`, addresses relative to each stream's base.

        Equal states answer the same transfers, moved in time and with each stream moved as its base is,
        alike. `bases` names every stream that will be asked for again.
        """

    @property
    def free_at(self) -> int:
        """When the last data reserved so far have passed."""

    def move(self, moves: Mapping[int, int]) -> None:
        """Go on as if each of these streams had been served so many bytes further on, at the same times.

        For a caller that leaves out periods of equal `state`: open rows follow the bases that moved.
        """

    def opened(self) -> Iterable[int]:
        """The streams that have a row open."""

    @property
    def page_bytes(self) -> int:
        """Bytes of a row of a bank, on all the chips of a channel; 1 where rows are not known."""

    def counts(self) -> Mapping[str, int]:
        """What has happened so far: `read_bytes`, `written_bytes` and what else the model knows."""


class PlainDram:
    """Bandwidth alone: one transfer after another, each byte `ticks_per_byte`."""

    def __init__(self, ticks_per_byte: int) -> None:
        if ticks_per_byte < 1:
            raise ValueError(f"{ticks_per_byte} ticks a byte: give a whole number from 1 on")
        self._ticks_per_byte = ticks_per_byte
        self._free_at = 0
        self._bytes = [0, 0]

    def transfer(self, now: int, stream: int, address: int, size: int, write: bool) -> tuple[int, int]:
        """See `DramModel`; streams and addresses play no part."""
        start = now if now > self._free_at else self._free_at
        self._free_at = start + size * self._ticks_per_byte
        self._bytes[write] += size
        return start, self._free_at

    def transfer_rows(
        self, now: int, stream: int, address: int, size: int, rows: int, stride: int, write: bool
    ) -> tuple[int, int]:
        """See `DramModel`."""
        return self.transfer(now, stream, address, rows * size, write)

    def state(self, now: int, bases: Mapping[int, int]) -> Hashable:
        """How long the DRAM stays busy."""
        return max(self._free_at - now, 0)

    def move(self, moves: Mapping[int, int]) -> None:
        """See `DramModel`; nothing depends on addresses."""

    def opened(self) -> Iterable[int]:
        """See `DramModel`: none."""
        return ()

    @property
    def page_bytes(self) -> int:
        """See `DramModel`."""
        return 1

    @property
    def free_at(self) -> int:
        """See `DramModel`."""
        return self._free_at

    def counts(self) -> Mapping[str, int]:
        """Bytes only: rows and refreshes are not known here."""
        return {"read_bytes": self._bytes[False], "written_bytes": self._bytes[True]}


class BankedDram:
    """Channels, banks, open rows and refresh; see `bursts` for the rules, which this follows exactly.

    Parameters
    ----------
    timing : of the part, all channels counted.
    ticks_per_ns : how fine a tick is; times round up to whole ticks.
    refresh : "phased" stops all banks each tREFI for tRFC, as the part does; then a state recurs only with
        the same refresh phase. "spread" makes every time longer by the share that refresh takes of a stream,
        so that states recur after a few transfers.
    look_ahead_bursts : how far row commands run ahead.

    Unlike `bursts`, a row counts as open for the stream that opened it only, so that a state does not depend
    on how far apart two streams lie: where two share a page, this model opens its rows once more.
    """

    def __init__(
        self,
        timing: DramTiming,
        ticks_per_ns: Fraction | int,
        *,
        refresh: Literal["phased", "spread"] = "phased",
        look_ahead_bursts: int = LOOK_AHEAD_BURSTS,
    ) -> None:
        from siliform.simulator.dram import segments  # numba waits until banks are asked for

        if refresh not in ("phased", "spread"):
            raise ValueError(f"refresh {refresh!r}: give 'phased' or 'spread'")
        self._kernel = segments
        self.ticks = DramTicks.of(timing, ticks_per_ns, look_ahead_bursts)
        self._phased = refresh == "phased"
        self._numbers = _numbers(self.ticks, self._phased, segments.FINE_BITS)
        banks = segments.GROUP_STATE + segments.GROUP_FIELDS * self.ticks.groups
        width = banks + segments.BANK_FIELDS * self.ticks.groups * self.ticks.group_banks
        self._banks = banks
        self._channels = np.zeros((self.ticks.channels, width), np.int64)
        self._channels[:, segments.DUE] = self.ticks.refresh_every if self._phased else NEVER
        self._channels[:, banks :: segments.BANK_FIELDS] = -1
        self._now = self._free_at = 0
        self._bytes = [0, 0]

    def transfer(self, now: int, stream: int, address: int, size: int, write: bool) -> tuple[int, int]:
        """See `DramModel`. ValueError for no bytes, a negative address or stream, or a time in the past."""
        return self.transfer_rows(now, stream, address, size, 1, 0, write)

    def transfer_rows(
        self, now: int, stream: int, address: int, size: int, rows: int, stride: int, write: bool
    ) -> tuple[int, int]:
        """See `DramModel`."""
        if now < self._now or size < 1 or rows < 1 or address < 0 or stream < 0 or stride < 0:
            raise ValueError(
                f"{rows} runs of {size} bytes, {stride} apart, at {address} of stream {stream}, asked for at "
                f"{now} after {self._now}: counts above zero, addresses from 0, times in order"
            )
        self._now = now
        start, end = self._kernel.advance(
            self._channels, self._numbers, now, stream, address, size, rows, stride, 1 if write else 0
        )
        self._bytes[write] += rows * size
        if end > self._free_at:
            self._free_at = end
        return start, end

    def state(self, now: int, bases: Mapping[int, int]) -> Hashable:
        """See `DramModel`: times left, refresh phase, and each open page relative to its stream's base."""
        kernel, fields = self._kernel, self._kernel.BANK_FIELDS
        if self._phased:
            kernel.refresh_until(self._channels, self._numbers, now)
        times = np.maximum(self._channels[:, kernel.COUNTERS :] - now, 0)
        times[:, kernel.DUE - kernel.COUNTERS] *= self._phased
        pages = self._channels[:, self._banks :: fields].copy()
        streams = self._channels[:, self._banks + 1 :: fields].copy()
        unknown = opened = pages >= 0
        page_bytes, group_banks = self.ticks.page_bytes, self.ticks.group_banks
        channels, round_bytes = self.ticks.channels, self.ticks.channels * self.ticks.burst_bytes
        origin = bases[min(bases)] if bases else 0
        for stream, base in bases.items():
            mine = opened & (streams == stream)
            pages[mine] -= base // page_bytes
            unknown = unknown & ~mine
        streams[unknown], pages[unknown] = -1, 0  # nobody will find them open
        streams[~opened], pages[~opened] = -2, 0
        times[:, self._banks - kernel.COUNTERS :: fields] = pages
        times[:, self._banks + 1 - kernel.COUNTERS :: fields] = streams
        # Banks and channels are counted from the first stream's: moving all streams by one page turns the
        # banks round, and by one round of the channels the channels.
        times = np.roll(times, -(origin // round_bytes % channels), axis=0)
        banks = times[:, self._banks - kernel.COUNTERS :]
        turned = np.roll(
            banks.reshape(channels, self.ticks.groups, group_banks, fields),
            -(origin // page_bytes % group_banks),
            axis=2,
        )
        alignment = tuple(
            (
                stream,
                base % page_bytes,
                (base // page_bytes - origin // page_bytes) % group_banks,
                (base // round_bytes - origin // round_bytes) % channels,
            )
            for stream, base in sorted(bases.items())
        )
        return alignment, times[:, : self._banks - kernel.COUNTERS].tobytes(), turned.tobytes()

    def move(self, moves: Mapping[int, int]) -> None:
        """See `DramModel`. ValueError for moves that `state` tells: streams turn banks and channels alike."""
        if not moves:
            return
        t, kernel = self.ticks, self._kernel
        pages = {stream: move // t.page_bytes for stream, move in moves.items()}
        turn = pages[min(pages)]
        for stream, move in moves.items():
            apart = pages[stream] - turn
            if move % t.page_bytes or apart % t.group_banks or apart * t.page_bursts % t.channels:
                raise ValueError(
                    f"moves {dict(moves)}: not whole pages that turn all banks and channels alike"
                )
        opened = self._channels[:, self._banks :: kernel.BANK_FIELDS]
        streams = self._channels[:, self._banks + 1 :: kernel.BANK_FIELDS]
        for stream, by in pages.items():
            opened += by * ((streams == stream) & (opened >= 0))
        banks = self._channels[:, self._banks :]
        shape = (t.channels, t.groups, t.group_banks, kernel.BANK_FIELDS)
        banks[:] = np.roll(banks.reshape(shape), turn % t.group_banks, axis=2).reshape(banks.shape)
        now = self._channels[:, kernel.COUNTERS :]
        now[:] = np.roll(now, turn * t.page_bursts % t.channels, axis=0)

    def opened(self) -> Iterable[int]:
        """See `DramModel`."""
        banks = self._channels[:, self._banks :]
        fields = self._kernel.BANK_FIELDS
        found: list[int] = np.unique(banks[:, 1::fields][banks[:, ::fields] >= 0]).tolist()
        return found

    @property
    def page_bytes(self) -> int:
        """See `DramModel`."""
        return self.ticks.page_bytes

    @property
    def free_at(self) -> int:
        """See `DramModel`."""
        return self._free_at

    def counts(self) -> Mapping[str, int]:
        """Bursts that found their row open and that did not, refreshes of a channel, and bytes asked for."""
        kernel = self._kernel
        hits, misses, refreshes = (
            int(self._channels[:, counter].sum())
            for counter in (kernel.HITS, kernel.MISSES, kernel.REFRESHES)
        )
        return {
            "row_hits": hits,
            "row_misses": misses,
            "refreshes": refreshes,
            "read_bytes": self._bytes[False],
            "written_bytes": self._bytes[True],
        }


def _numbers(ticks: DramTicks, phased: bool, fine_bits: int) -> np.ndarray:
    """The ticks as the kernel takes them; where refresh is spread, with every time that much longer."""
    values = list(astuple(ticks))
    column = Fraction(ticks.column)
    if not phased:
        lost = ticks.precharge + ticks.refresh + ticks.open
        longer = Fraction(ticks.refresh_every, ticks.refresh_every - lost)
        column *= longer
        first_time = 5  # the fields before count things
        values[first_time:] = [ceil(value * longer) for value in values[first_time:]]
    return np.array([*values, ceil(column * 2**fine_bits)], np.int64)
