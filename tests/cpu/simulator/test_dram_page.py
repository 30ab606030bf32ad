"""The table of docs/dram.md is what the laws say of the presets."""

from __future__ import annotations

from pathlib import Path

from siliform.arch.dram import dram_timings
from siliform.simulator.dram.laws import random_efficiency, stream_efficiency, stride_efficiency
from siliform.simulator.dram.ticks import DramTicks

PAGE = Path(__file__).parents[3] / "docs/dram.md"


def test_the_table_of_presets_is_true() -> None:
    rows = []
    for name, timing in dram_timings().items():
        t = DramTicks.of(timing, 1000)
        shares = (stream_efficiency(t), stride_efficiency(t, 4096), random_efficiency(t))
        percents = " | ".join(f"{100 * float(share):.1f}" for share in shares)
        rows.append(
            f"| {name} | {t.channels} x {t.burst_bytes} B | {t.page_bytes // 1024} KiB "
            f"| {timing.peak_bytes_per_second / 1e9:g} | {percents} | {timing.uncertainty_percent:g} |"
        )
    assert "\n".join(rows) + "\n\n" in PAGE.read_text(encoding="utf-8")
