"""The main job on real transformers: what `make demo` runs."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import siliform as sf

#: (model, options of the trace): an encoder, a long prefill, one token behind a long cache.
RUNS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("bert-base", {"seq": 128}),
    ("llama-2-7b", {"seq": 2048}),
    ("llama-2-7b", {"phase": "decode", "context": 4096}),
)
DESIGNS = ("edge-32x32", "server-128x128", "nvidia-h100")


def run(out: Path) -> dict[str, Any]:
    """Trace and estimate every run on every design; print tables, write pictures and JSON.

    Returns the summary that is written to ``summary.json``.
    """
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    from siliform.simulator.pictures import write_pictures
    from siliform.simulator.tables import print_report, wide_console

    out.mkdir(parents=True, exist_ok=True)
    console = wide_console(stderr=True)
    rows = []
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("starting", total=None)
        for model, options, graph, traced_s in _graphs(progress, task):
            for design in DESIGNS:
                progress.update(task, description=f"estimating {model} on {design}")
                started = time.perf_counter()
                report = sf.estimate(graph, sf.accelerator(design))
                elapsed_s = time.perf_counter() - started
                print_report(report, console=console)
                stem = f"{model}-{options.get('phase', 'prefill')}-{design}"
                (out / f"{stem}.json").write_text(report.to_json(indent=1) + "\n")
                report.to_csv(out / f"{stem}.csv")
                progress.update(task, description=f"drawing {model} on {design}")
                write_pictures(report, out)
                rows.append(_row(report, traced_s, elapsed_s))
    summary = {"format": "siliform-demo", "version": 1, "folder": str(out), "runs": rows}
    (out / "summary.json").write_text(json.dumps(summary, indent=1) + "\n")
    _print_summary(rows, out, console)
    return summary


def _graphs(progress: Any, task: Any) -> Iterator[tuple[str, dict[str, Any], Any, float]]:
    for model, options in RUNS:
        progress.update(task, description=f"tracing {model} with torch.export")
        started = time.perf_counter()
        graph = sf.trace(model, **options)
        yield model, options, graph, time.perf_counter() - started


def _row(report: Any, traced_s: float, elapsed_s: float) -> dict[str, Any]:
    return {
        "model": report.model,
        "phase": report.phase,
        "design": report.design,
        "bits": report.bits,
        "latency_s": report.latency_s,
        "energy_j": report.energy_j,
        "dram_bytes": report.dram_bytes,
        "utilization": report.utilization,
        "bottleneck": report.bottleneck,
        "trace_s": round(traced_s, 2),
        "estimate_s": round(elapsed_s, 3),
    }


def _print_summary(rows: list[dict[str, Any]], out: Path, console: Any) -> None:
    from rich.table import Table

    from siliform.simulator.tables import engineering

    table = Table(title="found", title_justify="left")
    for name in ("model", "phase", "design", "bits", "latency", "energy", "DRAM", "util.", "bound by"):
        table.add_column(name, justify="left" if name in ("model", "phase", "design", "bits") else "right")
    for row in rows:
        table.add_row(
            row["model"],
            row["phase"],
            row["design"],
            row["bits"],
            engineering(row["latency_s"], "s"),
            engineering(row["energy_j"], "J"),
            engineering(row["dram_bytes"], "B"),
            f"{100 * row['utilization']:.1f} %",
            row["bottleneck"],
        )
    console.print(table)
    console.print(f"The report lies in {out}/: summary.json, a JSON and a CSV a run, and pictures (*.png).")
