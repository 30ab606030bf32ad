"""The main job on real transformers: what `make demo` runs."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import siliform as sf
from siliform.console import messages_to_stderr, progress, quiet_logs

if TYPE_CHECKING:
    from siliform.simulator.report import Report

#: (model, options of the trace): an encoder, a long prefill, one token behind a long cache.
RUNS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("bert-base", {"seq": 128}),
    ("llama-2-7b", {"seq": 2048}),
    ("llama-2-7b", {"phase": "decode", "context": 4096}),
)
DESIGNS = ("edge-32x32", "server-128x128", "nvidia-h100")
#: The search at the end, and how long it takes; the file is examples/bert-hardware.toml.
STUDY = Path(__file__).parent / "demo_study.toml"
BUDGET = "100s"


def run(
    out: Path,
    console: Any,
    *,
    runs: Sequence[tuple[str, Mapping[str, Any]]] = RUNS,
    designs: Sequence[str] = DESIGNS,
    budget: str = BUDGET,
) -> dict[str, Any]:
    """Trace and estimate every run on every design, then search for a better design for BERT-base.

    Prints tables, writes pictures, CSV and JSON, and the search's report into ``sweep``; a search that is
    there already goes on.

    Returns the summary that is written to ``summary.json``; OSError where `out` cannot be written.
    """
    from siliform.simulator.tables import print_report

    out.mkdir(parents=True, exist_ok=True)
    rows = []
    for model, options in runs:
        with progress(f"tracing {model} with torch.export"), messages_to_stderr(), quiet_logs():
            started = time.perf_counter()
            graph = sf.trace(model, **options)
            traced_s = time.perf_counter() - started
        for design in designs:
            doing = f"estimating {model} on {design} (the first time, kernels are compiled: half a minute)"
            with progress(doing) as say, messages_to_stderr():
                started = time.perf_counter()
                report = sf.estimate(graph, sf.accelerator(design))
                elapsed_s = time.perf_counter() - started
                say(f"drawing {model} on {design}")
                _write(report, out)
            print_report(report, console=console)
            rows.append(_row(report, traced_s, elapsed_s))
    _print_summary(rows, console)
    found = _search(out / "sweep", budget, console)
    summary = {"format": "siliform-demo", "version": 1, "folder": str(out), "runs": rows, "sweep": found}
    (out / "summary.json").write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
    console.print(f"The runs lie in {out}/: summary.json, a JSON and a CSV a run, and pictures (*.png).")
    return summary


def _search(folder: Path, budget: str, console: Any) -> dict[str, Any]:
    """The search: its front is printed, its report written."""
    from siliform.commands_sweep import drawn, print_front
    from siliform.dse.study import Budget
    from siliform.dse.studyfile import read_study
    from siliform.studies import search

    file = read_study(STUDY)
    console.print(f"\nNow a search: which chip of {file.study.name}'s, for {Budget.parse(budget)} ...")
    with drawn(file) as view, messages_to_stderr(), quiet_logs():
        outcome = search(
            file,
            folder,
            executor="serial",
            resume=True,
            budget=budget,
            report=True,
            listener=view,
            progress=view.doing,
        )
    told = outcome.to_json() | {"out": str(folder)}
    print_front(outcome, told, console)
    kept = ("evaluations", "infeasible", "hypervolume", "space_size", "seconds", "report")
    return {**{key: told[key] for key in kept}, "front": len(told["front"])}


def _write(report: Report, out: Path) -> None:
    from siliform.simulator.pictures import write_pictures

    stem = re.sub(r"[^\w.+-]+", "_", f"{report.model}-{report.design}-{report.phase}")
    (out / f"{stem}.json").write_text(report.to_json(indent=1) + "\n", encoding="utf-8")
    report.to_csv(out / f"{stem}.csv")
    write_pictures(report, out)


def _row(report: Report, traced_s: float, elapsed_s: float) -> dict[str, Any]:
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


def _print_summary(rows: list[dict[str, Any]], console: Any) -> None:
    from rich import box
    from rich.table import Table

    from siliform.simulator.tables import engineering

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
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


if __name__ == "__main__":
    from siliform.cli import main

    main(["demo", *sys.argv[1:]])
