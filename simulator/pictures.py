"""The report as pictures: roofline, time by layer, by module and by kind. matplotlib, loaded here only."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from siliform.simulator import grouping
from siliform.simulator.grouping import Row
from siliform.simulator.report import Bottleneck, Part, Report

#: One colour per bottleneck, from the Okabe-Ito set that colour-blind readers can tell apart.
COLOURS = {"compute": "#0072B2", "memory": "#D55E00", "link": "#009E73", "launch": "#CC79A7"}

#: Bars that a picture may have.
_BARS = 48


def write_pictures(report: Report, folder: Path) -> list[Path]:
    """Write roofline, by_layer, by_module and by_kind as PNG; returns their paths.

    The files are named ``<model>-<design>-<phase>-<picture>.png``. Raises OSError where the folder
    cannot be made or written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stem = picture_stem(report)
    drawn = {
        "roofline": roofline(report),
        "by_layer": by_layer(report),
        "by_module": by_module(report),
        "by_kind": by_kind(report),
    }
    paths = []
    for name, figure in drawn.items():
        path = folder / f"{stem}-{name}.png"
        figure.savefig(path, dpi=120)
        paths.append(path)
    return paths


def picture_stem(report: Report) -> str:
    """What the names of a report's pictures begin with."""
    return re.sub(r"[^\w.+-]+", "_", f"{report.model}-{report.design}-{report.phase}")


def _figure(report: Report, title: str, width: float = 8.0, height: float = 4.8) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.add_subplot()
    about = f"{report.model} ({report.phase}, {report.bits}) on {report.design}"
    axes.set_title(f"{about}: {title}", loc="left", fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


# -- roofline ----------------------------------------------------------------------------------------


def roofline(report: Report) -> Any:
    """Achieved MACs per cycle against MACs per DRAM byte under the two roofs.

    Nodes alike share a dot, whose area is their share of the time; the largest are named. Nodes
    that multiply nothing or touch no DRAM have no place here.
    """
    figure, axes = _figure(report, "roofline")
    dots = _dots(report)
    _roofs(axes, report, [x for (x, _, _), _ in dots])
    for name, colour in COLOURS.items():
        chosen = [(x, y, row) for (x, y, bound), row in dots if bound == name]
        if chosen:
            axes.scatter(
                [x for x, _, _ in chosen],
                [y for _, y, _ in chosen],
                s=[16 + 600 * row.cycles / max(report.cycles, 1) for _, _, row in chosen],
                color=colour,
                alpha=0.6,
                linewidths=0,
                label=f"bound by {name}",
            )
    _name_largest(axes, report, dots)
    axes.set(xscale="log", yscale="log", ylabel="MACs per cycle")
    axes.set_xlabel("MACs per DRAM byte (the area of a dot is its share of the time)")
    if dots:
        legend = axes.legend(frameon=False, loc="lower right", fontsize=8)
        for handle in legend.legend_handles:
            handle.set_sizes([30])
    return figure


def _name_largest(axes: Any, report: Report, dots: Sequence[tuple[tuple[float, float, Any], Row]]) -> None:
    """Letters beside the largest dots, explained in the corner above the sloping roof, which is empty."""
    beside = ((-10, 10), (10, 10), (10, -10), (-10, -10))  # dots often lie close together
    largest = sorted(dots, key=lambda dot: -dot[1].cycles)[: len(beside)]
    lines = []
    for letter, offset, ((x, y, _), row) in zip("abcd", beside, largest, strict=False):
        axes.annotate(
            letter, (x, y), offset, textcoords="offset points", fontsize=9, ha="center", va="center"
        )
        share = 100 * row.cycles / max(report.cycles, 1)
        times = f" ×{row.times}" if row.times > 1 else ""
        lines.append(f"{letter}  {row.name}{times}, {share:.1f} % of the time")
    axes.text(0.02, 0.97, "\n".join(lines), transform=axes.transAxes, fontsize=8, va="top")


def _dots(report: Report) -> list[tuple[tuple[float, float, Bottleneck], Row]]:
    """Nodes by place and bottleneck: what they are called, and how many there are."""
    places: dict[tuple[float, float, Bottleneck], list[Part]] = {}
    for part in report.parts:
        if part.macs and part.cycles and part.macs_per_dram_byte:
            place = (part.macs_per_dram_byte, part.macs / part.cycles, part.bottleneck)
            places.setdefault(place, []).append(part)
    return [(place, Row(_called(parts), len(parts), parts)) for place, parts in places.items()]


def _called(parts: Sequence[Part]) -> str:
    """The last steps of the module paths, numbers left out."""
    names: dict[str, None] = {}
    for part in parts:
        steps = [step for step in part.module.split(".") if not step.isdigit()]
        names[".".join(steps[-2:]) or part.op] = None
    first = list(names)[:2]
    return ", ".join(first) + (", ..." if len(names) > len(first) else "")


def _roofs(axes: Any, report: Report, intensities: Sequence[float]) -> None:
    peak, bandwidth = report.peak_macs_per_cycle, report.dram_bytes_per_cycle
    ridge = peak / bandwidth
    low, high = min([ridge / 10, *intensities]) / 2, max([ridge * 10, *intensities]) * 2
    axes.plot([low, ridge, high], [low * bandwidth, peak, peak], color="black", linewidth=1)
    beside = {"textcoords": "offset points", "ha": "right", "fontsize": 8}
    axes.annotate(f"{peak:,.0f} MACs per cycle", (high, peak), (0, 4), **beside)
    slope = f"{bandwidth:,.4g} DRAM bytes per cycle"
    axes.annotate(slope, (ridge / 3, peak / 3), (-8, 0), va="bottom", **beside)


# -- bars --------------------------------------------------------------------------------------------


def by_layer(report: Report) -> Any:
    """Time of each layer in order, stacked by bottleneck."""
    return _bars(report, "time by layer", grouping.by_layer(report, _BARS))


def by_module(report: Report) -> Any:
    """The same with layers that differ in their number only taken together."""
    return _bars(report, "time by module, layers together", grouping.by_module(report, _BARS))


def by_kind(report: Report) -> Any:
    """Time of each kind of work, longest first, stacked by bottleneck."""
    return _bars(report, "time by kind of work", grouping.by_kind(report))


def _bars(report: Report, title: str, rows: Sequence[Row]) -> Any:
    figure, axes = _figure(report, title, 9, 1.6 + 0.2 * len(rows))
    factor, unit = _time_unit(report.latency_s)
    labels = [f"{row.name} ×{row.times}" if row.times > 1 else row.name for row in rows]
    starts = [0.0] * len(rows)
    for name, colour in COLOURS.items():
        cycles = [sum(p.cycles for p in row.parts if p.bottleneck == name) for row in rows]
        widths = [factor * count / report.clock_hz for count in cycles]
        if any(widths):
            axes.barh(labels, widths, left=starts, color=colour, label=f"bound by {name}")
            starts = [start + width for start, width in zip(starts, widths, strict=True)]
    for place, row in enumerate(rows):
        share = f" {100 * row.cycles / max(report.cycles, 1):.1f} %"
        axes.annotate(share, (starts[place], place), va="center", fontsize=7)
    axes.invert_yaxis()
    axes.margins(x=0.08)
    axes.tick_params(axis="y", labelsize=8)
    axes.set_xlabel(f"time in {unit}, {report.cycles:,} cycles at {report.clock_hz / 1e9:.3g} GHz in all")
    figure.legend(*axes.get_legend_handles_labels(), frameon=False, fontsize=8, loc="outside lower right")
    return figure


def _time_unit(seconds: float) -> tuple[float, str]:
    """The factor from seconds to a unit in which the whole is 1 or more, and its name."""
    units = ((1.0, "s"), (1e3, "ms"), (1e6, "µs"), (1e9, "ns"))
    return next(((factor, unit) for factor, unit in units if seconds * factor >= 1), units[-1])
