"""A serving report in a terminal."""

from __future__ import annotations

from typing import Any

from siliform.simulator.serving.report import PERCENTILES, TIMES, ServingReport
from siliform.simulator.tables import engineering, wide_console

_LABELS = {
    "wait_s": "wait for a place in the batch",
    "time_to_first_token_s": "time to first token",
    "time_per_output_token_s": "time per output token",
    "latency_s": "whole request",
}


def print_report(report: ServingReport, console: Any = None) -> None:
    """Print totals, a row per kind of time, and what is to be known of the numbers."""
    console = console or wide_console()
    for line in _headline(report):
        console.print(line, highlight=False)
    console.print()
    console.print(_times(report))
    console.print()
    for line in _notes(report):
        console.print(line, style="dim", highlight=False)


def _headline(report: ServingReport) -> list[str]:
    setting, run = report.setting, report.run
    long = report.makespan_s
    memory = run.memory
    partial = "INTERRUPTED, a partial result: " if run.partial else ""
    share = f"{100 * report.peak_kv_bytes / memory.capacity_bytes:.2g} %" if memory.capacity_bytes else "all"
    busy = f"{100 * report.busy_s / long:.1f} %" if long else "0 %"
    return [
        f"{setting.model} ({setting.bits}) on {setting.design}, --law {setting.law}: {run.policy.batching} "
        f"batching of at most {run.policy.max_batch}",
        f"{partial}{len(report.finished)} of {len(run.served)} requests in {engineering(long, 's')}: "
        f"{_rate(report.output_tokens, long)} output tokens/s, "
        f"{_rate(len(report.finished), long)} requests/s",
        f"busy {busy} of the time, {100 * report.utilization:.2g} % of the peak rate, "
        f"energy {engineering(report.energy_j, 'J')}",
        f"{report.processed_tokens:,} tokens computed, {100 * report.padding_share:.1f} % of them padding; "
        f"KV caches {engineering(report.peak_kv_bytes, 'B')} at most, {share} of what the weights leave",
    ]


def _rate(count: int, seconds: float) -> str:
    return f"{count / seconds:.4g}" if seconds else "n/a"


def _times(report: ServingReport) -> Any:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    table.add_column("time", overflow="fold")
    names = ["mean", *(f"p{p}" for p in PERCENTILES)]
    for name in names:
        table.add_column(name, justify="right", no_wrap=True)
    for name in TIMES:
        spread = report.spread(name)
        cells = ["n/a"] * len(names) if spread is None else [engineering(spread[key], "s") for key in names]
        table.add_row(_LABELS[name], *cells)
    return table


def _notes(report: ServingReport) -> list[str]:
    provenance = report.setting.provenance
    error = provenance["interpolation"].relative_uncertainty
    sizes = len(report.setting.traced_sizes)
    notes = [f"steps: from {sizes} traced sizes"]
    if error is not None:
        notes[0] += f"; between them off by {100 * error:.2g} % where that was checked"
    reasons: dict[str, list[str]] = {}
    for key, origin in provenance.items():
        if origin.kind == "absent":
            reasons.setdefault(origin.source, []).append(key)
    return notes + [f"{', '.join(keys)}: n/a, because {source}" for source, keys in reasons.items()]
