"""Published limits of long-context serving, by `siliform.long_context`.

Source: arXiv 2405.08944, Yi-34B on one A100-80 with 2 TB/s and 20 GB/s to the host; an answer is 250
tokens, memory is in GiB. The paper rounds P to 34 G and its figures to two digits, hence 3 %.
"""

from __future__ import annotations

from functools import cache

import pytest

import siliform as sf
from siliform.simulator.serving.long_context import LongContextReport

TOLERANCE = 0.03
WEIGHT_BYTES = 68e9
BYTES_PER_SECOND, HOST_BYTES_PER_SECOND = 2e12, 20e9
#: Keys and values of 60 layers, 8 heads of 128, 2 bytes each.
KV_BYTES_PER_TOKEN = 60 * 8 * 128 * 2 * 2

pytestmark = pytest.mark.slow


@cache
def limits() -> LongContextReport:
    figures = {
        "dram.bandwidth_bytes_per_second": "2 TB/s",
        "dram.bytes": "80 GiB",  # what the board's five stacks hold, and what the paper's one user needs
        "pcie.bandwidth_bytes_per_second": "20 GB/s",
    }
    return sf.long_context("yi-34b", sf.accelerator("nvidia-a100", **figures), [4000, 50000])


def test_rows_at_4k_are_those_published() -> None:
    row = limits().row(limits().costs[0])
    assert row["prefill_s"] == pytest.approx(0.89, rel=TOLERANCE)
    assert row["decode_s"] == pytest.approx(8.5, rel=TOLERANCE)
    assert row["kv_bytes"] / 2**30 == pytest.approx(0.91, rel=TOLERANCE)
    assert (row["prefill_bound_by"], row["decode_bound_by"]) == ("compute", "memory")


@pytest.mark.parametrize("place", [0, 1])
def test_answers_users_and_switches_follow_from_the_cache(place: int) -> None:
    row = limits().row(limits().costs[place])
    cache_bytes = row["context_tokens"] * KV_BYTES_PER_TOKEN
    assert row["kv_bytes"] == cache_bytes
    answer_s = 250 * (WEIGHT_BYTES + cache_bytes) / BYTES_PER_SECOND
    assert row["decode_s"] == pytest.approx(answer_s, rel=TOLERANCE)
    assert row["context_switch_s"] == pytest.approx(2 * cache_bytes / HOST_BYTES_PER_SECOND)
    assert row["concurrent_users"] == (80 * 2**30 - limits().weight_bytes) // cache_bytes


def test_one_user_of_50k_fits() -> None:
    assert limits().row(limits().costs[1])["concurrent_users"] == 1
