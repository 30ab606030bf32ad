"""Reports of clusters in a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from siliform.simulator.cluster.report import ClusterReport, DeviceUse
from siliform.simulator.cluster.sweep import SweepReport
from siliform.simulator.tables import engineering, wide_console

#: Devices that get a row of their own; of more, those that differ in none of their numbers share one.
MOST_ROWS = 16


def print_cluster(report: ClusterReport, console: Any = None) -> None:
    """Totals, a row per device, a row per kind of communication."""
    console = console or wide_console()

    def say(text: str) -> None:
        console.print(text, highlight=False)

    link = f"{engineering(report.link_bytes_per_second, 'B/s')}, {engineering(report.link_latency_s, 's')}"
    say(
        f"{report.model} ({report.bits}, {report.phase}) on {report.devices} x {report.design}, {report.plan}"
    )
    say(f"{report.topology} of links {report.link} ({link} each way), --law {report.law}")
    say("")
    say(
        f"latency {engineering(report.latency_s, 's')}; one device {engineering(report.one_device_s, 's')}: "
        f"{report.speedup:.2f} times quicker, efficiency {report.efficiency:.0%}"
    )
    say(
        f"devices compute {report.compute_share:.0%}, wait for bytes {report.communication_share:.0%}, "
        f"for others {report.waiting_share:.0%} of the time; the longest computes {report.imbalance:.0%} "
        "above the mean"
    )
    again = report.redundant_macs / report.one_device_macs if report.one_device_macs else 0.0
    fit = "fits" if report.fits else "does not fit"
    say(
        f"{again:.1%} of the multiply-accumulates are done more than once; what is held {fit} "
        f"{engineering(report.dram_bytes_per_device, 'B')} of DRAM"
    )
    if report.caches_that_fit is not None:
        switch = engineering(report.context_switch_s, "s")
        times = f"{report.caches_that_fit:,} times"
        say(f"caches like these fit {times} beside the weights; to switch them takes {switch}")
    say("")
    console.print(_devices(report))
    if report.operations:
        say("")
        console.print(_operations(report))


def _table(*columns: str) -> Any:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    for name in columns:
        table.add_column(name, justify="left" if name in ("devices", "kind", "mask", "tokens") else "right")
    return table


def _devices(report: ClusterReport) -> Any:
    columns = ("devices", "stage", "computes", "for bytes", "for others", "MACs", "DRAM", "weights", "KV")
    table = _table(*columns)
    for uses in _alike(report.uses):
        use = uses[0]
        names = [str(each.device) for each in uses]
        table.add_row(
            ", ".join(names) if len(names) < 5 else f"{names[0]}, {names[1]}, ..., {names[-1]}",
            str(use.stage),
            engineering(use.compute_s, "s"),
            engineering(use.communication_s, "s"),
            engineering(use.waiting_s, "s"),
            engineering(use.macs, ""),
            engineering(use.dram_bytes, "B"),
            engineering(use.weight_bytes, "B"),
            engineering(use.kv_bytes, "B"),
        )
    return table


def _alike(uses: Sequence[DeviceUse]) -> list[list[DeviceUse]]:
    """Devices that differ in their number alone, to nine digits, put together; few stay apart."""
    groups: dict[tuple[Any, ...], list[DeviceUse]] = {}
    for use in uses:
        times = (f"{t:.9g}" for t in (use.compute_s, use.communication_s, use.waiting_s))
        key = (use.stage, *times, use.macs, use.dram_bytes, use.weight_bytes, use.kv_bytes)
        groups.setdefault(key, []).append(use)
    return list(groups.values()) if len(groups) <= MOST_ROWS else [[use] for use in uses]


def _operations(report: ClusterReport) -> Any:
    table = _table("kind", "how many", "bytes", "each takes", "of")
    for operation in report.operations:
        table.add_row(
            operation.kind,
            f"{operation.count:,}",
            engineering(operation.total_bytes / operation.count, "B"),
            engineering(operation.seconds / operation.count, "s"),
            engineering(report.latency_s, "s"),
        )
    return table


def print_sweep(report: SweepReport, console: Any = None) -> None:
    """A row per mask pattern and degree."""
    console = console or wide_console()
    link = f"{engineering(report.link_bytes_per_second, 'B/s')}, {engineering(report.link_latency_s, 's')}"
    console.print(
        f"one attention of {report.model}: {report.tokens:,} tokens, batch {report.batch}, "
        f"{report.heads} heads on {report.kv_heads} of {report.width} ({report.bits}) on {report.design}",
        highlight=False,
    )
    console.print(
        f"{report.topology} of links {report.link} ({link} each way), --law {report.law}; "
        f"window {report.window}, blocks of {report.block} at density {report.density:g}",
        highlight=False,
    )
    console.print("")
    table = _table(
        *("mask", "tokens", "devices", "latency", "speed-up", "efficiency", "computes", "for bytes"),
        *("for others", "imbalance", "on links"),
    )
    for row in report.rows:
        table.add_row(
            row.pattern,
            row.kind if row.kind == "heads" else f"{row.kind}, {row.placement}",
            str(row.degree),
            engineering(row.latency_s, "s"),
            f"{row.speedup:.2f}",
            f"{row.efficiency:.0%}",
            f"{row.compute_share:.0%}",
            f"{row.communication_share:.0%}",
            f"{row.waiting_share:.0%}",
            f"{row.imbalance:.0%}",
            engineering(row.link_bytes, "B"),
        )
    console.print(table)
