"""The commands of the units in hardware: what there is, and whether it is right."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from siliform.console import counted, make_folder, messages_to_stderr, print_json, quiet_logs, writing
from siliform.graph_ir.errors import UserError
from siliform.options import Json, override

if TYPE_CHECKING:
    from siliform.arch.calibration import Calibration
    from siliform.rtl.common.campaign import Job, Outcome
    from siliform.rtl.common.unit import HardwareUnit, Shape

app = typer.Typer(
    name="rtl",
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_EPILOG = """\b
Examples:
  siliform rtl list
  siliform rtl test --help
"""

_LIST_EPILOG = """\b
Examples:
  siliform rtl list
  siliform rtl list --json
"""

_TEST_EPILOG = """\b
Examples:
  siliform rtl test array
  siliform rtl test array --set rows=3 --set overlap=none --seeds 100 --free
  siliform rtl test array --shape batch=1,m=1,n=8,k=5 --seed 3
  siliform rtl test array --bench cocotb
  siliform rtl test array --coverage
  siliform rtl test --sizes full --json
"""

_CALIBRATE_EPILOG = """\b
Examples:
  siliform rtl calibrate array
  siliform rtl calibrate --out out/calibration --json
"""

#: Exit status of a regression that found something wrong: a fault of ours, told without a traceback.
FAILED = 1


def complete_unit(incomplete: str) -> list[tuple[str, str]]:
    """Units that are built in hardware."""
    from siliform.rtl.catalogue import UNITS

    return [(kind, "a unit in hardware") for kind in UNITS if kind.startswith(incomplete)]


def complete_parameter(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """``parameter=`` of the chosen unit."""
    from siliform.rtl.catalogue import UNITS, unit_named
    from siliform.rtl.common.unit import parameters_of

    chosen = [kind for kind in ctx.params.get("units") or () if kind in UNITS]
    first = [unit_named(kind).elaborations()[0] for kind in chosen]
    found = {f"{name}=": f"such as {value}" for unit in first for name, value in parameters_of(unit).items()}
    return [(name, about) for name, about in found.items() if name.startswith(incomplete)]


Units = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[UNIT]...",
        help="Units (see `siliform rtl list`). Default: all.",
        autocompletion=complete_unit,
    ),
]
Jobs = Annotated[
    int | None, typer.Option("--jobs", min=1, help="Processes that build and run. Default: one a core.")
]


@app.command("list", short_help="Units in hardware and their elaborations.", epilog=_LIST_EPILOG)
def list_units(as_json: Json = False) -> None:
    """Every unit in hardware: parameters, streams, elaborations that are tested, what their cases cover."""
    from siliform.rtl.catalogue import UNITS, unit_named
    from siliform.rtl.common.told import unit_json

    rows = [unit_json(unit_named(kind)) for kind in UNITS]
    if as_json:
        print_json({"format": "siliform-rtl-list", "version": 1, "units": rows})
        return
    from siliform.rtl_tables import print_units

    print_units(rows)


@app.command("test", short_help="Units against reference and law, on random cases.", epilog=_TEST_EPILOG)
def regress(
    units: Units = None,
    sizes: Annotated[
        str,
        typer.Option(
            "--sizes",
            help="quick: two elaborations of each unit, 40 seeds; full: all, 120 seeds; nightly: 1200 seeds.",
            autocompletion=lambda: ["quick", "full", "nightly"],
        ),
    ] = "quick",
    seeds: Annotated[
        int | None, typer.Option("--seeds", min=1, help="How many seeds. Default: what --sizes says.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", min=0, help="The first seed; without --seeds the only one.")
    ] = None,
    stalled: Annotated[
        bool | None,
        typer.Option(
            "--stalled/--free", help="With random stalls on every stream, or without. Default: both."
        ),
    ] = None,
    parameters: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="Build the first elaboration with this parameter changed; repeatable.",
            autocompletion=complete_parameter,
        ),
    ] = None,
    shapes: Annotated[
        list[str] | None,
        typer.Option(
            "--shape", metavar="NAME=N,...", help="Sizes of a case, instead of drawn ones; repeatable."
        ),
    ] = None,
    bench: Annotated[
        str,
        typer.Option(
            "--bench",
            help="ctypes: a C++ harness, for many cycles; cocotb: benches in Python; both.",
            autocompletion=lambda: ["ctypes", "cocotb", "both"],
        ),
    ] = "ctypes",
    waveforms: Annotated[
        Path, typer.Option("--waveforms", help="Folder for the waveforms of trials that fail (VCD).")
    ] = Path("out/rtl"),
    coverage: Annotated[
        bool, typer.Option("--coverage", help="Print how often each bin was hit, unit by unit.")
    ] = False,
    jobs: Jobs = None,
    as_json: Json = False,
) -> None:
    """Random cases: outputs must be the reference's bit for bit, cycles the law's without stalls.

    --set, --seed and --shape are for the first elaboration of one unit, and for that alone.

    With stalls a trial may take as many cycles more as there were in which a stream was held back, and
    outputs must not change. The shortest trial that fails is repeated with a waveform; every failure prints
    the command that repeats it. Exit status 1 where anything fails, or full or nightly sizes leave a bin
    uncovered. docs/rtl.md says more.
    """
    from siliform.rtl.common.campaign import run_jobs
    from siliform.rtl.common.told import regression_json, tools

    _check_choice("--sizes", sizes, ("quick", "full", "nightly"))
    _check_choice("--bench", bench, ("ctypes", "cocotb", "both"))
    kinds = _kinds(units)
    asked = [_shape(text) for text in shapes or ()]
    for option, given in (("--set", parameters), ("--seed", seed is not None), ("--shape", asked)):
        if given and len(kinds) != 1:
            raise UserError(
                asked=f"{option} on {len(kinds)} units",
                found="parameters, seeds and sizes that mean something else for each unit",
                where=option,
                next_step=f"name one unit: siliform rtl test {kinds[0].kind} ...",
            )
    alone = bool(parameters or asked or seed is not None)
    chosen = _with(kinds[0], parameters or ()) if alone else None
    for shape in asked:
        _check_shape(kinds[0].elaborations()[0], shape)
    tools()
    if bench != "ctypes":
        from siliform.rtl.common.cocotb_runner import require_cocotb

        require_cocotb()
    planned = _planned(kinds, sizes, bench, chosen, seeds, seed, stalled, asked, waveforms)
    began = time.perf_counter()
    with counted("building and running", "elaborations") as told, messages_to_stderr(), quiet_logs():
        outcomes = run_jobs(planned, jobs or os.cpu_count() or 1, told)
    seconds = time.perf_counter() - began
    if as_json:
        print_json(regression_json(outcomes, seconds))
    else:
        from siliform.rtl_tables import print_coverage, print_regression

        if coverage:
            print_coverage(outcomes)
        print_regression(outcomes, seconds)
    if not all(outcome.holds for outcome in outcomes):
        raise typer.Exit(FAILED)


@app.command(
    "calibrate", short_help="Measure circuits against the laws of estimates.", epilog=_CALIBRATE_EPILOG
)
def calibrate(
    units: Units = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Folder for the files. Default: that which estimates read."),
    ] = None,
    jobs: Jobs = None,
    as_json: Json = False,
) -> None:
    """Measure every elaboration on 40 cases without stalls, and write what agreed to arch/calibration.

    An estimate says RTL-calibrated of nodes whose unit is a circuit in these files, as long as neither the
    circuit's sources nor the law's have changed since. Nothing is written of a unit of which a trial fails.
    """
    from siliform.arch.calibration import HERE
    from siliform.rtl.common.calibrate import calibration_jobs
    from siliform.rtl.common.campaign import run_jobs
    from siliform.rtl.common.told import calibration_json, tools

    kinds, versions, folder = _kinds(units), tools(), out or HERE
    make_folder("--out", folder)
    with counted("building and running", "elaborations") as told, messages_to_stderr(), quiet_logs():
        planned = calibration_jobs(unit for kind in kinds for unit in kind.elaborations())
        outcomes = run_jobs(planned, jobs or os.cpu_count() or 1, told)
    with writing("--out", folder):
        rows = _written(kinds, outcomes, versions, folder)
    if as_json:
        print_json(calibration_json(rows, versions, outcomes))
    else:
        from siliform.rtl_tables import print_calibrations

        print_calibrations(rows, outcomes)
    if not all(outcome.holds for outcome in outcomes):
        raise typer.Exit(FAILED)


def _written(
    kinds: Sequence[type[HardwareUnit]], outcomes: Sequence[Outcome], versions: dict[str, str], folder: Path
) -> list[tuple[Calibration, Path]]:
    """A file for each unit of which every trial holds."""
    from datetime import date

    from siliform.rtl.common.calibrate import calibrated, calibration_toml

    found = []
    for kind in kinds:
        own = [outcome for outcome in outcomes if outcome.job.unit.kind == kind.kind]
        if all(outcome.holds for outcome in own):
            calibration = calibrated(kind, own, versions, date.today())
            path = folder / f"{kind.kind}.toml"
            path.write_text(calibration_toml(calibration), encoding="utf-8")
            found.append((calibration, path))
    return found


def _planned(
    kinds: Sequence[type[HardwareUnit]],
    sizes: str,
    bench: str,
    chosen: HardwareUnit | None,
    seeds: int | None,
    seed: int | None,
    stalled: bool | None,
    shapes: Sequence[Shape],
    waveforms: Path,
) -> list[Job]:
    """The jobs of every unit on every bench that was asked for."""
    from siliform.rtl.common.campaign import SIZES, jobs_of

    found: list[Job] = []
    for name, size in SIZES[sizes].items():
        if bench not in (name, "both"):
            continue
        count = seeds or (1 if seed is not None else size.seeds)
        for kind in kinds:
            found += jobs_of(
                [chosen] if chosen else kind.elaborations()[: size.elaborations],
                name,
                range(seed or 0, (seed or 0) + count),
                stalled=stalled,
                shapes=shapes or (None,),
                waveforms=waveforms,
                whole=size.whole and count >= size.seeds and not shapes and stalled is None,
            )
    return found


def _kinds(names: Sequence[str] | None) -> list[type[HardwareUnit]]:
    from siliform.rtl.catalogue import UNITS, unit_named

    return [unit_named(kind) for kind in dict.fromkeys(names or UNITS)]


def _with(kind: type[HardwareUnit], words: Sequence[str]) -> HardwareUnit:
    from siliform.rtl.common.unit import with_parameters

    return with_parameters(kind, dict(override(word) for word in words))


def _shape(text: str) -> dict[str, int]:
    """``m=1,n=8`` as sizes."""
    try:
        pairs = [part.split("=") for part in text.split(",")]
        return {name.strip(): int(value) for name, value in pairs}
    except ValueError:
        raise UserError(
            asked=f"--shape {text}",
            found="no NAME=NUMBER with commas between",
            where="--shape",
            next_step="write --shape m=1,n=8",
        ) from None


def _check_shape(unit: HardwareUnit, shape: Shape) -> None:
    """Every size that the unit's cases have, and none that they have not."""
    import numpy

    known = unit.shape(numpy.random.default_rng(0))
    if set(shape) != set(known) or min(shape.values()) < 0:
        raise UserError(
            asked=f"a case of {unit.kind} with {', '.join(f'{n} = {v}' for n, v in shape.items())}",
            found=f"cases of {', '.join(known)}, whole numbers",
            where="--shape",
            next_step=f"give all of them: --shape {','.join(f'{n}={v}' for n, v in known.items())}",
        )


def _check_choice(option: str, given: str, known: tuple[str, ...]) -> None:
    if given not in known:
        raise UserError(
            asked=f"{option} {given}",
            found="no such choice",
            where=option,
            next_step=f"use one of: {', '.join(known)}",
        )


def register(parent: Any) -> None:
    """Add the group."""
    from siliform.commands_circuit import register as register_circuits

    register_circuits(app)
    parent.add_typer(
        app,
        name="rtl",
        help="Units in hardware: bit for bit the reference, cycle for cycle the law.",
        short_help="Units in hardware: list, test, calibrate.",
        epilog=_EPILOG,
    )
