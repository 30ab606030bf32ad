"""The reference: every burst by itself, in the plainest Python. What the bulk model and the laws are held to.

Addresses. Consecutive bursts go round the channels, then round the bank groups of a channel, then along the
columns of a row, then to the next bank of each group, then to the next row. Each round of the channels begins
one channel on, so that the rows of a matrix do not all begin on the same one::

    burst   = address // burst_bytes       rest = burst // channels
    channel = (burst + rest) % channels
    group   = rest % groups                rest = rest // groups
    column  = rest % columns               page = rest // columns
    bank    = page % banks of a group      row  = page // banks of a group

A page is thus one row in each bank group of each channel. It stays open until another page of the same bank
is wanted, or a refresh comes.

Order. Each channel serves its bursts first come, first served: column commands go in that order, and so do
the commands that open rows. Rows open ahead of their turn, behind the data of the bursts before, but not
before the request has come and not more than `ahead` before the last column command. A row is opened as late
as it is wanted, a bank precharged as late.

Refresh. Every `refresh_every` ticks, of all banks of a channel and of all channels at once. A burst whose
column command cannot go before the refresh is due waits for it, and its row is opened anew. The refresh waits
until the rows open then may be closed, precharges all banks (also where none is open) and takes `refresh`
ticks.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from siliform.simulator.dram.ticks import DramTicks


@dataclass
class _Row:
    """An open row: which, and from when it may be closed."""

    page: int
    closable: int


@dataclass
class _Channel:
    """One channel: what it did last, from which follows what it may do when."""

    ticks: DramTicks
    due: int  # when the next refresh is
    rows: dict[tuple[int, int], _Row] = field(default_factory=dict)  # by group and bank
    columns: dict[tuple[int, bool], int] = field(default_factory=dict)  # last command by group and direction
    opened: list[tuple[int, int]] = field(default_factory=list)  # when and in which group, the last four
    refreshed: int = 0  # when the last refresh ended
    hits: int = 0
    misses: int = 0
    refreshes: int = 0

    def burst(self, now: int, rest: int, write: bool) -> tuple[int, int]:
        """Serve burst number `rest` of this channel, asked for at `now`; when its data begin and end."""
        group, page = rest % self.ticks.groups, rest // self.ticks.page_bursts
        place = group, page % self.ticks.group_banks
        while True:
            opens, column = self._plan(now, place, page, write)
            if column < self.due:
                break
            self._refresh()
        if opens is None:
            self.hits += 1
        else:
            self.misses += 1
            self.rows[place] = _Row(page, opens + self.ticks.keep)
            self.opened = [*self.opened[-3:], (opens, group)]
        self.columns[group, write] = column
        after = self.ticks.write_to_precharge if write else self.ticks.read_to_precharge
        self.rows[place].closable = max(self.rows[place].closable, column + after)
        data = column + (self.ticks.write if write else self.ticks.read)
        return data, data + self.ticks.burst

    def _plan(self, now: int, place: tuple[int, int], page: int, write: bool) -> tuple[int | None, int]:
        """When the row is opened (None where it is open) and when the column command goes."""
        soonest = max([now] + [last - self.ticks.ahead for last in self.columns.values()])
        column = max(soonest, self._column(place[0], write))
        row = self.rows.get(place)
        if row is not None and row.page == page:
            return None, column
        opens = max(soonest, self.refreshed)
        if row is not None:
            opens = max(soonest, row.closable) + self.ticks.precharge
        opens = max(opens, self._next_row(place[0]))
        return opens, max(column, opens + self.ticks.open)

    def _column(self, group: int, write: bool) -> int:
        """The earliest column command after the ones before."""
        earliest = 0
        for (other, wrote), last in self.columns.items():
            if wrote == write:
                apart = self.ticks.column_same if other == group else self.ticks.column
            elif write:
                apart = self.ticks.read_to_write
            else:
                same = other == group
                apart = self.ticks.write_to_read_same if same else self.ticks.write_to_read
            earliest = max(earliest, last + apart)
        return earliest

    def _next_row(self, group: int) -> int:
        """The earliest opening of a row after the ones before."""
        apart = [
            when + (self.ticks.row_same if other == group else self.ticks.row) for when, other in self.opened
        ]
        if len(self.opened) == 4:
            apart.append(self.opened[0][0] + self.ticks.window)
        return max(apart, default=0)

    def _refresh(self) -> None:
        start = max([self.due] + [row.closable for row in self.rows.values()])
        self.refreshed = start + self.ticks.precharge + self.ticks.refresh
        self.rows.clear()
        self.due += self.ticks.refresh_every
        self.refreshes += 1


class BurstDram:
    """A DRAM that serves every burst by itself; times in ticks, `now` never decreasing.

    `refresh=False` leaves refresh out, for the laws that do.
    """

    def __init__(self, ticks: DramTicks, *, refresh: bool = True) -> None:
        self.ticks = ticks
        due = ticks.refresh_every if refresh else 1 << 62
        self.channels = [_Channel(ticks, due) for _ in range(ticks.channels)]

    def transfer(self, now: int, address: int, size: int, write: bool) -> tuple[int, int]:
        """Serve `size` bytes from `address` on; when the first data begin and the last end."""
        channels = self.ticks.channels
        spans = []
        for burst in range(address // self.ticks.burst_bytes, -(-(address + size) // self.ticks.burst_bytes)):
            rest = burst // channels
            spans.append(self.channels[(burst + rest) % channels].burst(now, rest, write))
        return min(start for start, _ in spans), max(end for _, end in spans)

    def counts(self) -> dict[str, int]:
        """Bursts that found their row open and that did not, and refreshes, of all channels together."""
        return {
            "row_hits": sum(channel.hits for channel in self.channels),
            "row_misses": sum(channel.misses for channel in self.channels),
            "refreshes": sum(channel.refreshes for channel in self.channels),
        }
