"""Published figures beside ours, in one table.

    python -m benchmarks.published [--only FAMILY ...] [--json] [--write]

Exits with 1 when a row lies outside its tolerance without saying why. --write puts the tables into
docs/published.md, those of other families kept where --only names some.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.published import FAMILIES, Row

PAGE = Path(__file__).resolve().parents[2] / "docs" / "published.md"
BEGIN, END = "<!-- {}: begin -->\n", "<!-- {}: end -->\n"
HEADS = (
    "what",
    "unit",
    "published",
    "ours",
    "deviation",
    "tolerance",
    "verdict",
    "source",
    "counting rule",
    "note",
)


def family_rows(family: str) -> list[Row]:
    """The rows of a family, computed now."""
    found: list[Row] = import_module(f"benchmarks.published.{family}").rows()
    return found


def lead(family: str) -> str:
    """What stands over a family's table: the first paragraph of its module."""
    told = import_module(f"benchmarks.published.{family}").__doc__ or family
    return " ".join(told.strip().split("\n\n")[0].split())


def cells(row: Row) -> tuple[str, ...]:
    """A row as text, in the order of `HEADS`."""
    deviation, allowed = row.deviation, row.allowed
    return (
        row.what,
        row.unit,
        row.published or "not published",
        figure(row.ours),
        "" if deviation is None else f"{deviation:+.2%}",
        "" if allowed is None else f"{allowed:.2%}",
        row.verdict,
        row.source,
        row.rule,
        row.note,
    )


def figure(value: float) -> str:
    """Integers in full, other figures to four digits."""
    if float(value).is_integer() and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:.4g}" if abs(value) < 1e4 else f"{value:,.0f}"


def section(family: str, rows: list[Row]) -> str:
    """A family's part of the page."""
    lines = [f"## {family.replace('_', ' ')}", "", lead(family), ""]
    lines += [f"| {' | '.join(HEADS)} |", f"|---|---|{'---:|' * 4}{'---|' * 4}"]
    for row in rows:
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells(row)) + " |")
    return f"{BEGIN.format(family)}{chr(10).join(lines)}\n{END.format(family)}"


def shown(family: str) -> str:
    """What the page says of a family; empty where it says nothing."""
    begin, end = BEGIN.format(family), END.format(family)
    _, found, rest = PAGE.read_text(encoding="utf-8").partition(begin)
    inner, closed, _ = rest.partition(end)
    return f"{begin}{inner}{end}" if found and closed else ""


def write(computed: dict[str, list[Row]]) -> None:
    """The page with new tables of these families, the others as they are."""
    head, _, _ = PAGE.read_text(encoding="utf-8").partition("<!-- ")
    parts = [section(f, computed[f]) if f in computed else shown(f) for f in FAMILIES]
    PAGE.write_text(head + "\n".join(part for part in parts if part), encoding="utf-8")


def as_data(family: str, row: Row) -> dict[str, Any]:
    """A row for --json."""
    return {
        "family": family,
        **asdict(row),
        "verdict": row.verdict,
        "deviation": row.deviation,
        "allowed": row.allowed,
    }


def unexplained(rows: list[Row]) -> list[Row]:
    """Rows outside their tolerance that do not say why."""
    return [row for row in rows if row.verdict == "outside" and not row.note]


def _print(computed: dict[str, list[Row]]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD)
    for head in ("family", *HEADS[:-2]):
        table.add_column(head, justify="right" if head in HEADS[2:6] else "left")
    for family, rows in computed.items():
        for row in rows:
            table.add_row(family, *cells(row)[:-2])
    console = Console(width=None if sys.stdout.isatty() else 200)
    console.print(table)
    for family, rows in computed.items():
        for row in rows:
            if row.note:
                console.print(f"{family}, {row.what}: {row.note}", highlight=False)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.published",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", nargs="+", choices=FAMILIES, default=FAMILIES, metavar="FAMILY")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/published.md")
    asked = parser.parse_args()
    computed = {family: family_rows(family) for family in FAMILIES if family in asked.only}
    if asked.write:
        write(computed)
    if asked.json:
        print(json.dumps({"rows": [as_data(f, row) for f, rows in computed.items() for row in rows]}))
    else:
        _print(computed)
    wrong = unexplained([row for rows in computed.values() for row in rows])
    for row in wrong:
        print(
            f"outside without a reason: {row.what}: {row.published} {row.unit}, ours {figure(row.ours)}",
            file=sys.stderr,
        )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
