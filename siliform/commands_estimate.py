"""The commands of one model: what it costs, and its graph."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from siliform.console import (
    check_file,
    make_folder,
    messages_to_stderr,
    print_json,
    progress,
    quiet_logs,
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
    override,
)

if TYPE_CHECKING:
    from siliform.arch.program import Program
    from siliform.graph_ir.graph import Graph
    from siliform.simulator.report import Report

_ESTIMATE_EPILOG = """\b
Examples:
  siliform estimate --model bert-base --design edge-32x32 --bits int8
  siliform estimate --model bert-tiny --design edge-32x32 --set array.dataflow=output-stationary
  siliform estimate --model bert-tiny --design server-128x128 --objective energy --pictures out
  siliform estimate --model gpt2 --design nvidia-a100 --seq 1024 --law bound
  siliform estimate --model gpt2 --design edge-32x32 --phase decode --context 512 --bits w4a8 --json
  siliform estimate --model gemm:128,768,768,int8 --design edge-32x32 --set array.rows=16
  siliform estimate --model hf:config.json --design edge-16x16-gemmini --seq 64
  siliform estimate --model py:mine.py:build --design my-chip.toml --csv parts.csv
"""
_TRACE_EPILOG = """\b
Examples:
  siliform trace --model gemm:128,768,768,int8
  siliform trace --model bert-tiny --seq 128 --out bert.graph
  siliform estimate --model bert.graph --design edge-32x32
  siliform trace --model gpt2 --phase decode --context 512 --json
  siliform trace --model py:mine.py:build
"""

Depth = Annotated[
    int | None,
    typer.Option("--depth", help="Steps of the module path that the table groups by. Default: what fits."),
]
Csv = Annotated[Path | None, typer.Option("--csv", help="Write the parts as CSV.")]
Pictures = Annotated[
    Path | None, typer.Option("--pictures", help="Write roofline and breakdowns as PNG into this folder.")
]
ProgramFile = Annotated[Path | None, typer.Option("--program", help="Write the compiled Program as JSON.")]


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
    files = _Files(csv, program, pictures)
    files.check()
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
        files.write(report, say, lambda: sf.compile(graph, accelerator, bits=bits, objective=objective))
    _tell(report, depth, as_json)


def _tell(report: Report, depth: int | None, as_json: bool) -> None:
    if as_json:
        print_json(report.to_dict())
        return
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


@dataclass(frozen=True)
class _Files:
    """What is written beside the result, each where it was asked for."""

    csv: Path | None
    program: Path | None
    pictures: Path | None

    def check(self) -> None:
        """Refuse what cannot be written, before any work is done."""
        check_file("--csv", self.csv)
        check_file("--program", self.program)
        make_folder("--pictures", self.pictures)

    def write(self, report: Report, say: Callable[[str], None], compiled: Callable[[], Program]) -> None:
        """Write them; `say` is told what takes long, the program is compiled where it was asked for."""
        if self.csv:
            with writing("--csv", self.csv):
                report.to_csv(self.csv)
        if self.program:
            say(f"compiling the program of {report.model}")
            text = compiled().to_json()
            with writing("--program", self.program):
                self.program.write_text(text, encoding="utf-8")
        if self.pictures:
            say(f"drawing {report.model}")
            _draw(report, self.pictures)


def _draw(report: Report, folder: Path) -> None:
    from siliform.simulator.pictures import write_pictures

    with writing("--pictures", folder):
        for path in write_pictures(report, folder):
            typer.echo(f"wrote {path}", err=True)


def _traced(model: str, **sizes: Any) -> Graph:
    import siliform as sf

    with progress(f"tracing {model}"), messages_to_stderr(), quiet_logs():
        return sf.trace(model, **sizes)


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


def register(app: typer.Typer) -> None:
    """Add the commands of this module to `app`."""
    about = "Latency, energy, area and traffic of a model."
    app.command(short_help=about, epilog=_ESTIMATE_EPILOG)(estimate)
    app.command(epilog=_TRACE_EPILOG)(trace)
