"""The report in a terminal."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Sequence
from typing import Any

from siliform.simulator.grouping import Row, by_kind, by_module
from siliform.simulator.report import Report
from siliform.simulator.simulation import CAUSES, Simulation

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
    """A console as wide as its terminal, or as $COLUMNS or WIDE_COLUMNS where there is none."""
    from rich.console import Console

    console = Console(stderr=stderr)
    known = console.is_terminal or os.environ.get("COLUMNS", "").isdigit()
    return console if known else Console(stderr=stderr, width=WIDE_COLUMNS)


#: Columns of a table of parts after the name, and whether a narrow terminal leaves them out.
PART_COLUMNS = (
    ("×", False),
    ("nodes", True),
    ("MACs", True),
    ("DRAM", False),
    ("cycles", False),
    ("share", False),
    ("energy", False),
    ("util.", False),
    ("bound by", False),
)
#: Below this many columns of a terminal the table leaves some of its own out.
_NARROW = 100
#: Rows that a table by module may have where no depth is asked for.
_ROWS = 24


def print_report(report: Report, depth: int | None = None, console: Any = None) -> None:
    """Print totals, a row per group of modules, a row per kind of work, and what is to be known of them.

    `depth` is the number of steps of the module path that a row stands for; None takes as many as
    give a readable table. Layers that differ in their number only share a row.
    """
    console = console or wide_console()
    for line in _headline(report):
        console.print(line, highlight=False)
    console.print()
    _print_table(report, "module", by_module(report, _ROWS, depth), console)
    _print_table(report, "kind of work", by_kind(report), console)
    if report.simulation is not None:
        _print_stalls(report, console)
        _print_resources(report.simulation, console)
    for line in _notes(report):
        console.print(line, style="dim", highlight=False)


def _print_table(report: Report, what: str, rows: Sequence[Row], console: Any) -> None:
    from rich import box
    from rich.table import Table

    narrow = console.width < _NARROW
    left_out = {name for name, optional in PART_COLUMNS if optional and narrow}
    if report.energy_j is None:
        left_out.add("energy")  # the notes below the tables say why
    if all(row.times == 1 for row in rows):
        left_out.add("×")
    kept = [i for i, (name, _) in enumerate(PART_COLUMNS) if name not in left_out]
    cells = [row_cells(row, report, narrow) for row in rows]
    total = row_cells(Row("total", 1, report.parts), report, narrow)
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False, show_footer=True)
    table.add_column(what, footer="total", overflow="fold")
    width = console.width - 1
    for i in kept:
        table.add_column(PART_COLUMNS[i][0], footer=total[i], justify="right", no_wrap=True)
        width -= 2 + max(len(texts[i]) for texts in (*cells, total, [name for name, _ in PART_COLUMNS]))
    for row, texts in zip(rows, cells, strict=True):
        table.add_row(_wrapped(row.name, width), *(texts[i] for i in kept))
    console.print(table)
    console.print()


def _wrapped(name: str, width: int) -> str:
    """A module path in lines of at most `width` characters, broken at its dots where that is possible."""
    lines = [""]
    for step in re.split(r"(?<=[.])", name):
        if lines[-1].strip() and len(lines[-1] + step) > width:
            lines.append("  ")
        lines[-1] += step
    return "\n".join(lines)


def stall_rows(report: Report) -> list[tuple[str, int, float, str, str]]:
    """Causes of stalls: name, cycles, their share of all nodes' time, the module that lost most, meaning."""
    known = report.simulation
    if known is None:
        return []
    spent = sum(part.cycles for part in report.parts if part.cycles > 0)
    modules = by_module(report, _ROWS)
    rows = []
    for cause, meaning in CAUSES.items():
        cycles = known.stalls_cycles[cause]
        if cycles:
            lost = [sum((part.stalls_cycles or {}).get(cause, 0) for part in row.parts) for row in modules]
            most = modules[max(range(len(lost)), key=lambda i: lost[i])].name if any(lost) else ""
            rows.append((cause, cycles, cycles / max(spent, 1), most, meaning))
    return rows


def _print_stalls(report: Report, console: Any) -> None:
    rows = [
        (cause, f"{cycles:,}", f"{100 * share:.1f} %", most, meaning)
        for cause, cycles, share, most, meaning in stall_rows(report)
    ]
    if rows:
        heads = ("stalled for", "cycles", "of nodes' time", "most in", "since")
        _print_plain(heads, "lrrll", rows, console)


def resource_cells(known: Simulation) -> list[tuple[str, ...]]:
    """Name, busy cycles, share of the time, cycles waited for it, mean and deepest queue of each resource."""
    return [
        (
            use.name,
            f"{use.busy_cycles:,}",
            f"{100 * use.busy_share:.1f} %",
            f"{use.waited_cycles:,}",
            f"{use.mean_queue:.2f}",
            "" if use.deepest_queue is None else f"{use.deepest_queue:,}",
        )
        for use in known.resources
    ]


#: What `resource_cells` are.
RESOURCE_HEADS = ("resource", "busy cycles", "busy", "waited for", "mean queue", "deepest")


def _print_resources(known: Simulation, console: Any) -> None:
    _print_plain(RESOURCE_HEADS, "lrrrrr", resource_cells(known), console)


def _print_plain(heads: Sequence[str], sides: str, rows: Sequence[Sequence[str]], console: Any) -> None:
    """A table without a total; `sides` says l or r for each column."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    for head, side in zip(heads, sides, strict=True):
        table.add_column(
            head, justify="right" if side == "r" else "left", no_wrap=side == "r", overflow="fold"
        )
    for row in rows:
        table.add_row(*row)
    console.print(table)
    console.print()


def _headline(report: Report) -> list[str]:
    known = report.simulation
    partial = [] if known is None or not known.partial else [partial_note(known)]
    return [
        *partial,
        f"{report.model} ({report.phase}, {report.bits}) on {report.design}, --law {report.law}",
        f"{engineering(report.latency_s, 's')} ({report.cycles:,} cycles), "
        f"energy {engineering(report.energy_j, 'J')}, {_area(report.area_mm2)}, "
        f"{engineering(report.dram_bytes, 'B')} of DRAM traffic",
        f"{100 * report.utilization:.1f} % of the peak rate; bound by {report.bottleneck}",
    ]


def partial_note(known: Simulation) -> str:
    """What to say of a simulation that was stopped."""
    return f"partial: stopped after {known.blocks_done:,} of {known.blocks:,} nodes; totals are of these"


def _area(area_mm2: float | None) -> str:
    return "area n/a" if area_mm2 is None else f"{area_mm2:.3g} mm²"


def _notes(report: Report) -> list[str]:
    """What a reader should know of the numbers: products out of their formats, figures without a source."""
    notes = []
    formats = report.provenance.get("formats")
    if formats is not None:
        notes.append(f"formats: {formats.source}")
    known = report.simulation
    if known is not None:
        notes.append(
            f"simulated: {known.events:,} tiles and transfers run, {known.folded_events:,} known from their "
            f"like; DRAM by {known.dram_model}"
        )
    absent = [(key, origin.source) for key, origin in report.provenance.items() if origin.kind == "absent"]
    return notes + [f"{key}: n/a, because {source}" for key, source in absent]


def row_cells(row: Row, report: Report, narrow: bool) -> list[str]:
    """The cells of PART_COLUMNS."""
    parts, cycles = row.parts, row.cycles
    macs = sum(p.macs for p in parts)
    energies = [p.energy_j for p in parts]
    energy = None if None in energies else math.fsum(e for e in energies if e is not None)
    peak = report.peak_macs_per_cycle * cycles
    worst: dict[str, int] = {}
    for part in parts:
        worst[part.bottleneck] = worst.get(part.bottleneck, 0) + part.cycles
    return [
        str(row.times) if row.times > 1 else "",
        str(len(parts)),
        engineering(macs, ""),
        engineering(sum(p.dram_bytes for p in parts), "B"),
        engineering(cycles, "") if narrow else f"{cycles:,}",
        f"{100 * cycles / report.cycles:.1f} %" if report.cycles else "0 %",
        engineering(energy, "J"),
        f"{100 * macs / peak:.1f} %" if peak else "0 %",
        max(worst, key=lambda k: worst[k]) if worst else "",
    ]
