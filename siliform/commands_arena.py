"""The command of the arena."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from siliform.console import counted, make_folder, messages_to_stderr, print_json, quiet_logs, writing
from siliform.graph_ir.errors import UserError
from siliform.options import Json, complete_design, complete_mixer

if TYPE_CHECKING:
    from siliform.arena import Arena

_EPILOG = """\b
Examples:
  siliform arena --mixer linear-transformer --design edge-32x32 --lengths 1024,4096
  siliform arena --mixer mamba2 --design server-128x128 --lengths 1024,65536 --out out/mamba2 --json
"""

Mixers = Annotated[
    list[str] | None,
    typer.Option(
        "--mixer",
        help="A method that is a mixer (see `siliform methods`), repeatable. Default: all; "
        "softmax is always there.",
        autocompletion=complete_mixer,
    ),
]
Designs = Annotated[
    list[str] | None,
    typer.Option(
        "--design",
        help="A design's name or a TOML file, repeatable. Default: all.",
        autocompletion=complete_design,
    ),
]
Lengths = Annotated[
    str | None, typer.Option("--lengths", help="Tokens, with commas between. Default: 1024 to 1048576 by 4.")
]
Out = Annotated[Path, typer.Option("--out", help="Folder of the results, and of runs that are kept.")]
Jobs = Annotated[int, typer.Option("--jobs", min=1, help="Processes that evaluate.")]


def arena(
    mixer: Mixers = None,
    design: Designs = None,
    lengths: Lengths = None,
    out: Out = Path("out/arena"),
    jobs: Jobs = 1,
    as_json: Json = False,
) -> None:
    """One layer of every token mixer at every length on every design: the hardware Long Range Arena.

    512 wide with 8 heads, one sequence, in the design's native formats, by the fastest mapping that the
    mapper finds. The folder holds arena.csv, arena.json, arena.svg, arena.png and the finished runs, of which
    none is done twice: the same command goes on where it was stopped, even by kill -9.
    """
    from siliform.arena import LENGTHS
    from siliform.arenaruns import run_arena

    tokens = LENGTHS if lengths is None else _tokens(lengths)
    make_folder("--out", out)
    with counted("evaluating", "mixers and lengths") as progress, messages_to_stderr(), quiet_logs():
        found = run_arena(
            out, mixers=mixer or (), designs=design or (), lengths=tokens, jobs=jobs, progress=progress
        )
    with writing("--out", out):
        write_results(found, out)
    if as_json:
        print_json({**found.to_dict(), "out": str(out)})
    else:
        print_arena(found)
        sys.stdout.write(
            f"{len(found.runs):,} runs, {found.evaluated:,} of them new; table and picture in {out}\n"
        )


def write_results(found: Arena, folder: Path) -> None:
    """Table, JSON and picture."""
    import json

    from siliform.arenapicture import write_picture

    (folder / "arena.csv").write_text(found.csv(), encoding="utf-8")
    (folder / "arena.json").write_text(json.dumps(found.to_dict(), indent=1) + "\n", encoding="utf-8")
    for ending in ("svg", "png"):
        write_picture(found, folder / f"arena.{ending}")


def print_arena(found: Arena) -> None:
    """A row a mixer and design: latency at each length, the rest at the longest, the crossover."""
    from rich import box
    from rich.table import Table

    from siliform.arena import length_name
    from siliform.simulator.tables import wide_console

    longest = found.lengths[-1]
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    for name in ("mixer", "design"):
        table.add_column(name, no_wrap=True)
    at = length_name(longest)
    heads = [*(length_name(tokens) for tokens in found.lengths), f"energy {at}", f"peak {at}", f"DRAM {at}"]
    for name in (*heads, "faster from"):
        table.add_column(name, justify="right")
    for mixer in found.mixers:
        for design in found.designs:
            table.add_row(mixer, design, *_cells(found, mixer, design, longest))
    console = wide_console()
    console.print(table)
    for reason, count in found.refusals.items():
        console.print(f"refused, {count:,} runs: {reason}", highlight=False, markup=False)


def _cells(found: Arena, mixer: str, design: str, longest: int) -> list[str]:
    from siliform.simulator.tables import engineering

    def cell(value: Any, unit: str) -> str:
        return "–" if value is None else engineering(value, unit)

    runs = [found.by_place[mixer, design, tokens] for tokens in found.lengths]
    if all(run.state == "refused" for run in runs):
        return [*("–" for _ in range(len(runs) + 3)), "refused"]
    last = runs[-1]
    fits = "" if last.fits in (None, True) else " > DRAM"
    return [
        *(cell(run.latency_s, "s") for run in runs),
        cell(last.energy_j, "J"),
        cell(last.peak_memory_bytes, "B") + fits,
        cell(last.dram_bytes, "B"),
        found.crossovers[mixer, design].text(longest),
    ]


def _tokens(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise UserError(
            asked=f"--lengths {text}",
            found="no whole numbers with commas between",
            where="--lengths",
            next_step="write --lengths 1024,4096",
        ) from None


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("arena", short_help="Every token mixer, length and design.", epilog=_EPILOG)(arena)
