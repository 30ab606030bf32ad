"""Closed forms of streams, strides and random bursts, against every burst by itself."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siliform.arch.dram import DramTiming, dram_timing, dram_timings
from siliform.simulator.dram.bulk import BankedDram
from siliform.simulator.dram.bursts import BurstDram
from siliform.simulator.dram.laws import (
    page_stall_ticks,
    random_efficiency,
    random_ticks,
    stream_efficiency,
    stream_ticks,
    stride_efficiency,
    stride_ticks,
)
from siliform.simulator.dram.ticks import DramTicks

PS = 1000
every_preset = pytest.mark.parametrize("timing", dram_timings().values(), ids=list(dram_timings()))


def one_channel(timing: DramTiming, look_ahead: int = 64) -> DramTicks:
    return DramTicks.of(timing.with_channels(1), PS, look_ahead)


def spacing(t: DramTicks, addresses: list[int]) -> float:
    """Ticks from burst to burst in the long run: of the second half, the first one warming up."""
    dram = BurstDram(t, refresh=False)
    ends = [dram.transfer(0, address, 1, False)[1] for address in addresses]
    half = len(ends) // 2
    return (ends[-1] - ends[half - 1]) / (len(ends) - half)


@every_preset
@pytest.mark.parametrize("look_ahead", [1, 4, 16, 24, 64])
def test_a_stream_takes_what_the_law_says(timing: DramTiming, look_ahead: int) -> None:
    """Exactly, for whole and broken pages, banks fresh and used."""
    t = one_channel(timing, look_ahead)
    page = t.page_bursts
    for bursts in (
        1,
        2,
        3,
        5,
        page - 1,
        page,
        page + 1,
        page + 2,
        3 * page + 7,
        (t.group_banks + 2) * page + 2,
    ):
        dram = BurstDram(t, refresh=False)
        assert dram.transfer(0, 0, bursts * t.burst_bytes, False)[1] == stream_ticks(t, bursts)


@every_preset
def test_the_look_ahead_hides_the_rows_of_a_stream(timing: DramTiming) -> None:
    t = one_channel(timing)
    assert page_stall_ticks(t, t.page_bursts) == 0
    assert page_stall_ticks(one_channel(timing, 1), t.page_bursts) > 0


@every_preset
def test_a_long_stream_reaches_the_efficiency_of_the_law(timing: DramTiming) -> None:
    """Within 0.2 %, over some thousand refreshes, all channels."""
    dram = BankedDram(timing, PS)
    size = timing.peak_bytes_per_second // 100  # ten milliseconds
    end = dram.transfer(0, 0, 0, size, False)[1]
    assert dram.counts()["refreshes"] > 1000 * timing.channels
    reached = size * 10**9 * PS / (end * timing.peak_bytes_per_second)
    assert reached == pytest.approx(float(stream_efficiency(dram.ticks)), rel=0.002)


@every_preset
def test_strides_of_powers_of_two_and_of_whole_pages_take_what_the_law_says(timing: DramTiming) -> None:
    """Within 0.2 %: what the finite run leaves of its beginning."""
    t = one_channel(timing)
    steps = [2**k for k in range(13)] + [pages * t.page_bursts for pages in (1, 2, 3, 5, 6, 8, 12)]
    for step in steps:
        addresses = [i * step * t.burst_bytes for i in range(1500)]
        assert spacing(t, addresses) == pytest.approx(float(stride_ticks(t, step)), rel=0.002), step


@every_preset
def test_no_stride_is_faster_than_the_law(timing: DramTiming) -> None:
    """But for 0.5 %, of which part of a period the measurement sees."""
    t = one_channel(timing)
    for step in (3, 5, 6, 7, 12, 24, 33, 48, 96, 100, 160, 320, 640, 1000, 3000):
        addresses = [i * step * t.burst_bytes for i in range(1500)]
        assert spacing(t, addresses) >= float(stride_ticks(t, step)) * 0.995, step


def test_a_stride_over_channels_reaches_what_the_law_says() -> None:
    """Within 1 %, refresh counted: strides that divide a round of the 16 channels, or are whole rounds."""
    timing = dram_timing("HBM2-2000")
    for stride in (32, 64, 256, 512, 1024, 8 * 512, 16 * 512, 65536, 3 * 65536):
        dram = BankedDram(timing, PS)
        end = dram.transfer_rows(0, 0, 0, 1, 200_000, stride, False)[1]
        reached = 200_000 * 32 * 10**9 * PS / (end * timing.peak_bytes_per_second)
        assert reached == pytest.approx(float(stride_efficiency(dram.ticks, stride)), rel=0.01), stride


def test_a_stride_may_leave_channels_idle() -> None:
    t = DramTicks.of(dram_timing("HBM2-2000"), PS)  # 16 channels, bursts of 32 bytes: 512 bytes a round
    assert stride_efficiency(t, 16 * 512) * 16 < 1  # always the same channel


def test_a_stride_without_a_closed_form_is_refused() -> None:
    t = DramTicks.of(dram_timing("HBM2-2000"), PS)
    for stride in (0, 33, 96, 512 + 32, 3 * 512):
        with pytest.raises(
            ValueError, match=rf"no closed form for single bursts {stride} bytes apart: bursts are"
        ):
            stride_efficiency(t, stride)


@every_preset
def test_random_bursts_take_what_the_law_says(timing: DramTiming) -> None:
    """Within 4 %: the law is 1 to 2 % fast, and 8000 draws vary by 1 %."""
    t = one_channel(timing)
    rng = random.Random(0)
    addresses = [rng.randrange(1 << 30) * t.burst_bytes for _ in range(8000)]
    assert spacing(t, addresses) == pytest.approx(random_ticks(t), rel=0.04)


@every_preset
def test_random_bursts_over_all_channels_with_refresh(timing: DramTiming) -> None:
    """Within 8 %: of many channels, those that draw more bursts finish later."""
    dram, rng = BankedDram(timing, PS), random.Random(1)
    count = 3000 * timing.channels
    for _ in range(count):
        dram.transfer(0, 0, rng.randrange(1 << 30) * timing.burst_bytes, timing.burst_bytes, False)
    reached = count * timing.burst_bytes * 10**9 * PS / (dram.free_at * timing.peak_bytes_per_second)
    assert reached == pytest.approx(random_efficiency(dram.ticks), rel=0.08)


def test_random_bursts_on_banks_that_are_never_busy_take_a_slot_each() -> None:
    t = replace(one_channel(dram_timing("DDR4-3200")), keep=1, open=1, precharge=1, read_to_precharge=1)
    assert random_ticks(t) == max(t.row + (t.row_same - t.row) / t.groups, t.window / 4)


TIMES = (
    *("burst", "column", "read", "write", "open", "precharge", "keep", "row", "row_same", "window"),
    *("read_to_precharge", "write_to_precharge", "read_to_write", "write_to_read", "write_to_read_same"),
)


@settings(max_examples=80, deadline=None)
@given(
    name=st.sampled_from(sorted(dram_timings())),
    slower=st.sampled_from(TIMES),
    by=st.integers(1, 30_000),
    step=st.integers(1, 5000),
)
def test_no_longer_time_makes_anything_earlier(name: str, slower: str, by: int, step: int) -> None:
    """Every law and the reference grow, or stay, with every time of the part."""
    t = one_channel(dram_timing(name))
    worse = replace(t, **{slower: getattr(t, slower) + by})
    assert stream_ticks(worse, 700) >= stream_ticks(t, 700)
    assert stride_ticks(worse, step) >= stride_ticks(t, step)
    assert random_ticks(worse) >= random_ticks(t) * (1 - 1e-9)
    ends = []
    for ticks in (t, worse):
        dram, rng = BurstDram(ticks, refresh=False), random.Random(step)
        for _ in range(60):
            end = dram.transfer(0, rng.randrange(1 << 20), 200, rng.random() < 0.3)[1]
        ends.append(end)
    assert ends[1] >= ends[0]
