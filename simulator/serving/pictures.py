"""KV memory and batch over time as pictures. matplotlib, loaded here only."""

from __future__ import annotations

import re
from collections.abc import Callable
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
    edges = _edges(report)
    reserved = _heights(report, lambda step: step.kv_reserved_bytes / scale)
    axes.stairs(reserved, edges, color="#999999", label="reserved")
    held = _heights(report, lambda step: step.kv_bytes / scale)
    axes.stairs(held, edges, color=COLOURS["decode"], fill=True, alpha=0.6, label="held")
    capacity = report.run.memory.capacity_bytes / scale
    if max(reserved, default=0.0) > capacity / 4:  # a capacity far above would flatten all below it
        axes.axhline(capacity, color="black", linewidth=1, label="DRAM less weights")
    axes.set(xlabel="seconds", ylabel=f"MiB (of {capacity:,.0f})", ylim=(0, None))
    figure.legend(*axes.get_legend_handles_labels(), frameon=False, fontsize=8, loc="outside lower right")
    return figure


def batch(report: ServingReport) -> Any:
    """Requests in each step by phase, and those waiting."""
    figure, axes = _figure(report, "batch")
    edges = _edges(report)
    for phase, colour in COLOURS.items():
        sizes = _heights(report, lambda step, phase=phase: step.requests if step.phase == phase else 0)
        axes.stairs(sizes, edges, color=colour, fill=True, alpha=0.6, label=phase)
    axes.stairs(_heights(report, lambda step: step.waiting), edges, color="black", label="waiting")
    axes.set(xlabel="seconds", ylabel="requests", ylim=(0, None))
    figure.legend(*axes.get_legend_handles_labels(), frameon=False, fontsize=8, loc="outside lower right")
    return figure


def _edges(report: ServingReport) -> list[float]:
    """Where each step begins and ends, so that a pause between two has a place of its own."""
    return [t for step in report.run.steps for t in (step.start_s, step.start_s + step.duration_s)]


def _heights(report: ServingReport, value: Callable[..., float]) -> list[float]:
    """`value` of each step between its edges, and 0 in the pause after it."""
    return [height for step in report.run.steps for height in (value(step), 0.0)][:-1]


def _figure(report: ServingReport, title: str) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    setting = report.setting
    figure = Figure(figsize=(8.0, 4.0), layout="constrained")
    axes = figure.add_subplot()
    about = f"{setting.model} ({setting.bits}) on {setting.design}, {report.run.policy.batching}"
    axes.set_title(f"{about}: {title}", loc="left", fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes
