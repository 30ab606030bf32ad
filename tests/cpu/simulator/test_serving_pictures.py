"""Pictures and table of a run: what they draw is what the report holds."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from siliform.simulator.report import Origin
from siliform.simulator.serving import (
    Cost,
    KvMemory,
    Policy,
    ServingReport,
    ServingRequest,
    Setting,
    run_server,
)
from siliform.simulator.serving.pictures import batch, kv_memory, write_pictures
from siliform.simulator.serving.tables import print_report

MIB = 2**20


class Costs:
    def prefill(self, lengths: object) -> Cost:
        return Cost(1.0, None, 1.0)

    def decode(self, contexts: object) -> Cost:
        return Cost(1.0, None, 1.0)


@pytest.fixture
def report() -> ServingReport:
    """Two requests with a pause of 5 s between, caches of a MiB a token."""
    requests = [ServingRequest("a", 0.0, 2, 3), ServingRequest("b", 8.0, 1, 1)]
    run = run_server(requests, Costs(), KvMemory(10 * MIB, float(MIB)), Policy())
    provenance = {
        "interpolation": Origin("measured", "a trace", 0.02),
        "energy_j": Origin("absent", "nobody knows"),
        "idle_energy_j": Origin("absent", "nobody knows"),
    }
    return ServingReport(Setting("m/x", "d", "model", "latency", "int8", 1, 2, 1.0, None, provenance), run)


def test_a_pause_is_drawn_as_nothing(report: ServingReport) -> None:
    held = kv_memory(report).axes[0].patches[1].get_data()
    assert list(held.edges) == [0, 1, 1, 2, 2, 3, 8, 9]
    assert list(held.values) == [2, 0, 3, 0, 4, 0, 1]
    sizes = {patch.get_label(): list(patch.get_data().values) for patch in batch(report).axes[0].patches}
    assert sizes["prefill"] == [1, 0, 0, 0, 0, 0, 1]
    assert sizes["decode"] == [0, 0, 1, 0, 1, 0, 0]


def test_writes_a_file_for_each_picture(report: ServingReport, tmp_path: Path) -> None:
    paths = write_pictures(report, tmp_path / "new")
    assert [path.name for path in paths] == ["m_x-d-continuous-kv.png", "m_x-d-continuous-batch.png"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in paths)


def test_the_table_says_each_reason_once(report: ServingReport) -> None:
    text = io.StringIO()
    print_report(report, Console(file=text, width=120))
    shown = text.getvalue()
    assert "2 of 2 requests in 9 s: 0.4444 output tokens/s, 0.2222 requests/s" in shown
    assert "between them off by 2 % where that was checked" in shown
    assert "energy_j, idle_energy_j: n/a, because nobody knows" in shown
    assert "4.19 MB at most, 40 % of what the weights leave" in shown
