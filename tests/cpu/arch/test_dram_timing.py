"""The table of DRAM timings: published peaks, identities between columns, provenance in every row."""

from __future__ import annotations

import re

import pytest

from siliform.arch.memory import DRAM_KINDS
from siliform.arch.tech.tables import rows_of

ROWS = {row["preset"]: row for row in rows_of("dram_timing.csv")}


def number(row: dict[str, str], column: str) -> float:
    return float(row[column])


def peak_gb_per_s(row: dict[str, str]) -> float:
    return number(row, "channels") * number(row, "bus_bits") * number(row, "data_rate_mbps") / 8e3


def test_peaks_are_the_published_ones() -> None:
    peaks = {name: peak_gb_per_s(row) for name, row in ROWS.items()}
    assert peaks["DDR4-3200"] == 25.6  # PC4-25600: the module's name is its MB/s
    assert peaks["LPDDR5-6400"] == 12.8  # 16 bits x 6.4 Gb/s
    assert peaks["HBM2-2000"] == 256.0  # 1024 bits x 2 Gb/s
    assert peaks["HBM2e-3200"] == 409.6  # 1024 bits x 3.2 Gb/s
    assert peaks["HBM3-6400"] == 819.2  # 1024 bits x 6.4 Gb/s


@pytest.mark.parametrize("row", ROWS.values(), ids=list(ROWS))
def test_a_row_is_coherent(row: dict[str, str]) -> None:
    assert row["preset"].startswith(f"{row['kind']}-")
    assert all(number(row, column) > 0 for column in row if column not in ("preset", "kind", "provenance"))
    burst_bytes = number(row, "bus_bits") * number(row, "burst_length") / 8
    assert burst_bytes in (32, 64)
    assert number(row, "row_bytes") % burst_bytes == 0
    assert number(row, "banks") % number(row, "bank_groups") == 0
    burst_ns = number(row, "burst_length") * 1e3 / number(row, "data_rate_mbps")
    assert number(row, "tccd_s_ns") == pytest.approx(burst_ns, rel=0.005)  # a bus that can be kept full
    assert number(row, "tccd_s_ns") <= number(row, "tccd_l_ns")
    assert number(row, "trrd_s_ns") <= number(row, "trrd_l_ns")
    open_ns = number(row, "trcd_ns") + number(row, "trtp_ns") - number(row, "tck_ns")
    assert number(row, "tras_ns") >= open_ns  # a row can be read while it is open
    apart_ns = number(row, "trrd_s_ns") - number(row, "tck_ns")
    assert number(row, "tfaw_ns") >= 4 * apart_ns  # else the window of four rows would never bind
    assert number(row, "trefi_ns") > 5 * number(row, "trfc_ns")  # refresh takes under a fifth of the time


@pytest.mark.parametrize("row", ROWS.values(), ids=list(ROWS))
def test_a_row_names_a_public_source_and_how_sure_it_is(row: dict[str, str]) -> None:
    assert re.search(
        r"(DRAMsim3|DRAMSys|gem5|Ramulator 2) \S*\w+\.(ini|json|py|cpp)|gem5 \w+ \(src", row["provenance"]
    )
    assert 5 <= int(row["uncertainty_percent"]) <= 50


def test_every_kind_of_dram_has_a_row() -> None:
    # GDDR6 is of one GPU that is described by its data sheet alone, which is its bandwidth.
    assert {row["kind"] for row in ROWS.values()} == set(DRAM_KINDS) - {"GDDR6"}
