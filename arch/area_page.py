"""The tables of docs/area.md: areas by netlists beside those by operators and registers.

::

    python -m siliform.arch.area_page            print the tables
    python -m siliform.arch.area_page --write    put them into docs/area.md
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from siliform.arch.parameter import parameters_of
from siliform.arch.tech.netlists import NetlistRow, netlists
from siliform.arch.technology import Technology
from siliform.arch.units import UNITS
from siliform.arch.units.in_gates import IN_GATES, IN_OTHER_WORDS

PAGE = Path(__file__).resolve().parents[1] / "docs" / "area.md"
BEGIN, END = "<!-- areas: begin -->\n", "<!-- areas: end -->\n"
FIGURES = ("gates", "flip-flops", "netlist um²", "operators um²", "ratio")
AT_45 = Technology(node_nm=45)


def area_tables() -> str:
    """Cells of arrays, then units of lanes, in Markdown."""
    cells = [row for row in netlists() if row.circuit == "array_cell"]
    units = [row for row in netlists() if row.circuit in IN_GATES]
    cell_heads = ("dataflow", "overlap", "format", *FIGURES, "used")
    lines = ["### Cells of arrays", "", *_table(cell_heads, 3, (_cell(row) for row in cells))]
    unit_heads = ("unit", "netlist of", *FIGURES)
    lines += ["", "### Other units", "", *_table(unit_heads, 2, (_unit(row) for row in units))]
    return "\n".join(lines) + "\n"


def _table(heads: tuple[str, ...], words: int, rows: Iterator[tuple[str, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(heads)} |"
    yield f"|{'---|' * words}{'---:|' * (len(heads) - words)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def _cell(row: NetlistRow) -> tuple[str, ...]:
    words = row.parameters
    by_operators = AT_45.cell_operators_um2(words["format"]).number
    used = AT_45.mac_area_um2(words["format"], words["dataflow"], words["overlap"])
    netlist = "netlist" if row.name in used.source else "operators, by the int8 netlist"
    named = (words["dataflow"], words["overlap"], words["format"])
    return (*named, *_figures(row, by_operators), netlist)


def _unit(row: NetlistRow) -> tuple[str, ...]:
    by_operators = _twin(row).logic_um2(AT_45).number
    return (f"`{row.circuit}`", row.name, *_figures(row, by_operators))


def _twin(row: NetlistRow) -> Any:
    """The unit that a netlist's circuit is of."""
    kind: Any = UNITS[row.circuit]
    needed = {name: row.parameters[name] for name in parameters_of(kind) if name in row.parameters}
    rough = {name: int(value) if value.isdigit() else value for name, value in needed.items()}
    others = IN_OTHER_WORDS.get(row.circuit, lambda _: {})(row.parameters)
    return kind(name=row.circuit, **{**rough, **others})


def _figures(row: NetlistRow, by_operators_um2: float) -> tuple[str, ...]:
    """Gates, flip-flops, both areas and how they compare."""
    by_netlist = AT_45.gates_area_um2(row.gate_equivalents, row.source).number
    return (
        f"{row.gate_equivalents:,.0f}",
        f"{row.flip_flops:,}",
        f"{by_netlist:,.0f}",
        f"{by_operators_um2:,.0f}",
        f"{by_netlist / by_operators_um2:.2f}",
    )


def main() -> None:
    """Print the tables, or put them into the page."""
    if sys.argv[1:] != ["--write"]:
        sys.stdout.write(area_tables())
        return
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n{area_tables()}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
