"""The burst-by-burst DRAM: timelines worked out by hand, on a part with round numbers."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest

from siliform.arch.dram import dram_timing, dram_timings
from siliform.simulator.dram.bursts import BurstDram
from siliform.simulator.dram.ticks import DramTicks

#: Two bank groups of two banks, four bursts of 8 bytes a row, one channel; a tick is a nanosecond.
SMALL = DramTicks(
    channels=1,
    groups=2,
    group_banks=2,
    columns=4,
    burst_bytes=8,
    burst=4,
    column=4,
    column_same=6,
    read=20,
    write=10,
    open=15,
    precharge=12,
    keep=30,
    row=5,
    row_same=7,
    window=40,
    read_to_precharge=8,
    write_to_precharge=29,  # 10 of latency, 4 of data, 15 of recovery
    read_to_write=16,
    write_to_read=17,
    write_to_read_same=22,
    refresh=100,
    refresh_every=1000,
    ahead=60,
)
PAGE = 8 * 8  # bytes: two groups of four bursts


def served(*requests: tuple[int, int, int, bool], ticks: DramTicks = SMALL) -> list[tuple[int, int]]:
    """When the data of each (now, address, size, write) begin and end."""
    dram = BurstDram(ticks)
    return [dram.transfer(*request) for request in requests]


def test_a_read_from_rest_opens_a_row() -> None:
    assert served((3, 0, 8, False)) == [(3 + 15 + 20, 3 + 15 + 20 + 4)]


def test_a_stream_opens_a_row_in_each_group_and_follows_at_the_column_spacing() -> None:
    # Rows at 0 and 5; columns at 15, 20 (its row), then each 4: 24, 28, ... to the eighth at 44.
    assert served((0, 0, PAGE, False)) == [(35, 44 + 20 + 4)]


def test_an_open_row_is_hit_and_another_row_of_its_bank_waits_for_tras() -> None:
    # Bank 0 is open from 0 and may be closed at 30; precharge to 42, row to 57, data at 77.
    assert served((0, 0, 8, False), (0, 16, 8, False), (0, 2 * PAGE, 8, False)) == [
        (35, 39),
        (41, 45),
        (77, 81),
    ]


def test_another_bank_opens_behind_the_data_before_it() -> None:
    # Its row at 7 (same group), column at 22: hidden but for 3 ticks.
    assert served((0, 0, 8, False), (0, PAGE, 8, False)) == [(35, 39), (42, 46)]


def test_the_fifth_row_waits_for_the_window_of_four() -> None:
    # Four banks at 0, 5, 10, 15 would let a fifth bank go at 20; the window holds it until 40.
    wide = replace(SMALL, group_banks=4)
    reads = [(0, address, 8, False) for address in (0, 8, PAGE, PAGE + 8, 2 * PAGE)]
    assert [start for start, _ in served(*reads, ticks=wide)] == [35, 40, 45, 50, 40 + 15 + 20]


def test_the_bus_turns_round() -> None:
    # Both groups are open and quiet. A read at 100, a write 16 after it; a read 22 after that in
    # the same group, or 17 in the other. Data come 20 after a read and 10 after a write.
    open_both = (0, 0, 16, False)
    same = served(open_both, (100, 0, 8, False), (100, 0, 8, True), (100, 0, 8, False))
    assert same[1:] == [(120, 124), (126, 130), (158, 162)]
    other = served(open_both, (100, 0, 8, False), (100, 0, 8, True), (100, 8, 8, False))
    assert other[1:] == [(120, 124), (126, 130), (153, 157)]


def test_a_written_row_recovers_before_it_closes() -> None:
    # Column at 15, closable 29 later at 44, precharged at 56, open at 71.
    assert served((0, 0, 8, True), (0, 2 * PAGE, 8, True))[1] == (71 + 10, 71 + 14)


def test_a_refresh_closes_all_rows_and_holds_up_what_cannot_go_before_it() -> None:
    # Due at 1000: precharge 12 and 100 of refresh, then the row is opened again.
    assert served((0, 0, 8, False), (999, 0, 8, False))[1] == (999 + 20, 999 + 24)
    assert served((0, 0, 8, False), (1000, 0, 8, False))[1] == (1112 + 15 + 20, 1112 + 39)
    dram = BurstDram(SMALL)
    dram.transfer(0, 0, 8, False)
    dram.transfer(1000, 0, 8, False)
    assert dram.counts() == {"row_hits": 0, "row_misses": 2, "refreshes": 1}


def test_a_refresh_waits_for_the_row_that_just_opened() -> None:
    # The row opens at 980 and is kept until 1010; refresh from 1022 to 1122.
    assert served((980, 0, 8, False), (1000, 0, 8, False))[1] == (1122 + 15 + 20, 1122 + 39)


def test_the_look_ahead_limits_how_early_a_row_opens() -> None:
    # Without one, the second bank's row opens at the column command before, at 15.
    assert served((0, 0, 8, False), (0, PAGE, 8, False), ticks=replace(SMALL, ahead=0))[1] == (
        15 + 15 + 20,
        54,
    )


def test_channels_share_a_run_and_do_not_wait_for_each_other() -> None:
    two = replace(SMALL, channels=2)
    dram = BurstDram(two)
    assert dram.transfer(0, 0, 8, False) == (35, 39)
    assert dram.transfer(0, 8, 8, False) == (35, 39)  # the other channel
    assert dram.transfer(0, 16, 16, False) == (40, 44)  # one burst of each, in the second bank group


def test_each_round_of_the_channels_begins_one_channel_on() -> None:
    three = replace(SMALL, channels=3, groups=1, columns=8)
    for address, channel in ((0, 0), (16, 2), (24, 1), (40, 0), (48, 2), (72, 0)):
        dram = BurstDram(three)
        dram.transfer(0, address, 1, False)
        assert [c.misses for c in dram.channels] == [int(c == channel) for c in range(3)]


@pytest.mark.parametrize("ticks_per_ns", [1, Fraction(64, 25), 1000])
def test_whole_ticks_are_never_faster_than_nanoseconds(ticks_per_ns: Fraction | int) -> None:
    for timing in dram_timings().values():
        t = DramTicks.of(timing, ticks_per_ns)
        assert t.burst >= timing.burst_ns * ticks_per_ns
        assert t.open >= Fraction(str(timing.trcd_ns)) * ticks_per_ns > t.open - 1
        assert t.refresh_every <= Fraction(str(timing.trefi_ns)) * ticks_per_ns
        assert t.column <= t.column_same <= t.groups * t.column


def test_the_ticks_of_ddr4() -> None:
    """By hand, at 8 ticks a nanosecond: 5 ticks a clock."""
    t = DramTicks.of(dram_timing("DDR4-3200"), 8)
    assert (t.groups, t.group_banks, t.columns, t.burst_bytes) == (4, 4, 128, 64)
    assert (t.burst, t.column, t.column_same) == (20, 20, 40)
    assert t.read_to_write == 110 + 20 + 2 * 5 - 80  # RL + burst + two clocks - WL
    assert t.write_to_read == 80 + 20 + 20  # WL + burst + tWTR_S
    assert t.write_to_read_same == 80 + 20 + 60
    assert t.write_to_precharge == 80 + 20 + 120  # WL + burst + tWR
    assert t.row_cycle == 260 + 110  # tRAS + tRP
    assert (t.page_bursts, t.page_bytes) == (512, 32768)
    assert t.ahead == 63 * 20


def test_a_tick_and_a_look_ahead_are_above_zero() -> None:
    ddr4 = dram_timing("DDR4-3200")
    with pytest.raises(ValueError, match="0 ticks a nanosecond, a look-ahead of 64 bursts"):
        DramTicks.of(ddr4, 0)
    with pytest.raises(ValueError, match="1 ticks a nanosecond, a look-ahead of 0 bursts"):
        DramTicks.of(ddr4, 1, 0)
