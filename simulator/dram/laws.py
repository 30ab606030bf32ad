"""How long streams, strides and random bursts take, in closed form; all of reads, in ticks.

The laws describe the DRAM of `bursts`: the same map of addresses, order and look-ahead. `refresh_share` says
what refresh takes; the others leave it out. docs/dram.md says how close each is.
"""

from __future__ import annotations

from fractions import Fraction
from math import gcd

from siliform.simulator.dram.ticks import DramTicks


def page_stall_ticks(t: DramTicks, bursts: int, *, closed: bool = False) -> int:
    """What opening the rows of one more page adds to a stream that reads its first `bursts` bursts. Exact.

    0 where the look-ahead hides it. Else the first burst waits for precharge (unless its bank is `closed`)
    and row as far as these do not fit between the start of the look-ahead and its turn, and the first of each
    further bank group for as much again, or for the spacing of rows.
    """
    late = t.open + (0 if closed else t.precharge) - t.ahead - t.column
    further = min(bursts, t.groups) - 1
    if late > 0:
        return late + further * max(late, t.row - t.column)
    return max(0, late + further * max(0, t.row - t.column))


def stream_ticks(t: DramTicks, bursts: int) -> int:
    """From rest to the end of the data of `bursts` consecutive bursts of each channel, from a page's start.

    Exact, refresh left out, where a page keeps the bus busy for longer than the commands of its rows.
    """
    further_pages = (bursts - 1) // t.page_bursts
    begin = t.open + (min(bursts, t.groups) - 1) * max(0, t.row - t.column, t.open - t.ahead - t.column)
    if not further_pages:
        return begin + (bursts - 1) * t.column + t.read + t.burst
    unused = min(further_pages - 1, t.group_banks - 1)  # whole pages that find their banks never used
    stalls = unused * page_stall_ticks(t, t.page_bursts, closed=True)
    stalls += (further_pages - 1 - unused) * page_stall_ticks(t, t.page_bursts)
    last = bursts - further_pages * t.page_bursts
    stalls += page_stall_ticks(t, last, closed=further_pages < t.group_banks)
    return begin + (bursts - 1) * t.column + stalls + t.read + t.burst


def refresh_share(t: DramTicks) -> Fraction:
    """The share of time in which a stream cannot be served because of refresh.

    Between two refreshes, columns follow each other from the opening of rows after the first to the second.
    The second begins when the last row may be closed: that is `read_to_precharge` after a last column which
    lies half a column before it was due, on average.
    """
    late = max(Fraction(0), t.read_to_precharge - Fraction(t.column, 2))
    stagger = (t.groups - 1) * max(0, t.row - t.column)
    return Fraction(late + t.precharge + t.refresh + t.open + stagger, t.refresh_every)


def stream_efficiency(t: DramTicks) -> Fraction:
    """Share of the peak bandwidth that a long stream reaches, refresh counted."""
    page = t.page_bursts * t.column + page_stall_ticks(t, t.page_bursts)
    return Fraction(t.page_bursts * t.burst, page) * (1 - refresh_share(t))


def stride_ticks(t: DramTicks, step: int) -> Fraction:
    """From burst to burst of one channel in the long run, each `step` bursts of that channel after another.

    The slowest of: columns, the bank groups in turn; rows, as many as a burst opens; four rows a window; and
    a bank, which is open for the bursts of one row, then closed, and reached again after the others. Exact
    where `step` divides a page or is whole pages. Other steps take as long or longer, up to several times:
    they come back to a bank after few others, then after many.
    """
    groups = t.groups // gcd(step, t.groups)  # that are visited
    column = max(Fraction(t.column), Fraction(t.column_same, groups))
    row = max(Fraction(t.row), Fraction(t.row_same, groups), Fraction(t.window, 4))
    if step < t.page_bursts:
        page_visits = max(Fraction(groups), Fraction(t.page_bursts, step))
        held = t.open + (page_visits - groups) * column + t.read_to_precharge
        bank = (max(held, Fraction(t.keep)) + t.precharge) / (page_visits * t.group_banks)
        return max(column, groups / page_visits * row, bank)
    turn = gcd(step, t.page_bursts * t.group_banks)
    whole_pages = turn % t.page_bursts == 0
    banks = t.page_bursts * t.group_banks // turn if whole_pages else groups * t.group_banks
    return max(column, row, Fraction(t.row_cycle, banks))


def stride_efficiency(t: DramTicks, stride_bytes: int) -> Fraction:
    """Share of the peak that single bursts `stride_bytes` apart reach; channels left out count as idle.

    A stride that divides a round of the channels reaches all of them, since they turn by one each round; one
    of `k` rounds turns them by `k`. ValueError for other strides and for those that `stride_ticks` only
    bounds.
    """
    step, broken = divmod(stride_bytes, t.burst_bytes)
    rounds, rest = divmod(step, t.channels)
    reached = t.channels if rest else t.channels // gcd(rounds, t.channels)
    apart = step if rest else rounds * reached
    uneven = broken or not step or (rest and t.channels % step)
    if uneven or (t.page_bursts % apart and apart % t.page_bursts):
        raise ValueError(
            f"no closed form for single bursts {stride_bytes} bytes apart: bursts are {t.burst_bytes} bytes, "
            f"a round of the channels {t.channels} and a page {t.page_bursts} bursts of each; simulate it"
        )
    return Fraction(reached * t.burst, t.channels) / stride_ticks(t, apart) * (1 - refresh_share(t))


def random_ticks(t: DramTicks) -> float:
    """From burst to burst of one channel in the long run, each at a row of its own in a bank taken at random.

    Rows open in order, so one burst that finds its bank busy holds up all behind it. Between two such waits,
    the j-th row opens `at(j)` after the first, as the spacing and the window of rows let it; it finds the
    bank of the i-th busy with probability 1 / banks, and then opens a row cycle after that. The sum runs over
    all i and j, taking the other banks to be free after a wait: they are not quite, so the truth is 1 to 3 %
    slower.
    """
    banks = t.groups * t.group_banks
    spacing = max(float(t.column), t.row + (t.row_same - t.row) / t.groups)

    def at(number: int) -> float:
        fours, rest = divmod(number, 4)
        return fours * max(t.window, 4 * spacing) + rest * spacing

    bursts = ticks = 0.0
    never_waited, j = 1.0, 1
    while never_waited > 1e-12:
        busy = [at(i) for i in range(j) if at(j) - at(i) < t.row_cycle]
        if not busy:  # no bank is ever waited for
            return max(spacing, t.window / 4)
        bursts += never_waited * len(busy) / banks * j
        ticks += never_waited / banks * sum(opened + t.row_cycle for opened in busy)
        never_waited *= 1 - len(busy) / banks
        j += 1
    return ticks / bursts


def random_efficiency(t: DramTicks) -> float:
    """Share of the peak that random bursts reach, all channels backlogged."""
    return t.burst / random_ticks(t) * float(1 - refresh_share(t))
