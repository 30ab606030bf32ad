"""The command of several devices."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from siliform.console import (
    check_file,
    counted,
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
    Json,
    ModelName,
    Overrides,
    Phase,
    Seq,
    override,
)

_EPILOG = """\b
Examples:
  siliform cluster --model gpt2 --design nvidia-a100 --parallel tensor=4 --topology ring --seq 256
  siliform cluster --model gpt2 --design nvidia-a100 --parallel context=4 --seq 512 --json
  siliform cluster --model gpt2 --design nvidia-a100 --parallel tensor=2 --parallel pipeline=2,4 --batch 4
  siliform cluster --model gpt2 --design nvidia-a100 --parallel context=4 --phase decode --context 512
  siliform cluster --model gpt2 --design nvidia-a100 --sweep --seq 4096 --degrees 1,2,4 --placement striped
  siliform cluster --model bert-tiny --design edge-32x32 --parallel tensor=2 --link-bandwidth '10 GB/s'
"""

#: Values that a shell completes; a test compares them with what the simulator takes.
TOPOLOGIES = ("ring", "mesh:2x2", "all-to-all")
PLANS = ("tensor=2", "context=2,ring,zigzag", "context=2,heads", "pipeline=2,4")
LAWS = ("model", "bound", "events")
KINDS = ("ring", "heads")
PLACEMENTS = ("blocks", "zigzag", "striped")


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    about = "Several devices: tensor, pipeline, context parallelism."
    app.command(short_help=about, epilog=_EPILOG)(cluster)


def _words(*values: str) -> Any:
    return lambda incomplete: [value for value in values if value.startswith(incomplete)]


def cluster(
    model: ModelName,
    design: DesignName,
    parallel: Annotated[
        list[str] | None,
        typer.Option(
            "--parallel",
            help="tensor=N, context=N[,ring|heads][,blocks|zigzag|striped], pipeline=STAGES[,MICROBATCHES]; "
            "repeatable.",
            autocompletion=_words(*PLANS),
        ),
    ] = None,
    devices: Annotated[
        int | None, typer.Option("--devices", help="How many. Default: the product of the degrees.")
    ] = None,
    topology: Annotated[
        str,
        typer.Option(
            "--topology",
            help="ring, mesh:RxC, or all-to-all (behind a switch).",
            autocompletion=_words(*TOPOLOGIES),
        ),
    ] = "all-to-all",
    link: Annotated[
        str, typer.Option("--link", help="The design's link between devices. Default: its first.")
    ] = "",
    link_bandwidth: Annotated[
        str | None, typer.Option("--link-bandwidth", help="Of one link each way, such as '50 GB/s'.")
    ] = None,
    link_latency: Annotated[
        str | None, typer.Option("--link-latency", help="Between two devices, such as '2 us'.")
    ] = None,
    seq: Seq = None,
    batch: Batch = 1,
    phase: Phase = "prefill",
    context: Context = None,
    bits: Bits = None,
    law: Annotated[
        str,
        typer.Option(
            "--law",
            help="What each part of the graph takes: model, bound, or events (simulated).",
            autocompletion=_words(*LAWS),
        ),
    ] = "model",
    overlap: Annotated[
        bool,
        typer.Option("--overlap/--no-overlap", help="Ring attention sends while it computes, or behind it."),
    ] = True,
    sweep: Annotated[
        bool,
        typer.Option("--sweep", help="One attention instead, over mask patterns and degrees of context."),
    ] = False,
    degrees: Annotated[
        str | None, typer.Option("--degrees", help="Of a sweep, with commas. Default: 1,2,4,8.")
    ] = None,
    patterns: Annotated[
        str | None,
        typer.Option(
            "--patterns", help="Of a sweep: causal, causal-window, window, block, full. Default: all."
        ),
    ] = None,
    kind: Annotated[
        str | None,
        typer.Option(
            "--kind", help="Of a sweep: ring or heads. Default: ring.", autocompletion=_words(*KINDS)
        ),
    ] = None,
    placement: Annotated[
        str | None,
        typer.Option(
            "--placement",
            help="Of a sweep: blocks, zigzag or striped. Default: zigzag for causal masks, else blocks.",
            autocompletion=_words(*PLACEMENTS),
        ),
    ] = None,
    window: Annotated[
        int | None, typer.Option("--window", help="Of a sweep, in keys. Default: 1024.")
    ] = None,
    block: Annotated[int | None, typer.Option("--block", help="Of a sweep, in keys. Default: 128.")] = None,
    density: Annotated[
        float | None, typer.Option("--density", help="Of a sweep: share of blocks seen. Default: 0.25.")
    ] = None,
    overrides: Overrides = None,
    csv: Annotated[
        Path | None, typer.Option("--csv", help="Write the devices, or the sweep, as CSV.")
    ] = None,
    pictures: Annotated[
        Path | None, typer.Option("--pictures", help="Write pictures as PNG into this folder.")
    ] = None,
    as_json: Json = False,
) -> None:
    """A model on several equal devices: latency, efficiency, exposed communication, memory per device."""
    import siliform as sf

    accelerator = sf.accelerator(design, **dict(override(text) for text in overrides or []))
    wires = {
        "topology": topology,
        "link": link,
        "link_bandwidth": _quantity("--link-bandwidth", link_bandwidth, "bytes per second"),
        "link_latency_s": _quantity("--link-latency", link_latency, "seconds"),
    }
    shared: dict[str, Any] = {"bits": bits, "law": law, "overlap": overlap}
    of_sweep: dict[str, Any] = {
        "degrees": _numbers(degrees),
        "patterns": None if patterns is None else patterns.split(","),
        "kind": kind,
        "placement": placement,
        "window": window,
        "block": block,
        "density": density,
    }
    check_file("--csv", csv)
    make_folder("--pictures", pictures)
    of_sweep = {name: value for name, value in of_sweep.items() if value is not None}
    if sweep:
        _refuse_with_sweep({"--parallel": parallel, "--devices": devices, "--context": context})
        if phase != "prefill":
            _refuse_with_sweep({"--phase": phase})
        _sweep(model, accelerator, wires, seq, batch, {**shared, **of_sweep}, csv, pictures, as_json)
        return
    _refuse_without_sweep(of_sweep)
    sizes = {"seq": seq, "batch": batch, "phase": phase, "context": context}
    _plan(model, accelerator, wires, parallel, devices, sizes, shared, csv, pictures, as_json)


def _plan(
    model: str,
    accelerator: Any,
    wires: dict[str, Any],
    parallel: list[str] | None,
    devices: int | None,
    sizes: dict[str, Any],
    shared: dict[str, Any],
    csv: Path | None,
    pictures: Path | None,
    as_json: bool,
) -> None:
    from siliform.arch.cluster import cluster_of
    from siliform.clusters import plan_of, simulated, traced

    plan = plan_of(parallel or [])
    machine = cluster_of(
        accelerator,
        plan.devices if devices is None else devices,
        wires["topology"],
        link=wires["link"],
        bandwidth_bytes_per_second=wires["link_bandwidth"],
        latency_seconds=wires["link_latency_s"],
    )
    plan.check(machine.devices)
    with progress(f"tracing {model}") as say, messages_to_stderr(), quiet_logs():
        graphs = traced(model, plan, sizes)
        say(f"simulating {machine.devices} x {accelerator.name}")
        found = simulated(graphs, machine, plan, phase=sizes["phase"], **shared)
    _write(found.report, csv)
    if pictures:
        from siliform.simulator.cluster.pictures import write_cluster_pictures

        with writing("--pictures", pictures):
            for path in write_cluster_pictures(found.report, found.ran.slices, pictures):
                typer.echo(f"wrote {path}", err=True)
    if as_json:
        print_json(found.report.to_dict())
    else:
        from siliform.simulator.cluster.tables import print_cluster

        print_cluster(found.report)


def _sweep(
    model: str,
    accelerator: Any,
    wires: dict[str, Any],
    seq: int | None,
    batch: int,
    choices: dict[str, Any],
    csv: Path | None,
    pictures: Path | None,
    as_json: bool,
) -> None:
    from siliform.clusters import attention_sweep

    with counted(f"simulating {model}", "rows") as told, messages_to_stderr(), quiet_logs():
        report = attention_sweep(
            model, accelerator, tokens=seq or 4096, batch=batch, told=told, **wires, **choices
        )
    _write(report, csv)
    if pictures:
        from siliform.simulator.cluster.pictures import write_sweep_pictures

        with writing("--pictures", pictures):
            for path in write_sweep_pictures(report, pictures):
                typer.echo(f"wrote {path}", err=True)
    if as_json:
        print_json(report.to_dict())
    else:
        from siliform.simulator.cluster.tables import print_sweep

        print_sweep(report)


def _write(report: Any, csv: Path | None) -> None:
    if csv:
        with writing("--csv", csv):
            report.to_csv(csv)


def _quantity(option: str, text: str | None, quantity: str) -> Any:
    """A bandwidth or a time as a number; None where nothing was given."""
    from siliform.arch.quantity import EXAMPLES, parse_quantity

    if text is None:
        return None
    try:
        return parse_quantity(text, quantity)
    except ValueError as error:
        raise UserError(
            asked=f"{option} {text}",
            found=str(error).partition(":")[0],
            where=option,
            next_step=f"write {EXAMPLES[quantity]}",
        ) from error


def _numbers(text: str | None) -> list[int] | None:
    try:
        return None if text is None else [int(part) for part in text.split(",")]
    except ValueError:
        raise UserError(
            asked=f"--degrees {text}",
            found="no whole numbers with commas between",
            where="--degrees",
            next_step="write --degrees 1,2,4,8",
        ) from None


def _refuse_with_sweep(given: dict[str, Any]) -> None:
    for option, value in given.items():
        if value:
            shown = " ".join(value) if isinstance(value, list) else value
            raise UserError(
                asked=f"--sweep with {option} {shown}",
                found="a sweep, which is over degrees of context parallelism in prefill",
                where=option,
                next_step=f"leave {option} out, or leave --sweep out",
            )


def _refuse_without_sweep(given: dict[str, Any]) -> None:
    for name in given:
        raise UserError(
            asked=f"--{name} without --sweep",
            found="a plan, which has no use for it",
            where=f"--{name}",
            next_step=f"leave --{name} out, or add --sweep",
        )
