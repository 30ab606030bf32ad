"""Whole runs through banks and rows, compiled: what `bursts` says of each burst, in steps of rows.

A channel's share of a run is a sequence of its bursts. Within a page, the first burst of each bank group may
have to open a row; those are walked. The rest find their rows open and follow each other at the column
spacing, so they are one step, cut only where a refresh is due. A step costs some ten nanoseconds.

The state of a channel is a row of int64: counters, then times from which on something may happen (never times
of past events, so that whatever lies before `now` has been forgotten), then per bank group and per bank. The
numbers of `DramTicks` come as an array in the order of its fields, followed by the column spacing in 1 /
65536 ticks.
"""

from __future__ import annotations

from typing import Any

from siliform.simulator.mapping.compiled import compiled, inlined

# Indices into the array of ticks: the fields of DramTicks in their order.
CHANNELS, GROUPS, GROUP_BANKS, COLUMNS, BURST_BYTES = 0, 1, 2, 3, 4
BURST, COLUMN, COLUMN_SAME, READ, WRITE, OPEN, PRECHARGE, KEEP = 5, 6, 7, 8, 9, 10, 11, 12
ROW, ROW_SAME, WINDOW, READ_TO_PRECHARGE, WRITE_TO_PRECHARGE = 13, 14, 15, 16, 17
READ_TO_WRITE, WRITE_TO_READ, WRITE_TO_READ_SAME = 18, 19, 20
REFRESH, REFRESH_EVERY, AHEAD, COLUMN_FINE = 21, 22, 23, 24
FINE_BITS = 16

# Indices into the state of a channel: three counters, then times.
HITS, MISSES, REFRESHES = 0, 1, 2
COUNTERS = 3
SOONEST = 3  # of any command that runs ahead
NEXT_READ, NEXT_WRITE, NEXT_ROW = 4, 5, 6  # in any bank group
WINDOWS = 7  # four: the next row but 0, 1, 2, 3, as far as tFAW goes
CLOSABLE, REFRESHED, DUE = 11, 12, 13  # all rows; end of the last refresh; the next one
GROUP_STATE = 14  # then for each group: next read, write and row in it
GROUP_FIELDS = 3
BANK_FIELDS = 3  # then for each bank: its open page or -1, the stream that opened it, from when it may close


@inlined
def _refresh(s: Any, t: Any, now: int) -> None:
    """Do the refresh that is due, and those whose turns passed before `now` while nothing was asked for."""
    start = max(s[DUE], s[CLOSABLE])
    s[REFRESHED] = start + t[PRECHARGE] + t[REFRESH]
    s[DUE] += t[REFRESH_EVERY]
    s[REFRESHES] += 1
    banks = GROUP_STATE + GROUP_FIELDS * t[GROUPS]
    for bank in range(t[GROUPS] * t[GROUP_BANKS]):
        s[banks + BANK_FIELDS * bank] = -1
        s[banks + BANK_FIELDS * bank + 1] = 0
        s[banks + BANK_FIELDS * bank + 2] = 0
    idle = (now - s[DUE]) // t[REFRESH_EVERY]
    if idle > 0:
        s[DUE] += idle * t[REFRESH_EVERY]
        s[REFRESHES] += idle


@inlined
def _after_column(s: Any, t: Any, column: int, write: int) -> None:
    """What a column command keeps waiting in all bank groups. Times only grow."""
    s[SOONEST] = max(s[SOONEST], column - t[AHEAD])
    s[NEXT_READ] = max(s[NEXT_READ], column + t[WRITE_TO_READ if write else COLUMN])
    s[NEXT_WRITE] = max(s[NEXT_WRITE], column + t[COLUMN if write else READ_TO_WRITE])


@inlined
def _after_column_in_group(s: Any, t: Any, g: int, bank: int, column: int, write: int) -> int:
    """What it keeps waiting in its group, whose state begins at `g`, and in its bank; when that may close."""
    s[g] = max(s[g], column + t[WRITE_TO_READ_SAME if write else COLUMN_SAME])
    if write:
        s[g + 1] = max(s[g + 1], column + t[COLUMN_SAME])
    s[bank + 2] = max(s[bank + 2], column + t[WRITE_TO_PRECHARGE if write else READ_TO_PRECHARGE])
    return s[bank + 2]


@inlined
def _first_burst(s: Any, t: Any, now: int, group: int, page: int, stream: int, write: int) -> int:
    """The first burst of a bank group in a page; returns its column command."""
    g = GROUP_STATE + GROUP_FIELDS * group
    bank = GROUP_STATE + GROUP_FIELDS * t[GROUPS]
    bank += BANK_FIELDS * (group * t[GROUP_BANKS] + page % t[GROUP_BANKS])
    while True:
        soonest = max(now, s[SOONEST])
        column = max(soonest, max(s[NEXT_WRITE], s[g + 1]) if write else max(s[NEXT_READ], s[g]))
        hit = s[bank] == page and s[bank + 1] == stream
        if not hit:
            opens = max(soonest, s[REFRESHED]) if s[bank] < 0 else max(soonest, s[bank + 2]) + t[PRECHARGE]
            opens = max(max(opens, s[NEXT_ROW]), max(s[g + 2], s[WINDOWS]))
            column = max(column, opens + t[OPEN])
        if column < s[DUE]:
            break
        _refresh(s, t, now)
    if hit:
        s[HITS] += 1
    else:
        s[MISSES] += 1
        s[bank], s[bank + 1], s[bank + 2] = page, stream, opens + t[KEEP]
        s[NEXT_ROW], s[g + 2] = opens + t[ROW], opens + t[ROW_SAME]
        for i in range(3):
            s[WINDOWS + i] = s[WINDOWS + i + 1]
        s[WINDOWS + 3] = opens + t[WINDOW]
    s[CLOSABLE] = max(s[CLOSABLE], _after_column_in_group(s, t, g, bank, column, write))
    _after_column(s, t, column, write)
    return column


@inlined
def _further_bursts(s: Any, t: Any, column: int, last: int, count: int, write: int) -> int:
    """`count` bursts that find their rows open, the last one number `last`; returns its column command."""
    page = last // (t[GROUPS] * t[COLUMNS])
    banks = GROUP_STATE + GROUP_FIELDS * t[GROUPS]
    column += (count * t[COLUMN_FINE] + (1 << FINE_BITS) - 1) >> FINE_BITS
    for back in range(min(count, t[GROUPS])):
        group = (last - back) % t[GROUPS]
        g = GROUP_STATE + GROUP_FIELDS * group
        bank = banks + BANK_FIELDS * (group * t[GROUP_BANKS] + page % t[GROUP_BANKS])
        closable = _after_column_in_group(s, t, g, bank, column - back * t[COLUMN], write)
        s[CLOSABLE] = max(s[CLOSABLE], closable)
    _after_column(s, t, column, write)
    s[HITS] += count
    return column


@inlined
def _share(s: Any, t: Any, now: int, first: int, end: int, stream: int, write: int) -> tuple[int, int]:
    """One channel's bursts `first` to `end` - 1; returns the first and the last column command."""
    page_bursts = t[GROUPS] * t[COLUMNS]
    begun, column, at, walked = -1, 0, first, 0
    while at < end:
        page = at // page_bursts
        page_end = min(end, (page + 1) * page_bursts)
        if walked < t[GROUPS]:
            refreshes = s[REFRESHES]
            column = _first_burst(s, t, now, at % t[GROUPS], page, stream, write)
            begun = column if begun < 0 else begun
            at += 1
            walked = 1 if s[REFRESHES] > refreshes else walked + 1  # it closed the rows walked before
            walked = 0 if at == page_end else walked
            continue
        count = min(page_end - at, (s[DUE] - 1 - column) // t[COLUMN])
        if count > 0:
            column = _further_bursts(s, t, column, at + count - 1, count, write)
            at += count
        walked = 0  # a new page, or a refresh is due and closes the rows of this one
    return begun, column


@inlined
def _in_round(t: Any, channel: int, number: int) -> int:
    """The burst that a channel has in a round of the channels."""
    return number * t[CHANNELS] + (channel - number) % t[CHANNELS]


@compiled
def advance(
    state: Any, t: Any, now: int, stream: int, address: int, size: int, rows: int, stride: int, write: int
) -> tuple[int, int]:
    """Serve `rows` runs of `size` bytes, `stride` bytes apart; when the first data begin and the last end."""
    begin, finish = 1 << 62, 0
    latency = t[WRITE] if write else t[READ]
    for row in range(rows):
        low = (address + row * stride) // t[BURST_BYTES]
        high = (address + row * stride + size - 1) // t[BURST_BYTES] + 1
        first_round, last_round = low // t[CHANNELS], (high - 1) // t[CHANNELS]
        for offset in range(min(t[CHANNELS], high - low)):
            number, channel = first_round, offset  # of many bursts, each channel has its share
            if high - low < t[CHANNELS]:  # of few, each burst has its channel
                number = (low + offset) // t[CHANNELS]
                channel = (low + offset + number) % t[CHANNELS]
            # A channel has one burst in each round, but perhaps none in the first and in the last.
            first = first_round + (_in_round(t, channel, first_round) < low)
            end = last_round + (_in_round(t, channel, last_round) < high)
            if first >= end or first < number:
                continue  # it has none, or they were served with its burst of the first round
            begun, last = _share(state[channel], t, now, first, end, stream, write)
            begin = min(begin, begun + latency)
            finish = max(finish, last + latency + t[BURST])
    return begin, finish


@compiled
def refresh_until(state: Any, t: Any, now: int) -> None:
    """Do every refresh that is due at `now` or before, in every channel."""
    for channel in range(t[CHANNELS]):
        while state[channel, DUE] <= now:
            _refresh(state[channel], t, now)
