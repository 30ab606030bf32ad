"""Clusters as pictures. matplotlib, loaded here only."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from siliform.simulator.cluster.machine import Slice
from siliform.simulator.cluster.report import ClusterReport
from siliform.simulator.cluster.sweep import SweepReport

#: Of the Okabe-Ito set, which colour-blind readers can tell apart.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
#: What a device does, and its colour.
KINDS = (("compute", "#0072B2"), ("communication", "#D55E00"), ("waiting", "#BBBBBB"))


def write_cluster_pictures(report: ClusterReport, slices: list[Slice], folder: Path) -> list[Path]:
    """Write devices and timeline as PNG, ``<model>-<design>-<plan>-<picture>.png``; returns their paths."""
    stem = f"{report.model}-{report.design}-{report.plan}"
    return _write(folder, stem, {"devices": devices(report), "timeline": timeline(report, slices)})


def write_sweep_pictures(report: SweepReport, folder: Path) -> list[Path]:
    """Write efficiency and latency against the degree as one PNG; returns its path in a list."""
    return _write(folder, f"{report.model}-{report.design}", {"sweep": scaling(report)})


def devices(report: ClusterReport) -> Any:
    """What each device spends its time on, stacked."""
    figure, axes = _figure(f"{report.model} on {report.devices} x {report.design}, {report.plan}")
    left = [0.0] * len(report.uses)
    places = range(len(report.uses))
    for name, colour in KINDS:
        widths = [1e3 * getattr(use, f"{name}_s") for use in report.uses]
        axes.barh(places, widths, left=left, color=colour, label=name)
        left = [a + b for a, b in zip(left, widths, strict=True)]
    axes.set(xlabel="milliseconds")
    _number(axes, report.devices)
    figure.legend(
        *axes.get_legend_handles_labels(), ncols=3, frameon=False, fontsize=8, loc="outside lower right"
    )
    return figure


def timeline(report: ClusterReport, slices: list[Slice]) -> Any:
    """When each device computed and waited for bytes; the first slices of a long run."""
    figure, axes = _figure(f"{report.model} on {report.devices} x {report.design}, {report.plan}")
    for kind, colour in KINDS[:2]:
        for device in range(report.devices):
            own = [
                (1e3 * s.start_s, 1e3 * (s.end_s - s.start_s))
                for s in slices
                if s.device == device and s.kind == kind
            ]
            axes.broken_barh(own, (device - 0.4, 0.8), facecolors=colour, edgecolor="white", linewidth=0.2)
    axes.set(xlabel="milliseconds", xlim=(0, 1e3 * max((s.end_s for s in slices), default=1.0)))
    _number(axes, report.devices)
    return figure


def scaling(report: SweepReport) -> Any:
    """Latency and efficiency against the number of devices, a line per mask pattern."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.0, 4.0), layout="constrained")
    left, right = figure.subplots(1, 2)
    about = f"one attention of {report.model}, {report.tokens:,} tokens ({report.bits}) on {report.design}"
    figure.suptitle(about, x=0.01, ha="left", fontsize=10)
    patterns = list(dict.fromkeys(row.pattern for row in report.rows))
    for pattern, colour in zip(patterns, COLOURS, strict=False):
        rows = [row for row in report.rows if row.pattern == pattern]
        degrees = [row.degree for row in rows]
        left.plot(degrees, [1e3 * row.latency_s for row in rows], "o-", color=colour, label=pattern)
        right.plot(degrees, [row.efficiency for row in rows], "o-", color=colour)
    left.set(xscale="log", yscale="log", xlabel="devices", ylabel="milliseconds")
    right.set(xscale="log", xlabel="devices", ylabel="efficiency", ylim=(0, None))
    ticks = sorted({row.degree for row in report.rows})
    for axes in (left, right):
        axes.set_xticks(ticks, [str(tick) for tick in ticks])
        axes.minorticks_off()
        axes.spines[["top", "right"]].set_visible(False)
    left.legend(frameon=False, fontsize=8)
    return figure


def _number(axes: Any, count: int) -> None:
    """Devices by number from the top; of many, some are named."""
    axes.set_yticks(range(0, count, -(-count // 16)))
    axes.set(ylabel="device")
    axes.invert_yaxis()


def _figure(title: str) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.0, 4.0), layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(title, loc="left", fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _write(folder: Path, stem: str, figures: dict[str, Any]) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    paths, plain = [], re.sub(r"[^\w.+-]+", "_", stem)
    for name, figure in figures.items():
        path = folder / f"{plain}-{name}.png"
        figure.savefig(path, dpi=120)
        paths.append(path)
    return paths
