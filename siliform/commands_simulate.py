"""The command of the event simulator."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from siliform.console import (
    check_file,
    counted,
    make_folder,
    messages_to_stderr,
    print_json,
    quiet_logs,
    writing,
)
from siliform.options import (
    Batch,
    Bits,
    Context,
    DesignName,
    Image,
    Json,
    ModelName,
    Objective,
    Overrides,
    Phase,
    Seq,
    TokensMerged,
    override,
)

if TYPE_CHECKING:
    from siliform.simulator.events.simulate import Simulated
    from siliform.simulator.events.timeline.tracks import Timeline
    from siliform.simulator.report import Report

#: Exit status of a command that Ctrl-C ended with a partial result, as shells count: 128 + SIGINT.
INTERRUPTED = 130

_EPILOG = """\b
Examples:
  siliform simulate --model bert-tiny --design edge-32x32
  siliform simulate --model bert-tiny --design edge-32x32 --no-overlap --json
  siliform simulate --model bert-tiny --design edge-32x32 --set dram.timing=LPDDR4-3200 \
--set dram.timing_channels=4
  siliform simulate --model bert-tiny --design edge-32x32 --timeline trace.json.gz --html report.html
  siliform simulate --model gpt2 --design nvidia-a100 --phase decode --context 512
  siliform simulate --model gemm:128,768,768,int8 --design edge-32x32 --set scratchpad.bytes='64 KiB'
"""

OverlapChoice = Annotated[
    bool,
    typer.Option(
        "--overlap/--no-overlap",
        help="Let nodes run beside and fetch ahead of each other, or one after the other.",
    ),
]
FoldChoice = Annotated[
    bool,
    typer.Option(
        "--fold/--no-fold",
        help="Skip stretches in which the machine's whole state recurs. The numbers are the same either way.",
    ),
]
DramChoice = Annotated[
    str,
    typer.Option(
        "--dram",
        help="bandwidth: bytes over bandwidth; banks: channels, banks, rows and refresh of the part that the "
        "design names (dram.timing), nothing folded; banks-spread: the same with refreshes spread evenly, so "
        "that states recur; auto: banks where it names a part.",
        autocompletion=lambda: ["auto", "bandwidth", "banks", "banks-spread"],
    ),
]
Csv = Annotated[Path | None, typer.Option("--csv", help="Write the parts as CSV.")]
Pictures = Annotated[
    Path | None,
    typer.Option("--pictures", help="Write roofline, breakdowns and a Gantt chart as PNG into this folder."),
]
TimelineFile = Annotated[
    Path | None,
    typer.Option("--timeline", help="Write what happened when as JSON for ui.perfetto.dev; .gz compresses."),
]
HtmlFile = Annotated[
    Path | None, typer.Option("--html", help="Write one page with tables, stalls, Gantt chart and trace.")
]


def register(app: typer.Typer) -> None:
    """Add the command of this module to `app`."""
    app.command(short_help="The same by events: contention, stalls, overlap.", epilog=_EPILOG)(simulate)


def simulate(
    model: ModelName,
    design: DesignName,
    seq: Seq = None,
    batch: Batch = 1,
    phase: Phase = "prefill",
    context: Context = None,
    image: Image = None,
    tokens_merged: TokensMerged = None,
    bits: Bits = None,
    objective: Objective = "latency",
    overlap: OverlapChoice = True,
    fold: FoldChoice = True,
    dram: DramChoice = "auto",
    overrides: Overrides = None,
    csv: Csv = None,
    pictures: Pictures = None,
    timeline: TimelineFile = None,
    html: HtmlFile = None,
    as_json: Json = False,
) -> None:
    """Simulate a model on a design by events: tiles and transfers compete for units, DRAM and scratchpad.

    Takes the mapping of `estimate` and says what it leaves out: who waits for whom and for how long.
    """
    import siliform as sf
    from siliform.simulator.estimate import check_choices
    from siliform.simulator.events.recording import RECORDED
    from siliform.simulator.events.simulate import check_dram
    from siliform.simulator.events.simulate import simulate as run

    accelerator = sf.accelerator(design, **dict(override(text) for text in overrides or []))
    check_choices(bits=bits, objective=objective)
    check_dram(dram, accelerator)
    files = _Files(csv, timeline, html, pictures)
    files.check()
    with counted(f"simulating {model} on {design}", "nodes") as told, messages_to_stderr(), quiet_logs():
        graph = sf.trace(
            model,
            seq=seq,
            batch=batch,
            phase=phase,
            context=context,
            image=image,
            tokens_merged=tokens_merged,
        )
        found = run(
            graph,
            accelerator,
            bits=bits,
            objective=objective,
            overlap=overlap,
            fold=fold,
            dram=dram,
            record=RECORDED if files.timed else 0,
            told=told,
        )
    files.write(found)
    _tell(found.report, as_json)


def _tell(report: Report, as_json: bool) -> None:
    """Print the report; a partial one ends the command as Ctrl-C does."""
    from siliform.simulator.tables import partial_note, print_report

    known = report.simulation
    partial = known is not None and known.partial
    if as_json:
        if known is not None and partial:
            typer.echo(partial_note(known), err=True)
        print_json(report.to_dict())
    else:
        print_report(report)
    if partial:
        sys.exit(INTERRUPTED)


@dataclass(frozen=True)
class _Files:
    """What is written beside the result, each where it was asked for."""

    csv: Path | None
    trace: Path | None
    html: Path | None
    pictures: Path | None

    @property
    def timed(self) -> bool:
        """Whether one of them shows what happened when."""
        return any((self.trace, self.html, self.pictures))

    def check(self) -> None:
        """Refuse what cannot be written, before any work is done."""
        check_file("--csv", self.csv)
        check_file("--timeline", self.trace)
        check_file("--html", self.html)
        make_folder("--pictures", self.pictures)

    def write(self, found: Simulated) -> None:
        """Write them."""
        if self.csv:
            with writing("--csv", self.csv):
                found.report.to_csv(self.csv)
        if not self.timed:
            return
        from siliform.simulator.events.timeline.tracks import timeline_of

        timeline = timeline_of(found)
        if self.trace:
            _write_trace(timeline, self.trace)
        if self.html:
            from siliform.simulator.html import write_html

            with writing("--html", self.html):
                write_html(found.report, timeline, self.html)
        if self.pictures:
            _draw(found.report, timeline, self.pictures)


def _write_trace(timeline: Timeline, path: Path) -> None:
    """Write what happened when, and say what a trace leaves out."""
    from siliform.simulator.events.timeline.perfetto import write_trace

    with writing("--timeline", path):
        write_trace(timeline, path)
    for note in timeline.notes:
        typer.echo(f"{path}: {note}", err=True)


def _draw(report: Report, timeline: Timeline, folder: Path) -> None:
    """Roofline, breakdowns and Gantt chart."""
    from siliform.simulator.events.timeline.gantt import write_gantt
    from siliform.simulator.pictures import picture_stem, write_pictures

    with writing("--pictures", folder):
        paths = write_pictures(report, folder)
        gantt = folder / f"{picture_stem(report)}-gantt.png"
        write_gantt(timeline, gantt)
        for path in (*paths, gantt):
            typer.echo(f"wrote {path}", err=True)
