"""``siliform rtl synth``: units in gates, what they take and what their switching costs."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from siliform.commands_rtl import Units, complete_parameter
from siliform.console import counted, make_folder, messages_to_stderr, print_json, quiet_logs, writing
from siliform.graph_ir.errors import UserError
from siliform.options import Json, override

if TYPE_CHECKING:
    from siliform.rtl.common.unit import HardwareUnit
    from siliform.rtl.synthesis.told import Made

_EPILOG = """\b
Examples:
  siliform rtl synth transpose topk
  siliform rtl synth array --set rows=2 --set overlap=none --out out/netlist
  siliform rtl synth softmax --liberty /usr/share/qflow/tech/osu018/osu018_stdcells.lib --json
  siliform rtl synth transpose --energy
"""


def synth(
    units: Units = None,
    parameters: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="Synthesise the first elaboration with this parameter changed; repeatable.",
            autocompletion=complete_parameter,
        ),
    ] = None,
    liberty: Annotated[
        Path | None,
        typer.Option(
            "--liberty",
            help="Cell library (.lib). Default: $SILIFORM_LIBERTY, or Debian's qflow-tech-osu018; "
            "without one, transistors are counted.",
        ),
    ] = None,
    energy: Annotated[
        bool, typer.Option("--energy", help="Simulate the gates on the unit's cases and count toggles.")
    ] = False,
    everything: Annotated[
        bool, typer.Option("--all", help="Every elaboration, not the first of each unit alone.")
    ] = False,
    update: Annotated[
        bool,
        typer.Option(
            "--update-tables",
            help="Bring the units' rows of arch/tech/netlists.csv up to date: two elaborations of each, with "
            "energy, where their sources or Yosys changed.",
        ),
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Folder for netlists, Yosys's statistics and its log."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Gates by Yosys and ABC: cells, area, gate equivalents (NAND2), flip-flops, the longest path.

    The path is from the library's delay tables, without wires. --energy runs the gates in Verilator on the
    unit's own random cases, holds their results against the reference, and multiplies toggles by the
    library's energies: no wires, no clock tree, no glitches. Memories of 32 words or more are counted in
    bits; their area is the SRAM tables'. docs/rtl.md says more.
    """
    from siliform.rtl.synthesis.liberty import find_liberty
    from siliform.rtl.synthesis.told import synthesis_json
    from siliform.rtl.synthesis.yosys import find_yosys

    find_yosys()
    library = liberty or find_liberty()
    chosen = _chosen(units or (), parameters or (), None if everything else 1)
    make_folder("--out", out)
    began = time.perf_counter()
    with counted("synthesising", "circuits") as told, messages_to_stderr(), quiet_logs():
        if update:
            made = _updated([unit.kind for unit in chosen], library, told)
        elif energy and library is None:
            raise _without_library("--energy")
        else:
            made = _made(chosen, library, energy, out, told)
    if as_json:
        print_json(synthesis_json(made, time.perf_counter() - began))
        return
    from siliform.rtl_tables import print_synthesis

    print_synthesis(made)


def _chosen(names: Sequence[str], words: Sequence[str], count: int | None) -> list[HardwareUnit]:
    """The first elaborations of each unit, all without `count`; or the first one with parameters changed."""
    from siliform.rtl.catalogue import UNITS, unit_named
    from siliform.rtl.common.unit import with_parameters

    kinds = [unit_named(kind) for kind in dict.fromkeys(names or UNITS)]
    if not words:
        return [unit for kind in kinds for unit in kind.elaborations()[:count]]
    if len(kinds) != 1:
        raise UserError(
            asked=f"--set on {len(kinds)} units",
            found="parameters that mean something else for each unit",
            where="--set",
            next_step=f"name one unit: siliform rtl synth {kinds[0].kind} ...",
        )
    return [with_parameters(kinds[0], dict(override(word) for word in words))]


def _without_library(option: str) -> UserError:
    return UserError(
        asked=f"siliform rtl synth {option}",
        found="no cell library, and energies are a library's",
        where="--liberty, $SILIFORM_LIBERTY, /usr/share/qflow/tech/osu018",
        next_step="name one: --liberty FILE.lib (Debian and Ubuntu: apt install qflow-tech-osu018)",
    )


def _made(
    units: Sequence[HardwareUnit],
    library: Path | None,
    energy: bool,
    out: Path | None,
    told: Callable[[int, int], None],
) -> list[Made]:
    """Each unit in gates; its netlist is kept below `out`."""
    from siliform.rtl.synthesis.told import make

    found = []
    for done, unit in enumerate(units):
        told(done, len(units))
        keep = out / f"{unit.kind}-{unit.name}" if out else None
        found.append(make(unit, library, energy=energy, keep=keep))
    return found


def _updated(kinds: Sequence[str], library: Path | None, told: Callable[[int, int], None]) -> list[Made]:
    """Bring the table that estimates read up to date; the units that had to be made."""
    from siliform.arch.tech.netlists import TABLE, read_rows, write_rows
    from siliform.arch.tech.tables import HERE
    from siliform.rtl.synthesis.told import updated_rows

    if library is None:
        raise _without_library("--update-tables")
    path = HERE / TABLE
    rows, made = updated_rows(read_rows(path), kinds, library, told)
    with writing("--update-tables", path):
        write_rows(path, rows)
    return made


def register(parent: Any) -> None:
    """Add the command to the group of units in hardware."""
    parent.command("synth", short_help="Units in gates: area, longest path, energy.", epilog=_EPILOG)(synth)
