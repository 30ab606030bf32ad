"""The commands of GPUs: kernels measured on one, and the model judged by what was measured."""

from __future__ import annotations

from typing import Any

import typer

app = typer.Typer(
    name="gpu",
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_EPILOG = """\b
Examples:
  siliform gpu bench --help
"""


def register(parent: Any) -> None:
    """Add the group."""
    from siliform.commands_gpu_bench import register as register_bench

    register_bench(app)
    parent.add_typer(
        app,
        name="gpu",
        help="GPU kernels measured on this machine, and predictions judged by measurements.",
        short_help="GPU kernels measured, predictions judged.",
        epilog=_EPILOG,
    )
