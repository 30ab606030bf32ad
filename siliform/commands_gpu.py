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
  siliform gpu validate
"""


def register(parent: Any) -> None:
    """Add the group."""
    from siliform.commands_gpu_bench import register as register_bench
    from siliform.commands_gpu_validate import register as register_validate

    register_bench(app)
    register_validate(app)
    parent.add_typer(
        app,
        name="gpu",
        help="GPU kernels measured on this machine, and predictions judged by measurements.",
        short_help="GPU kernels measured, predictions judged.",
        epilog=_EPILOG,
    )
