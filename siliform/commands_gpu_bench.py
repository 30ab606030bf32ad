"""``siliform gpu bench``: kernels checked and timed on the GPU of this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from siliform.console import messages_to_stderr, print_json
from siliform.options import Json

_BENCH_EPILOG = """\b
Examples:
  siliform gpu bench
  siliform gpu bench --suite full
  siliform gpu bench --only matmul --only attention --out mine.jsonl
  siliform gpu bench --suite full --json
"""


def register(app: typer.Typer) -> None:
    """Add the command of this module to the group `app`."""
    app.command(short_help="Check and time kernels on this machine's GPU.", epilog=_BENCH_EPILOG)(bench)


def bench(
    suite: Annotated[
        str, typer.Option("--suite", help="quick: begins nothing after 100 s; full: after 510 s.")
    ] = "quick",
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="FAMILY", help="This family alone, repeatable.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="JSON Lines file to append to; what it holds is not run again. "
            "Default: kernels/measurements/<device>-<date>.jsonl.",
        ),
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option("--seconds", min=0.0, help="Nothing begins later than this. Default: the suite's."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Check and time kernels beside the libraries' on the GPU of this machine, a line of JSON each.

    Results are compared with float64 first. What runs when the seconds are over is finished: some seconds,
    150 at most. Exit status 0 where all is measured, or refused by this device or these libraries; 1 where
    something is wrong, missing or failed, or time ran out; 2 without a GPU, or on another mistake; 75 where a
    kernel took the device with it: the same command then goes on.
    """
    from siliform.kernels.bench.one import LOST
    from siliform.kernels.bench.report import told_run
    from siliform.kernels.bench.runner import DeviceLost
    from siliform.kernels.bench.runner import bench as measure

    try:
        with messages_to_stderr():
            outcome = measure(suite, only or (), out, lambda line: typer.echo(line, err=True), seconds)
    except DeviceLost as error:
        typer.echo(f"the device is lost to this process: {error}\nthe same command goes on", err=True)
        raise typer.Exit(LOST) from error
    told = told_run(outcome, suite, only or ())
    if as_json:
        print_json(told.object)
    else:
        typer.echo(told.text, nl=False)
    if told.status:
        raise typer.Exit(told.status)
