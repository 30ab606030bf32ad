"""The commands of serving: requests over time, and what long contexts cost at best."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

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
    Bits,
    DesignName,
    Json,
    Law,
    ModelName,
    Objective,
    Overrides,
    override,
)

#: Ways of batching, as `siliform.simulator.serving.BATCHINGS` has them (a test compares).
BATCHINGS = ("continuous", "padding-free", "packed", "padded")
#: Exit status of a command that Ctrl-C ended with a partial result, as shells count: 128 + SIGINT.
INTERRUPTED = 130

_SERVE_EPILOG = """\b
Examples:
  siliform serve --model gpt2 --design nvidia-a100 --requests 8 --prompt fixed:64 --output fixed:16
  siliform serve --model gpt2 --design edge-32x32 --requests 6 --prompt uniform:16,64 --output fixed:4 --json
  siliform serve --model bert-tiny --design edge-32x32 --requests batch.csv --batching packed
"""
_LONG_CONTEXT_EPILOG = """\b
Examples:
  siliform long-context --model gpt2 --design nvidia-a100 --context 256,1000
  siliform long-context --model gpt2 --design nvidia-a100 --context 512 --set dram.bytes='80 GiB'
  siliform long-context --model gpt2 --design edge-32x32 --context 512 --law model --json
"""


def register(app: typer.Typer) -> None:
    """Add the commands of this module to `app`."""
    app.command(short_help="Requests over time: latency, throughput, KV memory.", epilog=_SERVE_EPILOG)(serve)
    app.command(
        "long-context",
        short_help="Prefill, answer, users and switch by context.",
        epilog=_LONG_CONTEXT_EPILOG,
    )(long_context)


def complete_batching(incomplete: str) -> list[tuple[str, str]]:
    """Ways of batching."""
    return [(name, "a way of batching") for name in BATCHINGS if name.startswith(incomplete)]


def serve(
    model: ModelName,
    design: DesignName,
    requests: Annotated[
        str,
        typer.Option(
            "--requests",
            help="How many to draw, or a CSV file of name, arrival_s, prompt_tokens and output_tokens.",
        ),
    ] = "64",
    prompt: Annotated[
        str | None,
        typer.Option(
            "--prompt",
            help="Tokens of a prompt: fixed:N, uniform:A,B or lognormal:MEDIAN,SIGMA. "
            "Default: lognormal:512,0.5.",
        ),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option("--output", help="Tokens of an answer, in the same form. Default: lognormal:128,0.5."),
    ] = None,
    arrivals: Annotated[
        str | None,
        typer.Option("--arrivals", help="all at once, or poisson:RATE a second. Default: all."),
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Of what is drawn. Default: 0.")] = None,
    batching: Annotated[
        str,
        typer.Option(
            "--batching",
            help="continuous, padding-free, packed or padded.",
            autocompletion=complete_batching,
        ),
    ] = "continuous",
    max_batch: Annotated[int, typer.Option("--max-batch", help="Requests that share a step at most.")] = 32,
    row_tokens: Annotated[
        int | None,
        typer.Option("--row-tokens", help="Tokens of a packed row. Default: the longest prompt of a batch."),
    ] = None,
    bits: Bits = None,
    law: Law = "model",
    objective: Objective = "latency",
    grid: Annotated[
        int,
        typer.Option(
            "--grid", help="Ratio of neighbouring sizes that are traced; more is quicker and rougher."
        ),
    ] = 2,
    overrides: Overrides = None,
    csv: Annotated[Path | None, typer.Option("--csv", help="Write the requests with their times.")] = None,
    pictures: Annotated[
        Path | None,
        typer.Option("--pictures", help="Write KV memory and batch over time as PNG into this folder."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Requests over time on one design: latency, throughput, padding, KV memory, energy."""
    import siliform as sf
    from siliform.serving import serve as run

    accelerator = sf.accelerator(design, **dict(override(text) for text in overrides or []))
    drawn = {"--prompt": prompt, "--output": output, "--arrivals": arrivals, "--seed": seed}
    asked = _requests(requests, drawn)
    check_file("--csv", csv)
    make_folder("--pictures", pictures)
    with _bar(len(asked)) as (say, done), messages_to_stderr(), quiet_logs():
        report = run(
            model,
            accelerator,
            asked,
            batching=batching,
            max_batch=max_batch,
            row_tokens=row_tokens,
            bits=bits,
            law=law,
            objective=objective,
            grid=grid,
            say=say,
            on_step=lambda finished, step: done(finished),
        )
    if csv:
        with writing("--csv", csv):
            report.to_csv(csv)
    if pictures:
        from siliform.simulator.serving.pictures import write_pictures

        with writing("--pictures", pictures):
            for path in write_pictures(report, pictures):
                typer.echo(f"wrote {path}", err=True)
    if as_json:
        print_json(report.to_dict())
    else:
        from siliform.simulator.serving.tables import print_report

        print_report(report)
    if report.run.partial:
        raise typer.Exit(INTERRUPTED)


def _requests(text: str, drawn: dict[str, Any]) -> Any:
    """The requests of a CSV file, or as many as `text` says, drawn as the options say."""
    from siliform.simulator.serving import generate_requests, requests_from_csv

    try:
        count = int(text)
    except ValueError:
        option = next((name for name, value in drawn.items() if value is not None), None)
        if option is not None:
            raise UserError(
                asked=f"--requests {text} with {option} {drawn[option]}",
                found="a file of requests, from which nothing is drawn",
                where=option,
                next_step=f"leave {option} out, or give a number of requests to draw",
            ) from None
        return requests_from_csv(text)
    import numpy as np

    seed = drawn["--seed"] or 0
    if seed < 0:
        raise UserError(
            asked=f"--seed {seed}",
            found=f"{seed} is less than 0",
            where="--seed",
            next_step="give a whole number of 0 or more",
        )
    return generate_requests(
        count,
        prompt=drawn["--prompt"] or "lognormal:512,0.5",
        output=drawn["--output"] or "lognormal:128,0.5",
        arrivals=drawn["--arrivals"] or "all",
        generator=np.random.default_rng(seed),
    )


def long_context(
    model: ModelName,
    design: DesignName,
    context: Annotated[
        str, typer.Option("--context", help="Context lengths in tokens, with commas between.")
    ] = "4000,50000",
    answer: Annotated[int, typer.Option("--answer", help="Tokens of an answer.")] = 250,
    link: Annotated[
        str | None, typer.Option("--link", help="The design's link to the host. Default: pcie or host.")
    ] = None,
    bits: Bits = None,
    law: Law = "bound",
    overrides: Overrides = None,
    as_json: Json = False,
) -> None:
    """What long contexts cost at best: prefill, an answer, users side by side, a context switch."""
    import siliform as sf
    from siliform.long_contexts import long_context as run

    accelerator = sf.accelerator(design, **dict(override(text) for text in overrides or []))
    lengths = _contexts(context)
    with progress(f"tracing {model}") as say, messages_to_stderr(), quiet_logs():
        choices = {"answer_tokens": answer, "link": link, "bits": bits, "law": law}
        report = run(model, accelerator, lengths, say=say, **choices)  # type: ignore[arg-type]
    if as_json:
        print_json(report.to_dict())
    else:
        from siliform.simulator.serving.long_context import print_long_context

        print_long_context(report)


def _contexts(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise UserError(
            asked=f"--context {text}",
            found="no whole numbers with commas between",
            where="--context",
            next_step="write --context 4000,50000",
        ) from None


@contextlib.contextmanager
def _bar(total: int) -> Iterator[tuple[Callable[[str], None], Callable[[int], None]]]:
    """A bar of finished requests on stderr, on a terminal only: functions that set its text and its place."""
    if not sys.stderr.isatty():
        yield lambda text: None, lambda finished: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("serving", total=total)
        yield (
            lambda text: bar.update(task, description=text),
            lambda finished: bar.update(task, completed=finished),
        )
