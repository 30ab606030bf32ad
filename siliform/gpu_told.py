"""A validation of the GPU model as text, as JSON, and as the tables of docs/gpu.md.

::

    python -m siliform.gpu_told            print the tables
    python -m siliform.gpu_told --write    put them into docs/gpu.md, and the picture beside it
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from siliform.gpu import Figures, Judged, Validation, Worst, validate

PAGE = Path(__file__).resolve().parents[1] / "docs" / "gpu.md"
PICTURE = "gpu.svg"
BEGIN, END = "<!-- validation: begin -->\n", "<!-- validation: end -->\n"
HEADS = ("family", "GPU", "measured by", "format", "rows", "error", "< 10 us", "longer", "bias", "worst")
OWN_HEADS = ("family", "GPU", "implementation", *HEADS[3:])


def as_object(found: Validation) -> dict[str, Any]:
    """What --json prints; its schema is siliform/schemas/gpu-validate.json."""
    return {
        "format": "siliform-gpu-validate",
        "version": 1,
        "source": found.source,
        "tables": [_table(table) for table in found.tables],
        "gpus": [
            {"family": family, "design": design, "number_format": form, **asdict(figures)}
            for family, design, form, figures in found.pooled()
        ],
        "worst": [{**asdict(worst), "error": worst.error} for worst in found.worst()],
        "refused": [asdict(refused) for refused in found.refused],
    }


def _table(table: Judged) -> dict[str, Any]:
    parts = {name: figures and asdict(figures) for name, figures in table.parts().items()}
    return {
        "family": table.family,
        "design": table.design,
        "framework": table.framework,
        "framework_version": table.version,
        "number_format": table.format,
        "own": table.own,
        **parts,
    }


def as_text(found: Validation) -> str:
    """What the command prints."""
    lines: list[str] = []
    public, own = ([table for table in found.tables if table.own is is_own] for is_own in (False, True))
    if public:
        lines += ["mean absolute error of predicted time, held-out rows of public tables"]
        lines += _aligned([HEADS, *map(_cells, public)])
        lines += ["", "all frameworks together"]
        lines += _aligned([_pooled(*each) for each in found.pooled()])
    if own:
        lines += [""] if public else []
        lines += ["mean absolute error of predicted time, lines of `siliform gpu bench`"]
        lines += _aligned([OWN_HEADS, *map(_cells, own)])
    worst = found.worst()
    if worst:
        lines += ["", f"the worst {len(worst)}"]
        lines += _aligned([_worst(each) for each in worst])
    if found.refused:
        lines += ["", f"no prediction of {len(found.refused)}"]
        lines += _aligned([(each.case, each.reason) for each in found.refused])
    return "\n".join(lines) + "\n"


def as_page(found: Validation) -> str:
    """The tables of docs/gpu.md: what the public tables say."""
    found = replace(found, tables=tuple(table for table in found.tables if not table.own))
    lines = [
        "### All libraries together",
        "",
        *_markdown(("family", "GPU", "format", "rows", "error", "bias"), 3),
    ]
    lines += [_row(_pooled(*each)) for each in found.pooled()]
    lines += ["", "### By library", "", *_markdown(HEADS, 4)]
    lines += [_row(_cells(table)) for table in found.tables]
    heads = ("family", "GPU", "measured by", "shape", "measured", "predicted", "why")
    lines += ["", "### The worst ten", "", *_markdown(heads, 4)]
    lines += [_row(_worst(each)) for each in found.worst()]
    return "\n".join(lines) + "\n"


def _cells(table: Judged) -> tuple[str, ...]:
    parts = table.parts()
    all_of = parts["held_out"]
    return (
        table.family,
        table.design,
        f"{table.framework} {table.version}".strip(),
        table.format,
        str(all_of.rows) if all_of else "0",
        _mean(all_of),
        _mean(parts["small"]),
        _mean(parts["large"]),
        f"{all_of.bias:+.1%}" if all_of else "-",
        f"{all_of.worst:.0%}" if all_of else "-",
    )


def _pooled(family: str, design: str, form: str, figures: Figures) -> tuple[str, ...]:
    return family, design, form, str(figures.rows), _mean(figures), f"{figures.bias:+.1%}"


def _worst(each: Worst) -> tuple[str, ...]:
    times = (f"{seconds * 1e6:.1f} us" for seconds in (each.measured_s, each.predicted_s))
    return (each.family, each.design, f"{each.framework}, {each.format}", each.shape, *times, each.reason)


def _mean(figures: Figures | None) -> str:
    return "-" if figures is None else f"{figures.mean:.1%}"


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    if not rows:
        return []
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return ["  " + "  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows]


def _markdown(heads: Sequence[str], words: int) -> Iterable[str]:
    yield _row(heads)
    yield f"|{'---|' * words}{'---:|' * (len(heads) - words)}"


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def main(arguments: Sequence[str]) -> None:
    """Print the tables, or put them and the picture in place."""
    from siliform import gpu_page
    from siliform.arch.tech.measured import FAMILIES, GPUS
    from siliform.gpu_estimates import pooled
    from siliform.gpu_levers import weighed

    found = validate(tell=lambda text: print(text, file=sys.stderr))
    told = {
        "targets": gpu_page.targets(found),
        "estimates": gpu_page.estimates(pooled(tuple(GPUS), FAMILIES)),
        "declarations": gpu_page.declarations(weighed()),
        "validation": as_page(found),
    }
    if list(arguments) != ["--write"]:
        sys.stdout.write("\n".join(told.values()))
        return
    from siliform.gpu_picture import write_picture

    page = PAGE.read_text(encoding="utf-8")
    for part, text in told.items():
        page = gpu_page.replaced(page, part, text)
    PAGE.write_text(page, encoding="utf-8")
    write_picture(found, PAGE.parent / PICTURE)


if __name__ == "__main__":
    main(sys.argv[1:])
