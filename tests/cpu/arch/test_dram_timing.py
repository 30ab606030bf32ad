"""DRAM timing presets: what standards publish, the identities between columns, and provenance."""

from __future__ import annotations

from dataclasses import replace

import pytest

from siliform.arch.memory import DRAM_KINDS
from siliform.arch.tech.dram_timing import DramTiming, dram_timings


def test_peaks_are_the_published_ones() -> None:
    peaks = {name: timing.bytes_per_second / 1e9 for name, timing in dram_timings().items()}
    assert peaks["DDR4-3200"] == 25.6  # PC4-25600: the module's name is its MB/s
    assert peaks["LPDDR5-6400"] == 12.8  # 16 bits x 6.4 Gb/s
    assert peaks["HBM2-2000"] == 256.0  # 1024 bits x 2 Gb/s
    assert peaks["HBM2e-3200"] == 409.6  # 1024 bits x 3.2 Gb/s
    assert peaks["HBM3-6400"] == 819.2  # 1024 bits x 6.4 Gb/s


@pytest.mark.parametrize("timing", dram_timings().values(), ids=list(dram_timings()))
def test_a_preset_is_coherent(timing: DramTiming) -> None:
    assert timing.preset.startswith(f"{timing.kind}-")
    assert timing.bytes_per_second // timing.channels == timing.bus_bits * timing.data_rate_mbps * 125000
    assert timing.tras_ns >= timing.trcd_ns + timing.trtp_ns - timing.tck_ns  # a row can be read while open
    assert timing.tfaw_ns >= 4 * (timing.trrd_s_ns - timing.tck_ns)  # else the window would never bind
    assert timing.trrd_s_ns <= timing.trrd_l_ns
    assert timing.trefi_ns > 5 * timing.trfc_ns  # refresh takes less than a fifth of the time
    assert timing.burst_bytes in (32, 64)
    assert "config" in timing.provenance or "gem5" in timing.provenance or "Ramulator" in timing.provenance


def test_every_kind_of_dram_has_a_preset() -> None:
    assert {timing.kind for timing in dram_timings().values()} >= set(DRAM_KINDS)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("tras_ns", 0.0, "tras_ns is 0.0"),
        ("provenance", "", "provenance is ''"),
        ("bank_groups", 3, "not whole groups"),
        ("tccd_s_ns", 1.0, "faster than bursts"),
    ],
)
def test_nonsense_is_refused(field: str, value: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(dram_timings()["DDR4-3200"], **{field: value})  # type: ignore[arg-type]
