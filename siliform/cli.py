"""The command line: the verbs of the API, one command each.

Every command takes ``--json`` (one JSON object on stdout, nothing else there; its schema is what
``siliform schema`` prints) and exits with 0 on success, 2 on a user's mistake told in four parts,
and 1 on a fault of ours, with its traceback.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from siliform import (
    commands_arena,
    commands_cluster,
    commands_gpu,
    commands_rtl,
    commands_rtl_synth,
    commands_serve,
    commands_simulate,
    commands_sweep,
)
from siliform.console import (
    check_file,
    drop_stdout,
    finish_stdout,
    make_folder,
    messages_to_stderr,
    print_json,
    progress,
    quiet_logs,
    ready_streams,
    refused_output,
    writing,
)
from siliform.graph_ir.errors import UserError
from siliform.options import (
    Batch,
    Bits,
    Context,
    DesignName,
    Image,
    Json,
    Law,
    ModelName,
    Objective,
    Overrides,
    Phase,
    Seq,
    TokensMerged,
    check_schema,
    complete_design,
    complete_method,
    complete_schema,
    complete_section,
    override,
)

#: Exit status of a command stopped by Ctrl-C, and of one whose reader went away, as shells count
#: them: 128 + SIGINT, 128 + SIGPIPE.
INTERRUPTED, PIPE_CLOSED = 130, 141

Depth = Annotated[
    int | None,
    typer.Option("--depth", help="Steps of the module path that the table groups by. Default: what fits."),
]
Csv = Annotated[Path | None, typer.Option("--csv", help="Write the parts as CSV.")]
Pictures = Annotated[
    Path | None, typer.Option("--pictures", help="Write roofline and breakdowns as PNG into this folder.")
]
ProgramFile = Annotated[Path | None, typer.Option("--program", help="Write the compiled Program as JSON.")]

app = typer.Typer(
    name="siliform",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Design transformers and the silicon that runs them together.",
    epilog="""\b
Examples:
  siliform models
  siliform methods
  siliform designs
  siliform estimate --model bert-base --design edge-32x32
  siliform estimate --model gpt2 --design nvidia-a100 --phase decode --context 512
  siliform estimate --model gemm:128,768,768,int8 --design edge-32x32 --set array.rows=16
""",
)


@app.callback(invoke_without_command=True)
def siliform(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Options that stand before the command."""
    if version:
        from siliform import __version__

        typer.echo(f"siliform {__version__}")
        raise typer.Exit


@app.command(
    short_help="Latency, energy, area and traffic of a model.",
    epilog="""\b
Examples:
  siliform estimate --model bert-base --design edge-32x32 --bits int8
  siliform estimate --model bert-tiny --design edge-32x32 --set array.dataflow=output-stationary
  siliform estimate --model bert-tiny --design server-128x128 --objective energy --pictures out
  siliform estimate --model gpt2 --design nvidia-a100 --seq 1024 --law bound
  siliform estimate --model gpt2 --design edge-32x32 --phase decode --context 512 --bits w4a8 --json
  siliform estimate --model gemm:128,768,768,int8 --design edge-32x32 --set array.rows=16
  siliform estimate --model hf:config.json --design edge-16x16-gemmini --seq 64
  siliform estimate --model py:mine.py:build --design my-chip.toml --csv parts.csv
""",
)
def estimate(
    model: ModelName,
    design: DesignName,
    seq: Seq = None,
    batch: Batch = 1,
    phase: Phase = "prefill",
    context: Context = None,
    image: Image = None,
    tokens_merged: TokensMerged = None,
    bits: Bits = None,
    law: Law = "model",
    objective: Objective = "latency",
    overrides: Overrides = None,
    depth: Depth = None,
    csv: Csv = None,
    pictures: Pictures = None,
    program: ProgramFile = None,
    as_json: Json = False,
) -> None:
    """Latency, energy, area and traffic of a model on a design: closed form, best mapping."""
    import siliform as sf
    from siliform.simulator.estimate import check_choices

    _check_depth(depth)
    accelerator = sf.accelerator(design, **dict(override(text) for text in overrides or []))
    check_choices(bits=bits, law=law, objective=objective)
    check_file("--csv", csv)
    check_file("--program", program)
    make_folder("--pictures", pictures)
    graph = _traced(
        model,
        seq=seq,
        batch=batch,
        phase=phase,
        context=context,
        image=image,
        tokens_merged=tokens_merged,
    )
    doing = f"mapping {graph.name} onto {design} (the first time, kernels are compiled: about half a minute)"
    with progress(doing) as say, messages_to_stderr():
        report = sf.estimate(graph, accelerator, bits=bits, law=law, objective=objective)
        if csv:
            with writing("--csv", csv):
                report.to_csv(csv)
        if program:
            say(f"compiling the program of {graph.name}")
            _compile(program, graph, accelerator, bits=bits, objective=objective)
        if pictures:
            say(f"drawing {graph.name}")
            _draw(report, pictures)
    if as_json:
        print_json(report.to_dict())
    else:
        from siliform.simulator.tables import print_report

        print_report(report, depth=depth)


def _check_depth(depth: int | None) -> None:
    if depth is not None and depth < 1:
        raise UserError(
            asked=f"--depth {depth}",
            found=f"{depth} is less than 1",
            where="--depth",
            next_step="give a whole number of 1 or more, or leave --depth out",
        )


def _compile(path: Path, graph: Any, accelerator: Any, **choices: Any) -> None:
    import siliform as sf

    compiled = sf.compile(graph, accelerator, **choices)
    with writing("--program", path):
        path.write_text(compiled.to_json(), encoding="utf-8")


def _draw(report: Any, folder: Path) -> None:
    from siliform.simulator.pictures import write_pictures

    with writing("--pictures", folder):
        for path in write_pictures(report, folder):
            typer.echo(f"wrote {path}", err=True)


def _traced(model: str, **sizes: Any) -> Any:
    import siliform as sf

    with progress(f"tracing {model}"), messages_to_stderr(), quiet_logs():
        return sf.trace(model, **sizes)


@app.command(
    epilog="""\b
Examples:
  siliform trace --model gemm:128,768,768,int8
  siliform trace --model bert-tiny --seq 128 --out bert.graph
  siliform estimate --model bert.graph --design edge-32x32
  siliform trace --model gpt2 --phase decode --context 512 --json
  siliform trace --model py:mine.py:build
"""
)
def trace(
    model: ModelName,
    seq: Seq = None,
    batch: Batch = 1,
    phase: Phase = "prefill",
    context: Context = None,
    image: Image = None,
    tokens_merged: TokensMerged = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Write the graph here (text, weights beside it).")
    ] = None,
    as_json: Json = False,
) -> None:
    """Trace a model to its graph, and print, count or save it."""
    import siliform as sf

    if out and out.name and out.suffix != ".graph":
        out = out.with_name(out.name + ".graph")
    check_file("--out", out)
    graph = _traced(
        model,
        seq=seq,
        batch=batch,
        phase=phase,
        context=context,
        image=image,
        tokens_merged=tokens_merged,
    )
    if out:
        from siliform.graph_ir.weights import save_graph

        with writing("--out", out):
            save_graph(graph, out)
        typer.echo(f"{graph.name}: {len(graph.nodes)} nodes, {graph.macs:,} MACs -> {out}", err=True)
    if as_json:
        print_json(sf.describe(graph))
    elif not out:
        typer.echo(str(graph))


@app.command(
    short_help="List the accelerators, or show one whole.",
    epilog="""\b
Examples:
  siliform designs
  siliform designs edge-32x32
  siliform designs edge-32x32 --set array.rows=16 --set clock='1.2 GHz'
  siliform designs server-128x128 --json
""",
)
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


@app.command(
    epilog="""\b
Examples:
  siliform models
  siliform models --json
"""
)
def models(as_json: Json = False) -> None:
    """List the built-in models, none of which downloads anything."""
    from siliform import listing

    listing.list_models(as_json)


@app.command(
    short_help="List the published methods and their state, or show one.",
    epilog="""\b
Examples:
  siliform methods
  siliform methods --section C
  siliform methods gqa
  siliform methods --json
""",
)
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


@app.command(
    epilog="""\b
Examples:
  siliform schema report
  siliform schema design
"""
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


@app.command(
    short_help="BERT-base and Llama-2-7B on three designs, and a search.",
    epilog="""\b
Examples:
  siliform demo
  siliform demo --out report --json
""",
)
def demo(
    out: Annotated[Path, typer.Option("--out", help="Folder of the report.")] = Path("out/demo"),
    as_json: Json = False,
) -> None:
    """The main job on real transformers: BERT-base and Llama-2-7B on three designs, then a search for a chip
    that runs BERT-base better (some three minutes)."""
    from siliform.demo import run
    from siliform.simulator.tables import wide_console

    make_folder("--out", out)
    with writing("--out", out):
        summary = run(out, wide_console(stderr=as_json))
    if as_json:
        print_json(summary)


commands_simulate.register(app)
commands_serve.register(app)
commands_cluster.register(app)
commands_sweep.register(app)
commands_arena.register(app)
commands_rtl_synth.register(commands_rtl.app)
commands_rtl.register(app)
commands_gpu.register(app)


def main(arguments: list[str] | None = None) -> None:
    """Entry point: runs a command and turns what may go wrong into messages and exit statuses."""
    ready_streams()
    try:
        status = app(args=arguments, prog_name="siliform", standalone_mode=False)
        finish_stdout()
    except UserError as error:
        status = _told(error)
    except (KeyboardInterrupt, typer.Abort):
        status = INTERRUPTED
    except BrokenPipeError:
        status = PIPE_CLOSED
    except OSError as error:
        refused = refused_output(error)
        status = _told(refused) if refused else _fault()
    except SystemExit as stop:
        # The library that parses the command line answers a closed pipe with exit status 1 by itself.
        status = PIPE_CLOSED if isinstance(stop.__context__, BrokenPipeError) else stop.code
    except Exception as error:
        status = _misused(error) if hasattr(error, "exit_code") else _fault()
    if status == PIPE_CLOSED:
        drop_stdout()
    sys.exit(status or 0)


def _told(error: UserError) -> int:
    sys.stderr.write(f"{error}\n")
    return 2


def _misused(error: Any) -> int:
    """A usage error of the library that parses the command line, known by its exit status."""
    error.show()
    return int(error.exit_code)


def _fault() -> int:
    """An exception that nobody expected: its traceback, and whose it is."""
    import platform
    import traceback

    from siliform import __version__

    traceback.print_exc()
    sys.stderr.write(
        "This is a fault of Siliform, not of your input: please report the lines above with the command and "
        f"its files (siliform {__version__}, Python {platform.python_version()}, {platform.platform()}).\n"
    )
    return 1


if __name__ == "__main__":
    main()
