"""The command line: the verbs of the API, one command each.

Every command takes ``--json`` (one JSON object on stdout, nothing else there), exits with 0 on
success, 2 on a user's mistake told in four parts, and 1 on a fault of ours.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from siliform.graph_ir.errors import UserError

app = typer.Typer(
    name="siliform",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="""Design transformers and the silicon that runs them together.

\b
  siliform models                                    models by name
  siliform designs                                   accelerators by name
  siliform estimate --model bert-base --design edge-32x32
  siliform estimate --model llama-2-7b --design nvidia-a100 --phase decode --context 4096
  siliform estimate --model gemm:128,768,768,int8 --design edge-32x32 --set array.rows=16
  siliform trace --model gpt2 --seq 64 --out gpt2.graph
""",
)

ModelName = Annotated[
    str,
    typer.Option(
        "--model",
        help="A built-in name (see `siliform models`), hf:<config.json>, py:<file.py>:<callable>, "
        "gemm:M,N,K[,format], or a saved .graph file.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]
Seq = Annotated[int | None, typer.Option("--seq", help="Tokens of the sequence (prefill).")]
Batch = Annotated[int, typer.Option("--batch", help="Sequences side by side.")]
Phase = Annotated[str, typer.Option("--phase", help="prefill, or decode: one new token.")]
Image = Annotated[int | None, typer.Option("--image", help="Side of a square input image in pixels.")]
Context = Annotated[int | None, typer.Option("--context", help="Tokens already cached (decode).")]


def _print_json(content: Any) -> None:
    sys.stdout.write(json.dumps(content, allow_nan=False) + "\n")


@app.command()
def estimate(
    model: ModelName,
    design: Annotated[
        str, typer.Option("--design", help="A design's name (see `siliform designs`) or a TOML file.")
    ],
    seq: Seq = None,
    batch: Batch = 1,
    phase: Phase = "prefill",
    context: Context = None,
    image: Image = None,
    bits: Annotated[
        str | None,
        typer.Option(
            "--bits",
            help="Formats of matmul-like nodes: int8, fp16, fp8_e4m3, w4a8, w1a1, ... "
            "(default: the design's native formats; 'traced' keeps the model's own).",
        ),
    ] = None,
    law: Annotated[str, typer.Option("--law", help="model (realistic) or bound (speed of light).")] = "model",
    objective: Annotated[
        str, typer.Option("--objective", help="What the mapper minimises: latency, energy or edp.")
    ] = "latency",
    overrides: Annotated[
        list[str] | None,
        typer.Option(
            "--set", help="UNIT.PARAMETER=VALUE, repeatable: --set array.rows=16 --set clock='1.2 GHz'."
        ),
    ] = None,
    depth: Annotated[int, typer.Option("--depth", help="Module depth of the table's groups.")] = 3,
    csv: Annotated[Path | None, typer.Option("--csv", help="Write the parts as CSV.")] = None,
    pictures: Annotated[
        Path | None,
        typer.Option("--pictures", help="Write roofline and breakdown pictures into this folder."),
    ] = None,
    program: Annotated[
        Path | None, typer.Option("--program", help="Write the compiled Program as JSON.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Latency, energy, area and traffic of a model on a design, closed form, best mapping.

    \b
      siliform estimate --model bert-base --design edge-32x32 --bits int8
      siliform estimate --model bert-base --design edge-32x32 --set array.dataflow=output-stationary
      siliform estimate --model yi-34b --design nvidia-a100 --seq 4000 --law bound
      siliform estimate --model py:mine.py:build --design my-chip.toml --json
    """
    import siliform as sf

    accelerator = sf.accelerator(design, **dict(_override(text) for text in overrides or []))
    graph = sf.trace(model, seq=seq, batch=batch, phase=phase, context=context, image=image)
    report = sf.estimate(graph, accelerator, bits=bits, law=law, objective=objective)
    if csv:
        report.to_csv(csv)
    if program:
        program.write_text(sf.compile(graph, accelerator, bits=bits, objective=objective).to_json())
    if pictures:
        from siliform.simulator.pictures import write_pictures

        for path in write_pictures(report, pictures):
            typer.echo(f"wrote {path}", err=True)
    if as_json:
        _print_json(report.to_dict())
    else:
        from siliform.simulator.tables import print_report

        print_report(report, depth=depth)


def _override(text: str) -> tuple[str, str]:
    key, sign, value = text.partition("=")
    if not sign or not key or not value:
        raise UserError(
            asked=f"--set {text}",
            found="no KEY=VALUE",
            where="the command line",
            next_step="write --set UNIT.PARAMETER=VALUE, such as --set array.rows=16",
        )
    return key, value


@app.command()
def trace(
    model: ModelName,
    seq: Seq = None,
    batch: Batch = 1,
    phase: Phase = "prefill",
    context: Context = None,
    image: Image = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Write the graph here (text, weights beside it).")
    ] = None,
    as_json: Json = False,
) -> None:
    """Trace a model to its graph and print or save it.

    \b
      siliform trace --model bert-base --seq 128 --out bert.graph
      siliform trace --model llama-2-7b --phase decode --context 4096 --json
    """
    import siliform as sf

    graph = sf.trace(model, seq=seq, batch=batch, phase=phase, context=context, image=image)
    if out:
        from siliform.graph_ir.weights import save_graph

        save_graph(graph, out)
    if as_json:
        _print_json(sf.describe(graph))
    elif out:
        typer.echo(f"{graph.name}: {len(graph.nodes)} nodes, {graph.macs:,} MACs -> {out}", err=True)
    else:
        typer.echo(str(graph))


@app.command()
def designs(
    name: Annotated[str | None, typer.Argument(help="Show one design whole.")] = None,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", help="UNIT.PARAMETER=VALUE, repeatable.")
    ] = None,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON Schema of a design file.")] = False,
    as_json: Json = False,
) -> None:
    """List the accelerators, or show one as TOML with its parameters.

    \b
      siliform designs
      siliform designs edge-32x32 --set array.rows=16
    """
    from siliform import listing

    if schema:
        _print_json(listing.design_schema())
    elif name:
        listing.show_design(name, dict(_override(text) for text in overrides or []), as_json)
    else:
        listing.list_designs(as_json)


@app.command()
def models(as_json: Json = False) -> None:
    """List the built-in models."""
    from siliform import listing

    listing.list_models(as_json)


@app.command()
def schema(what: Annotated[Literal["report", "design"], typer.Argument(help="Which JSON Schema.")]) -> None:
    """Print a published JSON Schema: of the report that --json prints, or of a design file."""
    from siliform import listing

    _print_json(listing.report_schema() if what == "report" else listing.design_schema())


@app.command()
def demo(
    out: Annotated[Path, typer.Option("--out", help="Folder of the report.")] = Path("out/demo"),
    as_json: Json = False,
) -> None:
    """The main job on real transformers: BERT-base and Llama-2-7B on three designs."""
    from siliform.demo import run

    summary = run(out)
    if as_json:
        _print_json(summary)


def main(arguments: list[str] | None = None) -> None:
    """Entry point: runs a command and turns a UserError into its four parts and exit status 2."""
    try:
        app(args=arguments)
    except UserError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(2)


if __name__ == "__main__":
    main()
