"""The command of the search."""

from __future__ import annotations

import contextlib
import math
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from siliform.console import messages_to_stderr, print_json, quiet_logs
from siliform.options import Json

if TYPE_CHECKING:
    from siliform.dse.outcome import Outcome, Progress
    from siliform.dse.studyfile import StudyFile

#: Exit status of a search that Ctrl-C ended with what it had, as shells count: 128 + SIGINT.
INTERRUPTED = 130
#: Rows of the front that are printed.
_ROWS = 12

_EPILOG = """\b
Examples:
  siliform sweep study.toml --out out/study
  siliform sweep study.toml --out out/study --resume --budget 4000
  siliform sweep study.toml --out out/timed --budget 2min --jobs 2 --no-report
  siliform sweep study.toml --out out/random --engine random --seed 7 --no-report --json
"""


def complete_engine() -> list[tuple[str, str]]:
    """Engines and what they are."""
    from siliform.dse.engines import DESCRIPTIONS

    return list(DESCRIPTIONS.items())


StudyPath = Annotated[
    Path, typer.Argument(metavar="STUDY.toml", help="The study: what varies, and for what.")
]
Out = Annotated[
    Path | None, typer.Option("--out", help="Folder of the results. Default: out/NAME, NAME the study's.")
]
Jobs = Annotated[int, typer.Option("--jobs", min=1, help="Processes that evaluate.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with what the folder holds.")]
BudgetText = Annotated[
    str | None,
    typer.Option(
        "--budget", help="When to stop: evaluations (500) or a time (90s, 2min, 1h). Overrides the study's."
    ),
]
EngineName = Annotated[
    str | None,
    typer.Option(
        "--engine",
        help="Who asks: random, exhaustive, nsga2, nsga3, gp, predictor. Overrides the study's, options too.",
        autocompletion=complete_engine,
    ),
]
Seed = Annotated[
    int | None, typer.Option("--seed", min=0, help="Of every random choice. Overrides the study's.")
]
Confirm = Annotated[
    int | None,
    typer.Option(
        "--confirm", min=0, help="Designs of the front to simulate by events. Overrides the study's."
    ),
]
ExecutorName = Annotated[
    str,
    typer.Option(
        "--executor",
        help="serial: this process; local: --jobs processes; dask: those of --address, or --jobs of its own.",
        autocompletion=lambda: ["serial", "local", "dask"],
    ),
]
Address = Annotated[str | None, typer.Option("--address", help="Of a Dask scheduler: tcp://HOST:PORT.")]
Report = Annotated[
    bool, typer.Option("--report/--no-report", help="Write report.html, pictures and CSV files.")
]


def sweep(
    study: StudyPath,
    out: Out = None,
    jobs: Jobs = 1,
    resume: Resume = False,
    budget: BudgetText = None,
    engine: EngineName = None,
    seed: Seed = None,
    confirm: Confirm = None,
    executor: ExecutorName = "local",
    address: Address = None,
    report: Report = True,
    as_json: Json = False,
) -> None:
    """Search networks, bit widths and hardware together; a front, its report, every evaluation kept.

    The folder holds the store (every evaluation, durable as it is reported), report.html, pictures, CSV files
    and the chosen designs as TOML files. A search that was stopped, even by kill -9, goes on with --resume.
    examples/ has studies; docs/search.md says what a study file may state, and how to use many machines
    (--executor dask --address tcp://HOST:8786).
    """
    from siliform.dse.studyfile import read_study
    from siliform.simulator.tables import wide_console
    from siliform.studies import search

    file = read_study(study)
    folder = out or Path("out") / re.sub(r"[^\w.+-]+|^\.+", "_", file.study.name)
    with drawn(file) as view, messages_to_stderr(), quiet_logs():
        outcome = search(
            file,
            folder,
            jobs=jobs,
            executor=executor,
            address=address,
            resume=resume,
            budget=budget,
            engine=engine,
            seed=seed,
            confirm=confirm,
            report=report,
            listener=view,
            progress=view.doing,
        )
    told = {"format": "siliform-sweep", "version": 1, **outcome.to_json(), "out": str(folder)}
    if as_json:
        print_json(told)
    else:
        print_front(outcome, told, wide_console())
    if outcome.interrupted:
        raise typer.Exit(INTERRUPTED)


@dataclass
class View:
    """What the terminal shows of a search while it runs; nothing where there is none."""

    bar: Any = None
    task: Any = None

    def doing(self, what: str, done: int, of: int) -> None:
        """Something before the search or after it: a network trained, designs simulated, pictures drawn."""
        self._show(what, done, of)

    def on_round(self, progress: Progress) -> None:
        """A round of the search is over, or goes on."""
        limit = progress.budget.evaluations
        best = ", ".join(f"{name} {_short(value)}" for name, value in progress.best.items())
        text = f"hypervolume {progress.hypervolume:.4f}  best {best or 'none yet'}"
        if progress.infeasible:
            text += f"  infeasible {progress.infeasible:,}"
        if progress.eta_seconds is not None:
            text += f"  {_duration(progress.eta_seconds)} left"
        self._show(text, progress.evaluations, limit or 0, f"{progress.evaluations:,}")

    def _show(self, text: str, done: int, of: int, count: str = "") -> None:
        if self.bar is not None:
            self.bar.update(self.task, description=text, completed=done, total=of or None, count=count)


@contextlib.contextmanager
def drawn(file: StudyFile) -> Iterator[View]:
    """A view with a progress bar on stderr where that is a terminal."""
    if not sys.stderr.isatty():
        yield View()
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (BarColumn(bar_width=24), TextColumn("{task.fields[count]}"), TextColumn("{task.description}"))
    with Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True), transient=True) as bar:
        yield View(bar, bar.add_task(f"reading {file.study.name}", total=None, count=""))


def print_front(outcome: Outcome, told: dict[str, Any], console: Any) -> None:
    """The front and what was done, for people."""
    from rich import box
    from rich.table import Table

    names = [o.name for o in outcome.objectives]
    varied = [knob.name for knob in outcome.space.knobs]
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    for name in names:
        table.add_column(name, justify="right")
    table.add_column("design")
    points = [outcome.space.decode(row) for row in outcome.front_rows]
    shared = [name for name in varied if points and len({point.get(name) for point in points}) == 1]
    varied = [name for name in varied if name not in shared]
    for place in _spread(len(points)):
        design = " ".join(_choice(n, points[place][n]) for n in varied if n in points[place])
        table.add_row(*(_short(outcome.front[name][place]) for name in names), design)
    console.print(table)
    if len(points) > _ROWS:
        console.print(f"{_ROWS} of {len(points):,} designs; the report has them all")
    if shared:
        told_once = " ".join(_choice(name, points[0][name]) for name in shared if name in points[0])
        console.print(f"all of the front: {told_once}")
    state = "interrupted" if outcome.interrupted else "complete" if outcome.complete else "stopped"
    console.print(
        f"{outcome.study.name}: {outcome.evaluations:,} evaluations of {outcome.space.size:,} designs by "
        f"{outcome.study.engine} in {_duration(outcome.seconds)}, {outcome.infeasible:,} infeasible, "
        f"hypervolume {outcome.hypervolume:.4f}; {len(points):,} designs on the front; {state}."
    )
    if outcome.interrupted:
        console.print("Go on with the same command and --resume.")
    if not points:
        console.print(_why_none(outcome))
    where = told.get("report", told["out"])
    console.print(f"The report lies at {where}" if "report" in told else f"The store lies in {where}")


def _why_none(outcome: Outcome) -> str:
    """The commonest reason of a search without a front."""
    from collections import Counter

    from siliform.dse.store import Store

    with Store.read(outcome.store) as store:
        reasons = Counter(reason for reason in store.table().records.reasons if reason)
    if not reasons:
        return "No design was evaluated."
    reason, count = reasons.most_common(1)[0]
    return f"No design is feasible. The commonest reason, of {count:,}: {reason}"


def _spread(count: int) -> list[int]:
    """Places of at most so many rows, evenly over the front, its ends among them."""
    if count <= _ROWS:
        return list(range(count))
    return [round(place * (count - 1) / (_ROWS - 1)) for place in range(_ROWS)]


def _choice(name: str, value: Any) -> str:
    """A knob and its value, such as ``scratchpad.bytes=1MiB`` and ``dram.bandwidth=25.6GB/s``."""
    if isinstance(value, int) and name.endswith("_bytes_per_second"):
        return f"{name.removesuffix('_bytes_per_second')}={value / 1e9:g}GB/s"
    if isinstance(value, int) and name.endswith("bytes") and value % 1024 == 0 and value:
        return f"{name}={value // 2**20}MiB" if value % 2**20 == 0 else f"{name}={value // 1024}KiB"
    return f"{name}={value}"


def _short(value: float) -> str:
    return "–" if not math.isfinite(value) else f"{value:.4g}"


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("sweep", short_help="Search networks, bit widths and hardware together.", epilog=_EPILOG)(
        sweep
    )
