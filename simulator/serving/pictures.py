"""KV memory and batch over time as pictures. matplotlib, loaded here only."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from siliform.simulator.serving.report import ServingReport

#: Blue and vermilion of the Okabe-Ito set, which colour-blind readers can tell apart.
COLOURS = {"prefill": "#D55E00", "decode": "#0072B2"}


def write_pictures(report: ServingReport, folder: Path) -> list[Path]:
    """Write kv and batch as PNG, named ``<model>-<design>-<batching>-<picture>.png``; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    names = f"{report.setting.model}-{report.setting.design}-{report.run.policy.batching}"
    stem = re.sub(r"[^\w.+-]+", "_", names)
    paths = []
    for name, figure in {"kv": kv_memory(report), "batch": batch(report)}.items():
        path = folder / f"{stem}-{name}.png"
        figure.savefig(path, dpi=120)
        paths.append(path)
    return paths


def kv_memory(report: ServingReport) -> Any:
    """Bytes of KV caches held and reserved over time, below what DRAM has beside the weights."""
    figure, axes = _figure(report, "KV memory")
    scale = 2**20
    times = _edges(report)
    steps = report.run.steps
    axes.stairs([s.kv_reserved_bytes / scale for s in steps], times, color="#999999", label="reserved")
    held = [s.kv_bytes / scale for s in steps]
    axes.stairs(held, times, color=COLOURS["decode"], fill=True, alpha=0.6, label="held")
    capacity = report.run.memory.capacity_bytes / scale
    most = max((s.kv_reserved_bytes / scale for s in steps), default=0.0)
    if most > capacity / 4:  # a capacity far above would flatten everything below it
        axes.axhline(capacity, color="black", linewidth=1, label="DRAM less weights")
    axes.set(xlabel="seconds", ylabel=f"MiB (of {capacity:,.0f})", ylim=(0, None))
    figure.legend(*axes.get_legend_handles_labels(), frameon=False, fontsize=8, loc="outside lower right")
    return figure


def batch(report: ServingReport) -> Any:
    """Requests in each step by phase, and those waiting."""
    figure, axes = _figure(report, "batch")
    times = _edges(report)
    for phase, colour in COLOURS.items():
        sizes = [s.requests if s.phase == phase else 0 for s in report.run.steps]
        axes.stairs(sizes, times, color=colour, fill=True, alpha=0.6, label=phase)
    axes.stairs([s.waiting for s in report.run.steps], times, color="black", label="waiting")
    axes.set(xlabel="seconds", ylabel="requests", ylim=(0, None))
    figure.legend(*axes.get_legend_handles_labels(), frameon=False, fontsize=8, loc="outside lower right")
    return figure


def _edges(report: ServingReport) -> list[float]:
    """Where steps begin, and the last one ends; a pause belongs to the step before it."""
    steps = report.run.steps
    return [s.start_s for s in steps] + [steps[-1].start_s + steps[-1].duration_s if steps else 0.0]


def _figure(report: ServingReport, title: str) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    setting = report.setting
    figure = Figure(figsize=(8.0, 4.0), layout="constrained")
    axes = figure.add_subplot()
    about = f"{setting.model} ({setting.bits}) on {setting.design}, {report.run.policy.batching}"
    axes.set_title(f"{about}: {title}", loc="left", fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes
