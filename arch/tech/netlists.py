"""What units amount to in gates: arch/tech/netlists.csv, which ``siliform rtl synth --update-tables`` writes.

A row is one circuit with its parameters fixed, synthesised onto a library of standard cells. Counts of gates
(areas in NAND2 of the library) carry over to other nodes by the area of a NAND2 there; the other figures are
of that library.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

from siliform.arch.tech.tables import HERE, rows_of

TABLE = "netlists.csv"
HEAD = """\
# Circuits of rtl/ in gates, by Yosys and ABC onto a library of standard cells: written by `siliform rtl
# synth --update-tables`, by hand never. Gate equivalents are area over that of the library's NAND2. The
# longest path has no wires in it; energies are of random cases of the unit's own, without wires, clock tree
# and glitches; memories of 32 words or more are counted in bits and not in gates. A row array_cell is what
# one more cell of an array takes: the 4 x 4 netlist less the 2 x 4 and the 4 x 2, plus the 2 x 2, over four.
# `sources` is the start of the SHA-256 of the circuit's texts, without comments and blanks, and of the
# commands to Yosys. osu018_stdcells: Oklahoma State University's cells for TSMC 180 nm, typical, 1.8 V, 25 C
# (Debian's package qflow-tech-osu018).
"""


@dataclass(frozen=True)
class NetlistRow:
    """One circuit in gates.

    Attributes
    ----------
    circuit, name, parameters : the unit of `rtl/`, what it calls this elaboration, and its parameters.
    library, volts : the cells' library and its supply.
    memory_bits : of memories that are no gates.
    path_ns : the longest path; None of an array_cell.
    pj_per_cycle, pj_per_operation, operation : energy under the unit's cases; None and empty if not measured.
    """

    circuit: str
    name: str
    parameters: Mapping[str, str]
    library: str
    volts: float
    cells: int
    area_um2: float
    gate_equivalents: float
    flip_flops: int
    memory_bits: int
    path_ns: float | None
    pj_per_cycle: float | None
    pj_per_operation: float | None
    operation: str
    leakage_watts: float
    tools: str
    measured: date
    sources: str

    @property
    def source(self) -> str:
        """Where a figure of this row is from."""
        return f"{self.tools} on {self.library}, {self.circuit} {self.name}, arch/tech/{TABLE}"


COLUMNS = tuple(f.name for f in fields(NetlistRow))


@cache
def netlists() -> tuple[NetlistRow, ...]:
    """The rows of the table."""
    return read_rows(HERE / TABLE)


def read_rows(path: Path) -> tuple[NetlistRow, ...]:
    """The rows of a table in that file; none where there is no file."""
    if not path.is_file():
        return ()
    return tuple(_row(row) for row in rows_of(str(path)))


def netlist_of(circuit: str, parameters: Mapping[str, object]) -> NetlistRow | None:
    """The row of a circuit that has these parameters, whatever its others are; None where there is none."""
    wanted = {name: str(value) for name, value in parameters.items()}
    for row in netlists():
        if row.circuit == circuit and wanted.items() <= row.parameters.items():
            return row
    return None


def write_rows(path: Path, rows: Iterable[NetlistRow]) -> None:
    """A table of these rows, by circuit; rows of one circuit stay in their order."""
    with path.open("w", newline="", encoding="utf-8") as file:
        file.write(HEAD)
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for row in sorted(rows, key=lambda row: row.circuit):
            writer.writerow([_text(getattr(row, name)) for name in COLUMNS])


def merged(known: Sequence[NetlistRow], new: Sequence[NetlistRow]) -> list[NetlistRow]:
    """The known rows with the new ones in their places, or behind them."""
    rows = {(row.circuit, row.name): row for row in known}
    rows.update({(row.circuit, row.name): row for row in new})
    return list(rows.values())


def _text(value: Any) -> str:
    """A value as the table holds it: five digits of a number, name=value of parameters."""
    if value is None:
        return ""
    if isinstance(value, Mapping):
        return ";".join(f"{name}={word}" for name, word in value.items())
    return f"{value:.5g}" if isinstance(value, float) else str(value)


def _row(row: Mapping[str, str]) -> NetlistRow:
    def number(name: str) -> float | None:
        return float(row[name]) if row[name] else None

    pairs = (word.partition("=") for word in row["parameters"].split(";"))
    return NetlistRow(
        circuit=row["circuit"],
        name=row["name"],
        parameters={name: word for name, _, word in pairs},
        library=row["library"],
        volts=float(row["volts"]),
        cells=int(row["cells"]),
        area_um2=float(row["area_um2"]),
        gate_equivalents=float(row["gate_equivalents"]),
        flip_flops=int(row["flip_flops"]),
        memory_bits=int(row["memory_bits"]),
        path_ns=number("path_ns"),
        pj_per_cycle=number("pj_per_cycle"),
        pj_per_operation=number("pj_per_operation"),
        operation=row["operation"],
        leakage_watts=float(row["leakage_watts"]),
        tools=row["tools"],
        measured=date.fromisoformat(row["measured"]),
        sources=row["sources"],
    )
