"""docs/timeline.md is true: its picture is of today, and it names every track and counter that there is."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

import siliform as sf
from siliform.simulator.events.recording import RECORDED
from siliform.simulator.events.simulate import simulate
from siliform.simulator.events.timeline.gantt import gantt_svg
from siliform.simulator.events.timeline.tracks import RESOURCES, timeline_of

DOCS = Path(__file__).parents[3] / "docs"


@pytest.fixture(scope="module")
def page() -> str:
    return (DOCS / "timeline.md").read_text(encoding="utf-8")


def test_the_picture_is_what_the_command_draws(committed: Callable[[Path, str], None], page: str) -> None:
    simulated = simulate(sf.trace("bert-tiny"), sf.accelerator("edge-32x32"), record=RECORDED)
    committed(DOCS / "timeline.svg", gantt_svg(timeline_of(simulated)))
    shown = re.search(r"channels of the DMA over (\d+) µs\]\(timeline\.svg\)", page)
    assert shown
    assert round(simulated.report.latency_s * 1e6) == int(shown[1])


@pytest.mark.parametrize("design", ["edge-32x32", "nvidia-a100"])
def test_the_page_names_every_track_and_counter(design: str, page: str) -> None:
    accelerator = sf.accelerator(design)
    timeline = timeline_of(simulate(sf.trace("bert-tiny"), accelerator, record=RECORDED))
    units = {unit.name for unit in accelerator.units}
    for track in timeline.of(RESOURCES):
        if track.name not in units:
            assert f"| {re.sub(r' [0-9]+$', ' 0', track.name)}" in page, track.name
    for counter in timeline.counters:
        name = re.sub(rf"queue for ({'|'.join(units)})$", "queue for a unit", counter.name)
        assert re.search(rf"^\| [^|]*{name}", page, re.MULTILINE), counter.name


def test_the_page_names_the_limit(page: str) -> None:
    assert f"At most {RECORDED:,} tiles and transfers are kept." in page
