"""Units in hardware and their regressions in a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from siliform.arch.calibration import Calibration
    from siliform.circuits import CircuitRun
    from siliform.rtl.common.campaign import Failure, Outcome
    from siliform.rtl.synthesis.told import Made

#: Failed trials of an elaboration that are told in full.
_SHOWN = 3
#: Lines of a tool's complaint that are told.
_LINES = 12
#: Columns of numbers.
_NUMBERS = frozenset(
    (
        *("elaborations", "trials", "cycles", "bins", "mutants", "circuits", "cases", "shapes", "cells"),
        *("area um2", "transistors", "gates", "flip-flops", "memory bits"),
        *("path ns", "pJ/cycle", "pJ/operation"),
    )
)


def print_units(rows: Sequence[Mapping[str, Any]]) -> None:
    """A row for each unit."""
    table = _table("unit", "what it is", "parameters", "elaborations", "bins", "mutants", "calibrated")
    for row in rows:
        table.add_row(
            row["unit"],
            row["about"],
            ", ".join(row["parameters"]),
            str(len(row["elaborations"])),
            str(len(row["bins"])),
            str(len(row["mutants"])),
            _calibrated(row["calibration"]),
        )
    _console().print(table)


def _calibrated(told: Mapping[str, Any] | None) -> str:
    if told is None:
        return "no"
    return "stale" if told["changed_since"] else str(told["measured"])


def print_regression(outcomes: Sequence[Outcome], seconds: float) -> None:
    """A row for each unit and bench, then what went wrong, then the sum of it."""
    from siliform.rtl.common.told import by_unit

    console = _console()
    table = _table(
        "unit", "bench", "elaborations", "trials", "cycles", "law = measured", "coverage", "stalls", ""
    )
    for (kind, bench), group in by_unit(outcomes).items():
        table.add_row(kind, bench, *_cells(group))
    console.print(table)
    for outcome in outcomes:
        for line in _complaints(outcome):
            console.print(line, soft_wrap=True, highlight=False, markup=False)
    trials, cycles = sum(o.trials for o in outcomes), sum(o.cycles for o in outcomes)
    wrong = sum(not o.holds for o in outcomes)
    console.print(
        f"{_counted(len(outcomes), 'elaboration')}, {_counted(trials, 'trial')}, {cycles:,} cycles in "
        f"{seconds:.0f} s: {f'{wrong} of them fail' if wrong else 'all hold'}",
        highlight=False,
    )


def print_circuit_run(found: CircuitRun) -> None:
    """A row for each node, then the whole and what became of the bits."""
    console = _console()
    table = _table("node", "module", "unit", "circuit cycles", "events", "circuit - events")
    for node in found.nodes:
        table.add_row(
            node.name,
            node.module,
            node.unit,
            f"{node.circuit_cycles:,}",
            f"{node.event_cycles:,}",
            f"{node.error:+.1%}",
        )
    console.print(table)
    whole = (found.run.cycles - found.events.cycles) / found.run.cycles
    told = "every bit as the integer graph has it"
    if found.differing:
        told = f"{found.differing} of {found.elements} elements are not the integer graph's"
    console.print(
        f"{found.compiled.form.graph.name} on {found.compiled.accelerator.name}: "
        f"{len(found.compiled.image.commands)} commands, {found.run.cycles:,} cycles in the circuit, "
        f"{found.events.cycles:,} by events ({whole:+.1%}), {found.law.cycles:,} by the law; {told}",
        highlight=False,
        soft_wrap=True,
    )


def print_coverage(outcomes: Sequence[Outcome]) -> None:
    """A row for each bin of each unit: by how many trials it was hit, and in how many elaborations not."""
    from siliform.rtl.common.told import by_unit

    table = _table("unit", "bench", "bin", "trials", "not hit in")
    for (kind, bench), group in by_unit(outcomes).items():
        for name in sorted({name for o in group for name in (*o.covered, *o.missed)}):
            hits = sum(o.covered.get(name, 0) for o in group)
            missed = [o.job.unit.name for o in group if name in o.missed]
            table.add_row(kind, bench, name, f"{hits:,}", ", ".join(missed))
    console = _console()
    console.print(table)
    console.print()


def print_calibrations(rows: Sequence[tuple[Calibration, Path]], outcomes: Sequence[Outcome]) -> None:
    """A row for each file, then what went wrong."""
    console = _console()
    table = _table("unit", "circuits", "cases", "shapes", "cycles", "law = measured", "law")
    for told, _ in rows:
        own = [o for o in outcomes if o.job.unit.kind == told.circuit]
        table.add_row(
            told.circuit,
            str(len(told.circuits)),
            f"{sum(c.cases for c in told.circuits):,}",
            f"{sum(c.shapes for c in told.circuits):,}",
            f"{sum(c.cycles for c in told.circuits):,}",
            _law(own),
            "\n".join(told.laws),
        )
    console.print(table)
    if rows:
        console.print(f"written to {rows[0][1].parent}", soft_wrap=True, highlight=False, markup=False)
    for outcome in outcomes:
        for line in _complaints(outcome):
            console.print(line, soft_wrap=True, highlight=False, markup=False)


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def print_synthesis(made: Sequence[Made]) -> None:
    """A row for each circuit in gates, then what the columns are of."""
    console = _console()
    if not made:
        console.print("nothing to synthesise: every row is up to date")
        return
    library = made[0].synthesis.library
    heads = ["unit", "circuit", "cells", "area um2" if library else "transistors", "gates", "flip-flops"]
    heads += ["memory bits", *(["path ns"] if library else [])]
    heads += ["pJ/cycle", "pJ/operation"] if made[0].energy else []
    table = _table(*heads)
    for one in made:
        synthesis, energy = one.synthesis, one.energy
        size = synthesis.area_um2 if library else synthesis.transistors
        cells = [one.unit.kind, one.unit.name, f"{synthesis.cells:,}", f"{size:,.0f}"]
        cells += [
            f"{synthesis.gate_equivalents:,.0f}",
            f"{synthesis.flip_flops:,}",
            f"{synthesis.memory_bits:,}",
        ]
        cells += [f"{synthesis.path.nanoseconds:.2f}"] if synthesis.path else []
        cells += [f"{energy.pj_per_cycle:.1f}", f"{energy.pj_per_operation:.2f}"] if energy else []
        table.add_row(*cells)
    console.print(table)
    for line in _synthesis_notes(made[0]):
        console.print(line, highlight=False, soft_wrap=True)


def _synthesis_notes(made: Made) -> list[str]:
    """What the figures are of, and what is not in them."""
    synthesis, library = made.synthesis, made.synthesis.library
    if library is None:
        return [
            f"{synthesis.tools} without a cell library: transistors of the logic, without flip-flops, by "
            "stat -tech cmos; gates are these and 24 a flip-flop, over 4.",
            "For area, paths and energy name a library: --liberty FILE.lib, or apt install qflow-tech-osu018 "
            "(Debian, Ubuntu).",
        ]
    notes = [
        f"{synthesis.tools} on {library.name}, {library.volts:g} V: gates are area over "
        f"{library.nand2.area_um2:g} um2, its NAND2; paths have no wires."
    ]
    if made.energy:
        notes.append(
            "Energy of the units' own random cases, idle cycles among them: no wires, clock tree or glitches."
        )
    return notes


def _cells(group: Sequence[Outcome]) -> list[str]:
    """The cells of a unit's row, behind its name and bench."""
    missed = {name for o in group for name in o.missed}
    bins = missed | {name for o in group for name in o.covered}
    cycles, held = sum(o.cycles for o in group), sum(o.held_cycles for o in group)
    stalled = sum(o.stalled_trials for o in group)
    return [
        str(len(group)),
        f"{sum(o.trials for o in group):,}",
        f"{cycles:,}",
        _law(group),
        f"{len(bins) - len(missed)} of {len(bins)}",
        f"{stalled:,} trials, {100 * held / max(cycles, 1):.0f} % held" if stalled else "none",
        "holds" if all(o.holds for o in group) else "FAILS",
    ]


def _law(group: Sequence[Outcome]) -> str:
    """How far trials without stalls were from the law."""
    if all(o.trials == o.stalled_trials for o in group):
        return "not asked"
    worst = max((o.deviation_cycles for o in group), key=abs)
    if worst == 0:
        return "exact"
    slack = max(o.job.unit.slack_cycles for o in group)
    return f"{worst:+d} cycles" + (f" (slack {slack})" if slack else "")


def _complaints(outcome: Outcome) -> list[str]:
    """What is to be told of one elaboration."""
    name = f"{outcome.job.unit.kind} {outcome.job.unit.name}"
    lines = []
    if outcome.refusal:
        lines += [f"{name} was not built:", *outcome.refusal.splitlines()[:_LINES]]
    if outcome.failures:
        lines.append(f"{name}: {len(outcome.failures)} of {outcome.trials} trials fail")
    for failure in outcome.failures[:_SHOWN]:
        lines += _told(failure)
    if outcome.job.whole and outcome.missed and not outcome.refusal:
        lines.append(f"{name}: no trial covers {', '.join(outcome.missed)}")
    return lines


def _told(failure: Failure) -> list[str]:
    shape = ", ".join(f"{name} {size}" for name, size in failure.shape.items())
    lines = [f"  seed {failure.seed}{', stalled' if failure.stalled else ''}: {shape}"]
    lines += [f"    {complaint}" for complaint in failure.complaints]
    lines.append(f"    repeat it: {failure.replay}")
    if failure.waveform:
        lines.append(f"    waveform:  {failure.waveform}")
    return lines


def _table(*heads: str) -> Any:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    for head in heads:
        right = head in _NUMBERS
        table.add_column(head, justify="right" if right else "left", overflow="fold")
    return table


def _console() -> Any:
    from siliform.simulator.tables import wide_console

    return wide_console()
