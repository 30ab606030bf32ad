"""The table of rtl/README.md, from what was measured: laws and circuits, gates, energy, and what was checked.

::

    python -m siliform.rtl.document            print the table
    python -m siliform.rtl.document --write    put it into rtl/README.md
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from siliform.arch.calibration import Calibration, calibrations
from siliform.arch.tech.netlists import NetlistRow, netlists
from siliform.rtl.catalogue import UNITS, unit_named
from siliform.rtl.common.unit import HardwareUnit
from siliform.rtl.synthesis.rows import TABLE_ELABORATIONS, sources_hash

PAGE = Path(__file__).resolve().with_name("README.md")
BEGIN, END = "<!-- circuits: begin -->\n", "<!-- circuits: end -->\n"
HEADS = ("circuit", "cycles: law", "RTL", "gates", "flip-flops", "memory bits", "path ns", "pJ", "status")


def circuit_table() -> str:
    """A row for each unit's first elaborations, in Markdown."""
    known = {calibration.circuit: calibration for calibration in calibrations()}
    rows = {(row.circuit, row.name): row for row in netlists()}
    lines = [f"| {' | '.join(HEADS)} |", f"|{'---|' + '---:|' * 7}---|"]
    for kind in UNITS:
        for unit in unit_named(kind).elaborations()[:TABLE_ELABORATIONS]:
            cells = _cells(unit, known.get(kind), rows.get((unit.kind, unit.name)))
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, "", *_notes(known, list(rows.values()))]) + "\n"


def _cells(unit: HardwareUnit, calibration: Calibration | None, row: NetlistRow | None) -> Iterator[str]:
    yield f"`{unit.kind}` {unit.name}"
    circuits = calibration.circuits if calibration else ()
    measured = next((c for c in circuits if c.name == unit.name), None)
    if measured is None:
        yield from ("", "")
    elif measured.deviation_cycles == 0:
        yield from (f"{measured.cycles:,}", f"{measured.cycles:,}")
    else:
        yield from (f"within {measured.deviation_cycles:+d} a case", f"{measured.cycles:,}")
    if row is None:
        yield from ("",) * 5
    else:
        yield f"{row.gate_equivalents:,.0f}"
        yield f"{row.flip_flops:,}"
        yield f"{row.memory_bits:,}" if row.memory_bits else ""
        yield f"{row.path_ns:.1f}" if row.path_ns is not None else ""
        yield f"{row.pj_per_operation:.3g}" if row.pj_per_operation is not None else ""
    yield "; ".join(_status(unit, calibration if measured else None, row))


def _status(unit: HardwareUnit, calibration: Calibration | None, row: NetlistRow | None) -> Iterator[str]:
    """What was checked of it, beside the regression, lint and mutants that every unit passes in the tests."""
    if calibration is None:
        yield "not calibrated yet"
    elif calibration.changed():
        yield f"calibrated {calibration.measured}, sources changed since"
    else:
        yield f"calibrated {calibration.measured}"
    if row is None:
        yield "not synthesised yet"
    elif row.sources != sources_hash(unit):
        yield "gates of earlier sources"
    elif row.pj_per_cycle is not None:
        yield "gates simulated, equal"


def _notes(known: Mapping[str, Calibration], rows: list[NetlistRow]) -> list[str]:
    """Where the columns are from."""
    notes = [
        "Cycles: of 40 cases without stalls, `arch/calibration/*.toml`. Gates: area over that of the "
        "library's NAND2, without memories of 32 words or more, whose bits are counted; path: without wires; "
        "pJ: for each multiply-accumulate of a product, else for each element handed over, on the unit's "
        "random cases, idle cycles among them: `arch/tech/netlists.csv`."
    ]
    if rows:
        tools, libraries = (sorted({getattr(row, name) for row in rows}) for name in ("tools", "library"))
        notes.append(f"Synthesised by {', '.join(tools)} on {', '.join(libraries)}.")
    if known:
        notes.append(
            "Cycles measured with "
            + ", ".join(sorted({t for c in known.values() for t in c.tools.values()}))
            + "."
        )
    return notes


def main() -> None:
    """Print the table, or put it into the page."""
    if sys.argv[1:] != ["--write"]:
        sys.stdout.write(circuit_table())
        return
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n{circuit_table()}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
