"""The page docs/arena.md, from docs/arena.csv, and both of them made anew.

::

    python -m siliform.arenapage --run [--jobs N]    evaluate everything; write docs/arena.csv, .svg and .md
    python -m siliform.arenapage --write             write docs/arena.md and .svg from docs/arena.csv
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from siliform.arena import FULL, Arena, Run, length_name, read_csv

DOCS = Path(__file__).resolve().parents[1] / "docs"
TABLE, PICTURE, PAGE = DOCS / "arena.csv", DOCS / "arena.svg", DOCS / "arena.md"
#: Where kept runs of --run lie, beside what the command keeps.
STORE = Path("out") / "arena"
#: The design of the tables by length, and which lengths they show.
REFERENCE = "edge-32x32"
SHOWN = (1024, 16384, 2**18, 2**20)

_HEAD = """\
# The hardware Long Range Arena

One layer of every token mixer of [`methods.md`](methods.md) that can have any length and has a graph of its
own (BudgetLongformer's is Longformer's), at 1K to 1M tokens (powers of four), tried on every design: 512
wide, 8 heads, one sequence, the whole of it at once.
`siliform arena --jobs 2` makes the table, [`arena.csv`](arena.csv), and the picture in minutes, and never
evaluates anything twice; `--mixer`, `--design` and `--lengths` choose. `python -m siliform.arenapage --run`
makes this page anew.

- **Formats** are the design's native ones (`bits`), rounded and widened as `siliform estimate` does it.
- **Latency, energy, DRAM traffic** are those of the mapping that takes the fewest cycles of all that the
  mapper considers (`--objective latency`); for full attention these are the tilings of one fused block whose
  scores never leave the chip. It is not the mapping of least energy
  (`siliform estimate --objective energy`). GPUs have no source for energies.
- **Peak memory** is weights, tables and states, and the largest sum of what is alive between nodes, in their
  order; what is fused takes none. `fits` says whether that is within the design's DRAM; costs are told
  either way.
- **Crossover** is the length from which on a layer is faster than full attention (`softmax`) on the same
  design: where both are equally fast, on straight lines of logarithms between lengths. "always": at every
  length, "never": at none up to 1M.
- A mixer that does not run somewhere has a row with the reason. Whether a mixer learns what full attention
  learns is not asked here.

Gathers and windows are spelt out as the methods' own code does it: where blocks are copied before attention
reads them, the copies cross memory. Rows chosen by index that products alone read are chosen among rounded
ones; other copies move the format that they have before they are rounded.
"""


def page(arena: Arena) -> str:
    """docs/arena.md whole."""
    return "\n".join((_HEAD, *_parts(arena)))


def _parts(arena: Arena) -> Iterator[str]:
    longest = length_name(arena.lengths[-1])
    yield f"![costs by length on {REFERENCE}, and crossovers by design](arena.svg)\n"
    running = arena.running
    runs = sum(run.state == "runs" for run in arena.runs)
    where = f"on {len(running)} of {len(arena.designs)} designs"
    yield f"{len(arena.mixers)} mixers at {len(arena.lengths)} lengths run {where}: {runs:,} runs.\n"
    yield "## Crossovers\n\nTokens from which on a layer is faster than full attention on the same design.\n"
    for design in arena.designs:
        if design not in running:
            yield f"{_nothing_on(arena, design)}\n"
    yield _table(
        ("mixer", *running),
        [(f"`{m}`", *(_crossover(arena, m, d, longest) for d in running)) for m in arena.mixers if m != FULL],
    )
    yield f"\n## On {REFERENCE}\n"
    yield from _costs(arena)
    yield "## What does not run\n"
    yield _table(("runs", "design and reason"), [(str(n), r) for r, n in arena.refusals.items()])
    yield ""


def _nothing_on(arena: Arena, design: str) -> str:
    """Why a design has no column: the commonest reason."""
    tried = sum(run.design == design for run in arena.runs)
    reason, times = next((r, n) for r, n in arena.refusals.items() if r.startswith(f"{design}: "))
    short = reason.rpartition(f" on {design}: ")[2].removeprefix(f"{design}: ")
    return f"Nothing runs on `{design}`, which has no column: {short} ({times} of {tried} tries)."


def _crossover(arena: Arena, mixer: str, design: str, longest: str) -> str:
    found = arena.crossovers[mixer, design]
    if found.kind == "unknown":
        return ""
    text = found.text(arena.lengths[-1])
    return "never" if text == f"never within {longest}" else text


def _costs(arena: Arena) -> Iterator[str]:
    from siliform.simulator.tables import engineering

    costs = (
        ("Latency", "latency_s", "s"),
        ("Energy", "energy_j", "J"),
        ("Peak memory", "peak_memory_bytes", "B"),
        ("DRAM traffic", "dram_bytes", "B"),
    )

    def cell(run: Run | None, attribute: str, unit: str) -> str:
        value = None if run is None else getattr(run, attribute)
        return "" if value is None else engineering(value, unit)

    for title, attribute, unit in costs:
        lengths = [tokens for tokens in SHOWN if tokens in arena.lengths]
        rows = [
            (f"`{m}`", *(cell(arena.by_place.get((m, REFERENCE, n)), attribute, unit) for n in lengths))
            for m in arena.mixers
        ]
        yield f"{title}\n"
        yield _table(("mixer", *map(length_name, lengths)), rows)
        yield ""


def _table(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [f"| {' | '.join(heads)} |", "|---" + "|---:" * (len(heads) - 1) + "|"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def main() -> None:
    """Print the page, or make it anew."""
    from siliform.arenapicture import write_picture

    parser = argparse.ArgumentParser(
        prog="python -m siliform.arenapage", description="The page of the arena."
    )
    parser.add_argument("--run", action="store_true", help="evaluate everything, and write all three files")
    parser.add_argument("--write", action="store_true", help="write page and picture from docs/arena.csv")
    parser.add_argument("--jobs", type=int, default=1, help="processes that evaluate")
    asked = parser.parse_args()
    if asked.run:
        from siliform.arenaruns import run_arena
        from siliform.console import counted

        with counted("evaluating", "mixers and lengths") as progress:
            found = run_arena(STORE, jobs=asked.jobs, progress=progress)
        TABLE.write_text(found.csv(), encoding="utf-8")
    arena = read_csv(TABLE.read_text(encoding="utf-8"))
    if asked.run or asked.write:
        write_picture(arena, PICTURE, REFERENCE)
        PAGE.write_text(page(arena), encoding="utf-8")
    else:
        sys.stdout.write(page(arena))


if __name__ == "__main__":
    main()
