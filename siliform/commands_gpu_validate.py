"""``siliform gpu validate``: the GPU model judged by measured kernels, with or without a GPU."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from siliform.console import check_picture, messages_to_stderr, print_json, progress, writing
from siliform.options import Json

_VALIDATE_EPILOG = """\b
Examples:
  siliform gpu validate
  siliform gpu validate --gpu nvidia-h100 --family gemm --plot h100.svg
  siliform gpu validate --source none --measurements kernels/measurements
  siliform gpu validate --json
"""


def register(app: typer.Typer) -> None:
    """Add the command of this module to the group `app`."""
    about = "Judge the GPU model by measured kernels."
    app.command(short_help=about, epilog=_VALIDATE_EPILOG)(validate)


def validate(
    source: Annotated[
        str, typer.Option("--source", help="aiconfigurator: the public tables of that package; or none.")
    ] = "aiconfigurator",
    measurements: Annotated[
        Path | None,
        typer.Option(
            "--measurements",
            help="JSON Lines that `siliform gpu bench` wrote, or a folder of them, too. Default: what is "
            "committed, unless a part of the public tables is asked for.",
        ),
    ] = None,
    gpus: Annotated[
        list[str] | None,
        typer.Option("--gpu", metavar="DESIGN", help="This GPU alone, repeatable."),
    ] = None,
    families: Annotated[
        list[str] | None,
        typer.Option(
            "--family",
            metavar="FAMILY",
            help="This family alone, repeatable: gemm, prefill, decode, encoder, or one of "
            "`siliform gpu bench`.",
        ),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option("--plot", help="Picture of predicted against measured (.svg, .png, .pdf, ...)."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Predict every measured kernel and show how far off: by family, GPU and library, small ones apart.

    Works offline and without a GPU. The public tables come with a package of data: pip install
    'siliform[yardstick]'. Held-out rows are the half of the shapes that no constant has been fitted to; of
    H200, L40S and B200 none has. docs/gpu.md says what was fitted and what remains.
    """
    from siliform.gpu import validate as judge

    check_picture("--plot", plot)
    with progress("reading measured kernels") as tell, messages_to_stderr():
        found = judge(source, measurements=measurements, gpus=gpus, families=families, tell=tell)
        if plot is not None:
            from siliform.gpu_picture import write_picture

            with writing("--plot", plot):
                write_picture(found, plot)
    from siliform.gpu_told import as_object, as_text

    if as_json:
        print_json(as_object(found))
    else:
        typer.echo(as_text(found), nl=False)
