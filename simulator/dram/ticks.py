"""A DRAM's timing in whole ticks: what the burst-level model, the bulk model and the laws share."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor, lcm

from siliform.arch.dram import DramTiming

#: Row commands run ahead of the last column command by at most so many bursts of one channel.
#: Assumption: a queue of 64 bursts a channel, which hides the row commands of a stream on every preset.
LOOK_AHEAD_BURSTS = 64


@dataclass(frozen=True)
class DramTicks:
    """Geometry, and times in ticks, rounded up (tREFI down): a DRAM in ticks is never faster than in ns.

    Attributes
    ----------
    channels, groups : channels; bank groups of each. group_banks : banks of a group.
    columns, burst_bytes : bursts of a row; bytes of a burst.
    burst : of data on the bus. column, column_same : between column commands, of other and of the same group.
    read, write : column command to data. open : row to column command. precharge, keep : tRP and tRAS.
    row, row_same, window : between rows of other groups, of the same group, and of four rows.
    read_to_*, write_to_* : from column command to precharge or column command; _same in the same group.
    refresh, refresh_every : tRFC and tREFI.
    ahead : how long before the column command of the burst before it a burst's row may be opened.
    """

    channels: int
    groups: int
    group_banks: int
    columns: int
    burst_bytes: int
    burst: int
    column: int
    column_same: int
    read: int
    write: int
    open: int
    precharge: int
    keep: int
    row: int
    row_same: int
    window: int
    read_to_precharge: int
    write_to_precharge: int
    read_to_write: int
    write_to_read: int
    write_to_read_same: int
    refresh: int
    refresh_every: int
    ahead: int

    @classmethod
    def of(
        cls, timing: DramTiming, ticks_per_ns: Fraction | int, look_ahead_bursts: int = LOOK_AHEAD_BURSTS
    ) -> DramTicks:
        """The timing at `ticks_per_ns`; ValueError where that or the look-ahead is not above zero."""
        if ticks_per_ns <= 0 or look_ahead_bursts < 1:
            raise ValueError(f"{ticks_per_ns} ticks a nanosecond, a look-ahead of {look_ahead_bursts} bursts")

        def ticks(*ns: float | Fraction) -> int:
            return ceil(sum(n if isinstance(n, Fraction) else Fraction(str(n)) for n in ns) * ticks_per_ns)

        t = timing
        burst, column = ticks(t.burst_ns), ticks(t.column_ns)
        # JESD79-4, read to write: RL + BL/2 + 2 tCK - WL, the bus given two clocks to turn round.
        turn = max(column, ticks(t.tcl_ns, t.burst_ns, 2 * Fraction(str(t.tck_ns)), -t.tcwl_ns))
        return cls(
            channels=t.channels,
            groups=t.bank_groups,
            group_banks=t.banks // t.bank_groups,
            columns=t.row_bytes // t.burst_bytes,
            burst_bytes=t.burst_bytes,
            burst=burst,
            column=column,
            # Within the table's rounding of a round of the groups, and never more than that.
            column_same=max(column, min(ticks(t.tccd_l_ns), t.bank_groups * column)),
            read=ticks(t.tcl_ns),
            write=ticks(t.tcwl_ns),
            open=ticks(t.trcd_ns),
            precharge=ticks(t.trp_ns),
            keep=ticks(t.tras_ns),
            row=ticks(t.trrd_s_ns),
            row_same=max(ticks(t.trrd_s_ns), ticks(t.trrd_l_ns)),
            window=ticks(t.tfaw_ns),
            read_to_precharge=ticks(t.trtp_ns),
            write_to_precharge=ticks(t.tcwl_ns, t.burst_ns, t.twr_ns),
            read_to_write=turn,
            write_to_read=max(column, ticks(t.tcwl_ns, t.burst_ns, t.twtr_s_ns)),
            write_to_read_same=max(column, ticks(t.tcwl_ns, t.burst_ns, t.twtr_l_ns)),
            refresh=ticks(t.trfc_ns),
            refresh_every=floor(Fraction(str(t.trefi_ns)) * ticks_per_ns),
            ahead=(look_ahead_bursts - 1) * burst,
        )

    @property
    def page_bursts(self) -> int:
        """Bursts of one page of one channel: the rows of equal number in all its bank groups."""
        return self.groups * self.columns

    @property
    def page_bytes(self) -> int:
        """Consecutive bytes that open one row in each bank group of each channel."""
        return self.channels * self.page_bursts * self.burst_bytes

    @property
    def turn_bytes(self) -> int:
        """Addresses so far apart are alike: the same channel, bank group, column and bank, another row."""
        pages = lcm(self.group_banks * self.page_bursts, self.channels) // self.page_bursts
        return pages * self.page_bytes

    @property
    def row_cycle(self) -> int:
        """Between two rows of one bank that are each read once."""
        return max(self.keep, self.open + self.read_to_precharge) + self.precharge
