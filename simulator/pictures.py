"""The report as pictures: roofline, breakdown by layer and by kind. matplotlib, loaded here only."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from siliform.simulator.report import Part, Report

#: One colour per bottleneck, from the Okabe-Ito set that colour-blind readers can tell apart.
COLOURS = {"compute": "#0072B2", "memory": "#D55E00", "link": "#009E73", "launch": "#CC79A7"}


def write_pictures(report: Report, folder: Path) -> list[Path]:
    """Write roofline.png, by_layer.png and by_kind.png; returns their paths.

    Raises OSError where the folder cannot be made or written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stem = f"{report.model}-{report.design}-{report.phase}".replace("/", "_").replace(":", "_")
    drawn = {"roofline": roofline(report), "by_layer": by_layer(report), "by_kind": by_kind(report)}
    paths = []
    for name, figure in drawn.items():
        path = folder / f"{stem}-{name}.png"
        figure.savefig(path, dpi=120)
        paths.append(path)
    return paths


def _figure(title: str, width: float = 8.0, height: float = 4.8) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(title, loc="left", fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def roofline(report: Report) -> Any:
    """Achieved MACs per cycle against MACs per DRAM byte, a dot per node, under the two roofs."""
    figure, axes = _figure(f"{report.model} on {report.design}: roofline")
    dots = [p for p in report.parts if p.macs and p.cycles and p.macs_per_dram_byte]
    intensities = [p.macs_per_dram_byte or 0.0 for p in dots]
    ridge = report.peak_macs_per_cycle / report.dram_bytes_per_cycle
    low = min([ridge / 10, *intensities]) / 2
    high = max([ridge * 10, *intensities]) * 2
    axes.plot(
        [low, ridge, high],
        [low * report.dram_bytes_per_cycle, report.peak_macs_per_cycle, report.peak_macs_per_cycle],
        color="black",
        linewidth=1,
    )
    for name, colour in COLOURS.items():
        chosen = [p for p in dots if p.bottleneck == name]
        if chosen:
            axes.scatter(
                [p.macs_per_dram_byte for p in chosen],
                [p.macs / p.cycles for p in chosen],
                s=[8 + 200 * p.cycles / max(report.cycles, 1) for p in chosen],
                color=colour,
                alpha=0.7,
                label=f"bound by {name}",
            )
    axes.set(xscale="log", yscale="log", xlabel="MACs per DRAM byte", ylabel="MACs per cycle")
    if dots:
        axes.legend(frameon=False, loc="lower right")
    return figure


def by_layer(report: Report, depth: int = 3) -> Any:
    """Cycles of each group of modules in order, stacked by bottleneck."""
    groups = report.grouped(depth)
    figure, axes = _figure(f"{report.model} on {report.design}: cycles by module", 9, 3 + 0.16 * len(groups))
    _stacked(axes, groups.items(), report)
    axes.invert_yaxis()
    axes.tick_params(axis="y", labelsize=7)
    return figure


def by_kind(report: Report) -> Any:
    """Cycles of each kind of work, largest first, stacked by bottleneck."""
    groups = sorted(report.by("kind").items(), key=lambda item: sum(p.cycles for p in item[1]))
    figure, axes = _figure(f"{report.model} on {report.design}: cycles by kind of work")
    _stacked(axes, groups, report)
    return figure


def _stacked(axes: Any, groups: Iterable[tuple[str, list[Part]]], report: Report) -> None:
    rows = list(groups)
    starts = [0.0] * len(rows)
    for name, colour in COLOURS.items():
        widths = [sum(p.cycles for p in parts if p.bottleneck == name) for _, parts in rows]
        if any(widths):
            axes.barh(
                [label for label, _ in rows], widths, left=starts, color=colour, label=f"bound by {name}"
            )
            starts = [start + width for start, width in zip(starts, widths, strict=True)]
    axes.set_xlabel(f"cycles at {report.clock_hz / 1e9:.3g} GHz")
    axes.legend(frameon=False, fontsize=8)
