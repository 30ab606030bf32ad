"""A DRAM part: derived figures, slower and wider ones, and what a mistake in a design is told."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest

from siliform.arch.design import load_design
from siliform.arch.dram import DramTiming, dram_timing, dram_timings
from siliform.graph_ir.errors import UserError

DDR4 = dram_timing("DDR4-3200")


def told(caught: pytest.ExceptionInfo[UserError]) -> tuple[str, str, str, str]:
    error = caught.value
    return error.asked, error.found, error.where, error.next_step


def test_derived_figures_of_a_module() -> None:
    assert DDR4.burst_bytes == 64  # 64 bits x 8
    assert DDR4.burst_ns == Fraction(5, 2)  # 8 transfers at 3.2 a nanosecond
    assert DDR4.column_ns == DDR4.burst_ns
    assert DDR4.peak_bytes_per_second == 25_600_000_000  # PC4-25600
    assert DDR4.with_channels(2).peak_bytes_per_second == 51_200_000_000


@pytest.mark.parametrize("timing", dram_timings().values(), ids=list(dram_timings()))
def test_consecutive_bursts_can_keep_every_preset_busy(timing: DramTiming) -> None:
    # What the table rounds to four digits is taken as the burst itself.
    assert timing.column_ns == timing.burst_ns


def test_slower_pins_keep_the_times_of_the_array() -> None:
    slow = DDR4.at_rate(1600)
    assert slow.peak_bytes_per_second * 2 == DDR4.peak_bytes_per_second
    assert (slow.tck_ns, slow.tccd_s_ns, slow.tccd_l_ns) == (1.25, 5.0, 5.0)
    assert (slow.trcd_ns, slow.trfc_ns) == (DDR4.trcd_ns, DDR4.trfc_ns)
    with pytest.raises(UserError) as caught:
        DDR4.at_rate(3201)
    assert told(caught)[1:] == ("data_rate_mbps = 3201", "DramTiming", "give a rate from 1 to its own, 3200")


def test_a_timing_is_valid_by_construction() -> None:
    faults = {
        "trp_ns = -1": {"trp_ns": -1},
        "channels = 0": {"channels": 0},
        "no provenance": {"provenance": ""},
        "rows of 100 bytes and bursts of 512 bits": {"row_bytes": 100},
        "15 banks in 4 bank groups": {"banks": 15},
        "4 banks in 4 bank groups": {"banks": 4},
        "tccd_l_ns = 11 with 4 bank groups and a column each 2.5 ns": {"tccd_l_ns": 11},
        "a refresh of 350.0 ns each 390 ns": {"trefi_ns": 390},
    }
    for found, change in faults.items():
        with pytest.raises(UserError) as caught:
            replace(DDR4, **change)
        assert told(caught)[:3] == ("the DRAM timing 'DDR4-3200'", found, "DramTiming")


def test_an_unknown_preset_names_the_nearest() -> None:
    with pytest.raises(UserError) as caught:
        dram_timing("DDR4-3600")
    asked, found, where, next_step = told(caught)
    assert asked == "the DRAM timing 'DDR4-3600'"
    assert (found, where) == ("no preset of that name", "arch/tech/dram_timing.csv")
    assert next_step.startswith("take one of the nearest: DDR4-3200")


def test_a_design_has_bandwidth_alone_unless_it_names_a_timing() -> None:
    assert load_design("server-128x128").dram.part() is None
    named = load_design("server-128x128", {"dram.timing": "HBM2-2000", "dram.timing_channels": 44})
    part = named.dram.part()
    assert part is not None
    assert (part.name, part.channels) == ("HBM2-2000", 44)
    assert part.peak_bytes_per_second == 704_000_000_000  # within 2 % of the design's 700 GB/s
    slower = {"dram.timing": "HBM2-2000", "dram.timing_channels": 48, "dram.timing_mbps": 1823}
    part = load_design("server-128x128", slower).dram.part()
    assert part is not None
    assert part.data_rate_mbps == 1823


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (
            {"dram.timing": "HBM2-2000"},
            (
                "the DRAM timing 'HBM2-2000' for 700 GB/s",
                "16 channels of 16 GB/s make 256 GB/s",
                "--set dram.timing=HBM2-2000",
                "set timing_channels = 44, lower timing_mbps, or correct bandwidth_bytes_per_second",
            ),
        ),
        (
            {"dram.timing": "DDR4-3200"},
            (
                "the DRAM timing 'DDR4-3200'",
                'it is a part of kind DDR4, and the design has type = "HBM2"',
                "--set dram.timing=DDR4-3200",
                "take HBM2-2000",
            ),
        ),
        (
            {"dram.timing_channels": 4},
            (
                "a DRAM timing of 4",
                'timing = "", bandwidth alone',
                "--set dram.timing_channels=4",
                "name a preset of arch/tech/dram_timing.csv in dram.timing as well",
            ),
        ),
    ],
)
def test_a_timing_that_does_not_fit_the_design_is_refused(
    overrides: dict[str, object], expected: tuple[str, ...]
) -> None:
    with pytest.raises(UserError) as caught:
        load_design("server-128x128", overrides)
    assert told(caught) == expected
