"""A simulation for the eye: the Gantt chart, the page, and the tables in a terminal."""

from __future__ import annotations

import base64
import gzip
import io
import json
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

import siliform as sf
from siliform.graph_ir.graph import Graph
from siliform.simulator.events.simulate import Simulated, simulate
from siliform.simulator.events.timeline import gantt
from siliform.simulator.events.timeline.tracks import timeline_of
from siliform.simulator.html import html_page, write_html
from siliform.simulator.simulation import CAUSES
from siliform.simulator.tables import print_report

SMALL = {"scratchpad.bytes": 4096, "scratchpad.resident_percent": 25}


def run(graph: Graph, design: str = "edge-32x32", record: int = 100_000, **options: Any) -> Simulated:
    overrides = options.pop("overrides", {})
    return simulate(graph, sf.accelerator(design, **overrides), record=record, **options)


@pytest.fixture
def tiled(make_block: Callable[..., Graph]) -> Graph:
    """A block of many tiles."""
    return make_block(tokens=96, width=96, heads=3)


@pytest.fixture
def stopped(block: Graph) -> Simulated:
    """Ctrl-C after the third node."""

    def told(done: int, _of: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    return run(block, told=told)


# -- Gantt ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("design", "rows"),
    [
        ("edge-32x32", ["array", "vector", "special", "dram", "dma channel 0", "dma channel 1"]),
        ("nvidia-a100", ["host", "tensor", "cuda", "dram"]),
    ],
)
def test_a_small_run_shows_its_resources(block: Graph, design: str, rows: list[str]) -> None:
    simulated = run(block, design)
    (axes,) = gantt.draw_gantt(timeline_of(simulated)).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == rows
    assert axes.get_title(loc="left").splitlines()[0].endswith(f"on {design}")
    assert f"{simulated.report.cycles:,} cycles at" in axes.get_xlabel()
    drawn = sum(len(c.get_paths()) for c in axes.collections if not c.get_hatch())
    resources = timeline_of(simulated).of("resources")[1:]
    assert drawn == sum(len(track.bars) for track in resources)


def test_stalls_are_hatched_and_blocks_coloured_by_kind(tiled: Graph) -> None:
    timeline = timeline_of(run(tiled, overrides=SMALL | {"dram.bandwidth": "1 GB/s"}, fold=False))
    figure = gantt.draw_gantt(
        replace(timeline, tracks=tuple(t for t in timeline.tracks if "dma" not in t.name))
    )
    (axes,) = figure.axes
    hatched = [path for c in axes.collections if c.get_hatch() for path in c.get_paths()]
    assert len(hatched) == sum(len(spans) for spans in timeline.waits.values())
    assert hatched
    legend = {text.get_text() for text in figure.legends[0].get_texts()}
    assert {"matmul", "attention", "load", "store", "waits"} <= legend


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"record": 60, "fold": False}, "60 were recorded; nodes are all shown"),
        ({"record": 900}, "stretches were folded"),
        ({"record": 0}, "nodes only: no tiles and transfers were recorded"),
    ],
    ids=str,
)
def test_a_large_run_shows_nodes_and_says_why(tiled: Graph, options: dict[str, Any], told: str) -> None:
    simulated = run(tiled, overrides=SMALL, **options)
    (axes,) = gantt.draw_gantt(timeline_of(simulated)).axes
    title = axes.get_title(loc="left")
    assert title.splitlines()[0].endswith(": nodes only")
    assert told in title.replace("\n", " ")
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert {"norm", "attention.out", "ffn"} <= set(names)
    assert "array" not in names
    assert axes.get_xlabel().endswith("the pale part of a node's height is its share of waiting")


def test_too_many_blocks_to_tell_apart(tiled: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gantt, "READABLE_BARS", 10)
    (axes,) = gantt.draw_gantt(timeline_of(run(tiled))).axes
    title = axes.get_title(loc="left")
    assert title.splitlines()[0] == "block (prefill, int8) on edge-32x32: nodes only"
    assert title.endswith("tiles and transfers are too many to tell apart")


def test_the_picture_is_a_file_and_every_kind_has_a_colour(block: Graph, tmp_path: Path) -> None:
    from typing import get_args

    from siliform.graph_ir.opspec import Kind

    assert set(get_args(Kind)) <= set(gantt.COLOURS)
    gantt.write_gantt(timeline_of(run(block)), tmp_path / "g.png")
    content = (tmp_path / "g.png").read_bytes()
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    assert len(content) > 5_000


def test_a_partial_run_says_so(stopped: Simulated) -> None:
    (axes,) = gantt.draw_gantt(timeline_of(stopped)).axes
    assert "partial: stopped after 3 of" in axes.get_title(loc="left")


# -- the page ------------------------------------------------------------------------------------


def page_of(simulated: Simulated) -> str:
    return html_page(simulated.report, timeline_of(simulated))


class Page(HTMLParser):
    """Reads a page: totals by key, cells of tables, links, text, and whether tags are closed in order."""

    VOID = ("meta", "br")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.totals: dict[str, str] = {}
        self.links: list[dict[str, str | None]] = []
        self.cells: list[str] = []
        self.text: list[str] = []
        self.loaded: list[str | None] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag not in self.VOID:
            self.open.append(tag)
        if tag == "data":
            self.totals[str(given["id"])] = str(given["value"])
        if tag == "a":
            self.links.append(given)
        if tag != "a":
            self.loaded += [v for k, v in attrs if k in ("src", "href", "xlink:href") and v and v[0] != "#"]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.loaded += [v for k, v in attrs if k in ("src", "href", "xlink:href") and v and v[0] != "#"]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)
        if self.open and self.open[-1] == "td":
            self.cells.append(data)


@pytest.mark.parametrize("design", ["edge-32x32", "nvidia-a100"])
def test_the_page_holds_the_totals_of_the_report(block: Graph, design: str, tmp_path: Path) -> None:
    simulated = run(block, design)
    report = simulated.report
    assert report.simulation is not None
    write_html(report, timeline_of(simulated), tmp_path / "r.html")
    page = Page((tmp_path / "r.html").read_text(encoding="utf-8"))
    assert int(page.totals["cycles"]) == report.cycles
    assert float(page.totals["latency_s"]) == report.latency_s
    assert page.totals["energy_j"] == ("" if report.energy_j is None else str(report.energy_j))
    assert int(page.totals["dram_bytes"]) == report.dram_bytes
    assert int(page.totals["blocks_done"]) == report.simulation.blocks
    for use in report.simulation.resources:
        assert use.name in page.cells
        assert f"{use.busy_cycles:,}" in page.cells
    for cause, cycles in report.simulation.stalls_cycles.items():
        assert (CAUSES[cause] in page.cells) == (cycles > 0)
    for key, origin in report.provenance.items():
        assert key in page.cells
        assert origin.source in page.cells


def test_the_page_needs_no_network_and_carries_its_trace(block: Graph) -> None:
    simulated = run(block)
    page = Page(page_of(simulated))
    assert page.loaded == []
    (trace,) = (link for link in page.links if link.get("id") == "trace")
    assert trace["download"] == "block-edge-32x32-prefill.json.gz"
    head, _, packed = str(trace["href"]).partition(",")
    assert head == "data:application/gzip;base64"
    content = json.loads(gzip.decompress(base64.b64decode(packed)))
    assert content["otherData"]["cycles"] == simulated.report.cycles
    assert len(content["traceEvents"]) > 50


def test_names_are_escaped(block: Graph) -> None:
    simulated = run(block)
    bad = '<script>alert("&")</script>'
    parts = tuple(replace(p, module=f"{bad}.{p.module}") for p in simulated.report.parts)
    text = page_of(replace(simulated, report=replace(simulated.report, model=bad, parts=parts)))
    assert text.count("<script>") == 1  # our own
    page = Page(text)
    assert any(f"{bad} (prefill" in found for found in page.text)
    assert any(cell.startswith(bad) for cell in page.cells)


def test_bars_by_module_are_as_long_as_their_time(tiled: Graph) -> None:
    simulated = run(tiled, overrides=SMALL)
    text = page_of(simulated)
    start = text.index('<svg class="stalls"')
    bars = Page(text[start : text.index("</svg>", start) + len("</svg>")])
    told = [found for found in bars.text if " cycles, " in found]
    total = sum(
        int(found.split(": ")[1].split(" cycles")[0].split(", ")[1].replace(",", "")) for found in told
    )
    assert total == sum(part.cycles for part in simulated.report.parts if part.op != "overlap")


def test_a_partial_page_says_so_and_the_same_run_gives_the_same_page(stopped: Simulated) -> None:
    text = page_of(stopped)
    assert any(found.startswith("partial: stopped after 3 of ") for found in Page(text).text)
    assert text == page_of(stopped)


# -- the tables ----------------------------------------------------------------------------------


def printed(simulated: Simulated, width: int) -> list[str]:
    file = io.StringIO()
    print_report(simulated.report, None, Console(file=file, width=width))
    return file.getvalue().splitlines()


@pytest.mark.parametrize("width", [80, 100, 130])
@pytest.mark.parametrize("design", ["edge-32x32", "nvidia-a100"])
def test_tables_of_stalls_and_resources_fit(block: Graph, design: str, width: int) -> None:
    simulated = run(block, design)
    lines = printed(simulated, width)
    assert max(map(len, lines)) <= width
    assert "…" not in "".join(lines)
    heads = [
        line.split("  ")[0] for line in lines if line.startswith(("module ", "kind", "stalled", "resource"))
    ]
    assert heads == ["module", "kind of work", "stalled for", "resource"]
    assert any(line.startswith("simulated: ") for line in lines)


def test_an_estimate_has_neither(block: Graph) -> None:
    file = io.StringIO()
    print_report(sf.estimate(block, sf.accelerator("edge-32x32")), None, Console(file=file, width=100))
    assert "stalled for" not in file.getvalue()
    assert "simulated:" not in file.getvalue()


def test_the_headline_of_a_partial_result_says_so(stopped: Simulated) -> None:
    known = stopped.report.simulation
    assert known is not None
    first = f"partial: stopped after 3 of {known.blocks} nodes; totals are of these"
    assert printed(stopped, 100)[0] == first
