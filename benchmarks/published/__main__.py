"""Published figures beside ours, in one table.

    python -m benchmarks.published [--only FAMILY ...] [--json] [--write]

Exits with 1 when a row lies outside its tolerance without saying why. --write puts the tables into
docs/published.md, those of other families kept where --only names some, and counts the page's verdicts anew.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any, get_args

from benchmarks.published import FAMILIES, Row, Verdict
from benchmarks.published.marks import marked, shown

PAGE = Path(__file__).resolve().parents[2] / "docs" / "published.md"
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
    """What stands over a family's table: what its module says of itself, whole, a line for each paragraph."""
    told = import_module(f"benchmarks.published.{family}").__doc__ or family
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in told.strip().split("\n\n"))


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
        "; ".join(filter(None, (row.fitted and f"fitted: {row.fitted}", row.note))),
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
    return marked(family, "\n".join(lines) + "\n")


def summary(parts: Mapping[str, str]) -> str:
    """How many rows of each verdict these parts of the page have, by family and in all."""
    verdicts = get_args(Verdict)
    place = HEADS.index("verdict")
    counts = {
        family: Counter(line.split(" | ")[place] for line in part.splitlines() if line.startswith("| "))
        for family, part in parts.items()
    }
    counts["all"] = sum(counts.values(), Counter())
    rows = [("family", *verdicts), ("---", *["---:"] * len(verdicts))]
    rows += [(f.replace("_", " "), *(str(found[v]) for v in verdicts)) for f, found in counts.items()]
    return marked("summary", "".join(f"| {' | '.join(row)} |\n" for row in rows))


def write(computed: dict[str, list[Row]]) -> None:
    """The page with new tables of these families, the others as they are, and all verdicts counted."""
    head, _, _ = PAGE.read_text(encoding="utf-8").partition("<!-- ")
    parts = {f: section(f, computed[f]) if f in computed else shown(PAGE, f) for f in FAMILIES}
    told = [summary(parts), *(part for part in parts.values() if part)]
    PAGE.write_text(head + "\n".join(told), encoding="utf-8")


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
            if cells(row)[-1]:
                console.print(f"{family}, {row.what}: {cells(row)[-1]}", highlight=False)


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
