"""The report in a terminal."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from siliform.simulator.report import Part, Report

#: Width of a table written to a file or a pipe.
WIDE_COLUMNS = 130


def engineering(value: float | None, unit: str) -> str:
    """Three digits and an SI prefix: ``engineering(0.00234, "s") == "2.34 ms"``; "n/a" for None."""
    if value is None:
        return "n/a"
    if value == 0:
        return f"0 {unit}"
    exponent = min(max(math.floor(math.log10(abs(value)) / 3 + 1e-9), -4), 5)
    prefix = {-4: "p", -3: "n", -2: "µ", -1: "m", 0: "", 1: "k", 2: "M", 3: "G", 4: "T", 5: "P"}[exponent]
    return f"{value / 10 ** (3 * exponent):.3g} {prefix}{unit}"


def wide_console(stderr: bool = False) -> Any:
    """A console as wide as its terminal, or WIDE_COLUMNS where there is none."""
    from rich.console import Console

    console = Console(stderr=stderr)
    return console if console.is_terminal else Console(stderr=stderr, width=WIDE_COLUMNS)


def print_report(report: Report, depth: int = 3, console: Any = None) -> None:
    """Print totals, then a row per group of modules, then the kinds of work."""
    from rich.table import Table

    console = console or wide_console()
    console.print(_headline(report))
    table = Table(title=f"{report.model} on {report.design}, by module", title_justify="left")
    for name in ("module", "nodes"):
        table.add_column(name, justify="left" if name == "module" else "right")
    for name in ("MACs", "DRAM", "cycles", "share", "energy", "util.", "bottleneck"):
        table.add_column(name, justify="right")
    for name, parts in _folded(report.grouped(depth)).items():
        table.add_row(*_row(name, parts, report))
    table.add_section()
    table.add_row(*_row("total", report.parts, report))
    console.print(table)
    kinds = Table(title="by kind of work", title_justify="left")
    for name in ("kind", "nodes", "MACs", "DRAM", "cycles", "share", "energy", "util.", "bottleneck"):
        kinds.add_column(name, justify="left" if name == "kind" else "right")
    for name, parts in sorted(report.by("kind").items(), key=lambda item: -sum(p.cycles for p in item[1])):
        kinds.add_row(*_row(name, parts, report))
    console.print(kinds)
    for key, origin in report.provenance.items():
        if origin.kind == "absent":
            console.print(f"{key}: n/a, because {origin.source}", style="dim")


def _headline(report: Report) -> str:
    utilization = f"{100 * report.utilization:.1f} %"
    return (
        f"{report.model} ({report.phase}, {report.bits}) on {report.design}: "
        f"{engineering(report.latency_s, 's')} ({report.cycles:,} cycles), "
        f"{engineering(report.energy_j, 'J')}, {_area(report.area_mm2)}, "
        f"{engineering(report.dram_bytes, 'B')} of DRAM traffic, "
        f"utilisation {utilization}, bound by {report.bottleneck} [--law {report.law}]"
    )


def _area(area_mm2: float | None) -> str:
    return "area n/a" if area_mm2 is None else f"{area_mm2:.3g} mm²"


def _folded(groups: dict[str, list[Part]]) -> dict[str, list[Part]]:
    """Merge neighbouring groups that differ only in a layer number, so that 80 layers take one row."""
    import re

    folded: dict[str, list[Part]] = {}
    seen: dict[str, set[str]] = {}
    for name, parts in groups.items():
        pattern = re.sub(r"(?<=\.)\d+(?=\.|$)", "*", name)
        folded.setdefault(pattern, []).extend(parts)
        seen.setdefault(pattern, set()).add(name)
    return {
        (
            pattern.replace("*", f"({len(seen[pattern])})", 1)
            if len(seen[pattern]) > 1
            else min(seen[pattern])
        ): parts
        for pattern, parts in folded.items()
    }


def _row(name: str, parts: Iterable[Part], report: Report) -> list[str]:
    parts = list(parts)
    cycles = sum(p.cycles for p in parts)
    macs = sum(p.macs for p in parts)
    energies = [p.energy_j for p in parts]
    energy = None if None in energies else math.fsum(e for e in energies if e is not None)
    peak = report.peak_macs_per_cycle * cycles
    worst: dict[str, int] = {}
    for part in parts:
        worst[part.bottleneck] = worst.get(part.bottleneck, 0) + part.cycles
    return [
        name,
        str(len(parts)),
        engineering(macs, ""),
        engineering(sum(p.dram_bytes for p in parts), "B"),
        f"{cycles:,}",
        f"{100 * cycles / report.cycles:.1f} %" if report.cycles else "0 %",
        engineering(energy, "J"),
        f"{100 * macs / peak:.1f} %" if peak else "0 %",
        max(worst, key=lambda k: worst[k]) if worst else "",
    ]
