"""The commands that list what there is: designs, models, methods, and schemas of what is printed."""

from __future__ import annotations

from typing import Annotated

import typer

from siliform.console import print_json
from siliform.graph_ir.errors import UserError
from siliform.options import (
    Json,
    Overrides,
    check_schema,
    complete_design,
    complete_method,
    complete_schema,
    complete_section,
    override,
)

_DESIGNS_EPILOG = """\b
Examples:
  siliform designs
  siliform designs edge-32x32
  siliform designs edge-32x32 --set array.rows=16 --set clock='1.2 GHz'
  siliform designs server-128x128 --json
"""
_MODELS_EPILOG = """\b
Examples:
  siliform models
  siliform models --json
"""
_METHODS_EPILOG = """\b
Examples:
  siliform methods
  siliform methods --section C
  siliform methods gqa
  siliform methods --json
"""
_SCHEMA_EPILOG = """\b
Examples:
  siliform schema report
  siliform schema design
"""


def designs(
    name: Annotated[
        str | None,
        typer.Argument(help="Show this one whole: a name or a TOML file.", autocompletion=complete_design),
    ] = None,
    overrides: Overrides = None,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON Schema of a design file.")] = False,
    as_json: Json = False,
) -> None:
    """List the accelerators, or show one as TOML with all its parameters, to start your own from."""
    from siliform import listing

    if schema:
        print_json(listing.schema("design"))
    elif name is not None:
        listing.show_design(name, dict(override(text) for text in overrides or []), as_json)
    elif overrides:
        raise UserError(
            asked=f"--set {overrides[0]} on the list of designs",
            found="no design to set it on",
            where="--set",
            next_step=f"name one: siliform designs edge-32x32 --set {overrides[0]}",
        )
    else:
        listing.list_designs(as_json)


def models(as_json: Json = False) -> None:
    """List the built-in models, none of which downloads anything."""
    from siliform import listing

    listing.list_models(as_json)


def methods(
    name: Annotated[
        str | None, typer.Argument(help="Show this one whole.", autocompletion=complete_method)
    ] = None,
    section: Annotated[
        str | None,
        typer.Option("--section", help="Those of one section, A to E.", autocompletion=complete_section),
    ] = None,
    as_json: Json = False,
) -> None:
    """List the published methods: what each computes, and which of model, circuit and GPU kernel is there."""
    from siliform import methods as catalogue

    if name is None:
        catalogue.list_methods(section, as_json)
    elif section is None:
        catalogue.show_method(name, as_json)
    else:
        raise UserError(
            asked=f"{name} with --section {section}",
            found="one method, and a section",
            where="--section",
            next_step="leave one of the two out",
        )


def schema(
    what: Annotated[
        str,
        typer.Argument(
            help="report, graph, designs, shown-design, models, methods, demo, arena, serving, long-context, "
            "cluster, cluster-sweep, sweep, gpu-bench, gpu-validate, rtl-list, rtl-generate, rtl-run, "
            "rtl-test, rtl-calibrate or rtl-synth: what the command prints with --json; design, study, "
            "measurement: such a file.",
            autocompletion=complete_schema,
        ),
    ],
    as_json: Json = True,
) -> None:
    """Print a published JSON Schema."""
    from siliform import listing

    print_json(listing.schema(check_schema(what)))


def register(app: typer.Typer) -> None:
    """Add the commands of this module to `app`."""
    app.command(short_help="List the accelerators, or show one whole.", epilog=_DESIGNS_EPILOG)(designs)
    app.command(epilog=_MODELS_EPILOG)(models)
    about = "List the published methods and their state, or show one."
    app.command(short_help=about, epilog=_METHODS_EPILOG)(methods)
    app.command(epilog=_SCHEMA_EPILOG)(schema)
