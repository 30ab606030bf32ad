"""The report for readers: tables that fit, pictures that say what they show, notes of what is missing."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

import siliform as sf
from siliform.graph_ir.graph import Builder, Graph
from siliform.graph_ir.ops import OPS
from siliform.graph_ir.types import tensor
from siliform.simulator import grouping, pictures
from siliform.simulator.tables import engineering, print_report


@pytest.fixture
def deep() -> Graph:
    """Twelve layers alike with long names, and a head."""
    b = Builder("deep")
    x = b.input("x", tensor("fp32", 8, 16))
    for layer in range(12):
        for name in ("attention_with_a_long_name.output_projection", "feed_forward_with_a_long_name.up"):
            with b.at(f"decoder.layers.{layer}.{name}", "deep.py:3"):
                x = b(OPS["linear"], x, b.parameter(f"w{layer}{name[0]}", tensor("fp32", 16, 16)))
    with b.at("head", "deep.py:9"):
        return b.finish(b(OPS["linear"], x, b.parameter("head", tensor("fp32", 4, 16))))


def printed(report: Any, width: int, depth: int | None = None) -> list[str]:
    file = io.StringIO()
    print_report(report, depth, Console(file=file, width=width))
    return file.getvalue().splitlines()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "n/a"),
        (0, "0 s"),
        (0.00234, "2.34 ms"),
        (1e-13, "0.1 ps"),
        (1.5e12, "1.5 Ts"),
        (1e18, "1e+03 Ps"),
    ],
)
def test_engineering_notation(value: float | None, text: str) -> None:
    assert engineering(value, "s") == text


@pytest.mark.parametrize("width", [80, 100, 130])
@pytest.mark.parametrize("design", ["edge-32x32", "nvidia-a100"])
def test_tables_fit_and_add_up(deep: Graph, design: str, width: int) -> None:
    lines = printed(sf.estimate(deep, sf.accelerator(design)), width)
    assert max(map(len, lines)) <= width
    assert "…" not in "".join(lines)
    assert sum(line.startswith("total ") and "100.0 %" in line for line in lines) == 2
    header = next(line for line in lines if line.startswith("module "))
    assert ("nodes" in header) == (width >= 100)
    assert ("energy" in header) == (design == "edge-32x32")


def test_layers_alike_share_a_row(deep: Graph) -> None:
    lines = printed(sf.estimate(deep, sf.accelerator("edge-32x32")), 160)
    (row,) = (line for line in lines if "output_projection" in line)
    assert re.match(r"decoder\.layers\.\*\.attention_with_a_long_name\.output_projection +12 ", row)
    shallow = printed(sf.estimate(deep, sf.accelerator("edge-32x32")), 130, depth=1)
    assert [line.split()[0] for line in shallow[6:8]] == ["decoder", "head"]


def test_groups_keep_to_their_limit_and_lose_nothing(deep: Graph) -> None:
    report = sf.estimate(deep, sf.accelerator("edge-32x32"))
    for rows in (grouping.by_layer(report, 20), grouping.by_module(report, 20), grouping.by_kind(report)):
        assert len(rows) <= 20
        assert sum(row.cycles for row in rows) == report.cycles
    assert len(grouping.by_layer(report, 20)) == 13
    assert len(grouping.by_layer(report, 100)) == 25


def test_a_figure_without_a_source_is_explained(deep: Graph) -> None:
    text = " ".join(printed(sf.estimate(deep, sf.accelerator("nvidia-a100")), 100))
    assert "energy n/a" in text
    assert "energy_j: n/a, because NVIDIA publishes no energy" in text


@pytest.mark.parametrize("law", ["model", "bound"])
@pytest.mark.parametrize(
    ("design", "bits", "told"),
    [
        ("edge-32x32", "int8", None),
        (
            "edge-32x32",
            "mxfp4",
            "25 of 25 products in fp4_e2m1 are dequantised and multiplied wide on",
        ),
        ("edge-32x32", "fp16", "25 of 25 products in fp16 run on vector"),
        (
            "nvidia-a100",
            "mxfp8",
            "25 of 25 products in fp8_e4m3 are dequantised to bf16, each rounded once, and",
        ),
        ("nvidia-h100", "fp8_e4m3", None),
    ],
)
def test_says_which_products_leave_their_formats(
    deep: Graph, design: str, bits: str, told: str | None, law: str
) -> None:
    report = sf.estimate(deep, sf.accelerator(design), bits=bits, law=law)
    origin = report.provenance.get("formats")
    notes = [line for line in printed(report, 500) if line.startswith("formats: ")]
    if told is None:
        assert origin is None
        assert not notes
    else:
        assert origin is not None
        assert origin.kind == "traced"
        assert origin.source.startswith(told)
        assert re.search(r", because (array|tensor) multiplies [a-z0-9_, ]+ only$", origin.source)
        assert notes == [f"formats: {origin.source}"]


@pytest.mark.parametrize("design", ["edge-32x32", "nvidia-a100"])
def test_pictures_are_files_that_show_something(block: Graph, design: str, tmp_path: Path) -> None:
    report = sf.estimate(block, sf.accelerator(design))
    written = pictures.write_pictures(report, tmp_path / "new" / "folder")
    stem = f"block-{design}-prefill"
    names = [f"{stem}-{name}.png" for name in ("roofline", "by_layer", "by_module", "by_kind")]
    assert [path.name for path in written] == names
    for path in written:
        content = path.read_bytes()
        assert content.startswith(b"\x89PNG\r\n\x1a\n")
        assert len(content) > 5_000


def test_a_roofline_has_its_roofs_dots_and_labels(block: Graph) -> None:
    report = sf.estimate(block, sf.accelerator("edge-32x32"))
    (axes,) = pictures.roofline(report).axes
    assert axes.get_title(loc="left") == "block (prefill, int8) on edge-32x32: roofline"
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    assert axes.get_ylabel() == "MACs per cycle"
    assert axes.get_xlabel().startswith("MACs per DRAM byte")
    roof = axes.lines[0].get_ydata()
    dots = [tuple(dot) for group in axes.collections for dot in group.get_offsets()]
    shown = {(p.macs_per_dram_byte, p.macs / p.cycles) for p in report.parts if p.macs and p.dram_bytes}
    assert set(dots) == shown
    for intensity, rate in dots:
        assert rate <= max(roof)
        assert rate <= intensity * report.dram_bytes_per_cycle * (1 + 1e-9)
    text = " ".join(t.get_text() for t in axes.texts)
    assert "1,024 MACs per cycle" in text
    assert "25.6 DRAM bytes per cycle" in text
    assert "% of the time" in text


@pytest.mark.parametrize("draw", [pictures.by_layer, pictures.by_module, pictures.by_kind])
def test_bars_add_up_to_the_latency(deep: Graph, draw: Callable[[Any], Any]) -> None:
    report = sf.estimate(deep, sf.accelerator("edge-32x32"))
    (axes,) = draw(report).axes
    unit = {"s": 1, "ms": 1e3, "µs": 1e6, "ns": 1e9}[re.match(r"time in (\w+),", axes.get_xlabel())[1]]  # type: ignore[index]
    assert sum(bar.get_width() for bar in axes.patches) == pytest.approx(report.latency_s * unit)
    assert f"{report.cycles:,} cycles at 1 GHz in all" in axes.get_xlabel()
    assert all(label.get_text() for label in axes.get_yticklabels())
