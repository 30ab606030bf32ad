"""The runs of the arena: traced, estimated, and kept as they are done.

Every finished evaluation is a line of ``runs.jsonl`` in the folder of the results, under the digests of
graph, design and laws; what is there is never evaluated again, however the process before ended.
"""

from __future__ import annotations

import fcntl
import io
import json
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from siliform.arena import FULL, LENGTHS, Arena, Run
from siliform.graph_ir.errors import UserError

if TYPE_CHECKING:
    from siliform.arch.accelerator import Accelerator
    from siliform.graph_ir.graph import Graph

STORE = "runs.jsonl"

_ROOT = Path(__file__).parent
#: Rooms whose files decide a graph, and those that decide what it costs.
_TRACING, _LAWS = ("graph_ir", "kernels", "models"), ("arch", "graph_ir", "simulator")
_SOURCE_LINE = re.compile(r' from "[^"]*"$', re.MULTILINE)


# -- evaluating --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Task:
    """A mixer at a length, to be traced once and estimated on the designs that lack.

    Attributes
    ----------
    designs : names or TOML paths with the digests of what they say.
    done : keys of this mixer and length that are in the store.
    code, laws : digests of what traces and of what costs, taken once for all tasks.
    """

    mixer: str
    tokens: int
    designs: tuple[tuple[str, str], ...]
    done: frozenset[str]
    store: Path
    code: str
    laws: str


def evaluate(task: Task) -> None:
    """Trace and estimate what lacks, each appended to the store as it is done: one write, so never half."""
    graph = _traced(task.mixer, task.tokens)
    refused = graph.reason if isinstance(graph, Run) else ""
    digest = task.code if isinstance(graph, Run) else graph_digest(graph)
    _append(task.store, {"trace": _key(task.mixer, task.tokens, task.code), "graph": digest})
    for design, design_digest in task.designs:
        key = _key(task.mixer, task.tokens, digest, design_digest, task.laws)
        if key in task.done:
            continue
        accelerator = _accelerator(design)
        if isinstance(graph, Run):
            run = Run(task.mixer, accelerator.name, task.tokens, state="refused", reason=refused)
        else:
            run = estimated(task.mixer, task.tokens, graph, accelerator)
        _append(task.store, {"key": key, **asdict(run)})


def _traced(mixer: str, tokens: int) -> Graph | Run:
    """The graph, or why there is none."""
    from siliform.models import Request, build_graph

    try:
        return build_graph(f"mixer:{mixer}", Request(sequence=tokens))
    except UserError as error:
        return Run(mixer, "", tokens, state="refused", reason=_reason(error))


def estimated(mixer: str, tokens: int, graph: Graph, accelerator: Accelerator) -> Run:
    """The run of a traced mixer on a design, in the design's native formats."""
    from siliform.simulator.estimate import planned_report
    from siliform.simulator.footprint import held

    try:
        found = planned_report(graph, accelerator, bits=None, objective="latency")
    except UserError as error:
        return Run(mixer, accelerator.name, tokens, state="refused", reason=_reason(error))
    report, memory = found.report, held(found.graph).bytes
    return Run(
        mixer,
        accelerator.name,
        tokens,
        bits=report.bits,
        latency_s=report.latency_s,
        energy_j=report.energy_j,
        peak_memory_bytes=memory,
        dram_bytes=report.dram_bytes,
        macs=report.macs,
        fits=memory <= accelerator.dram.bytes,
    )


def _reason(error: UserError) -> str:
    """What was asked and the first of what was found, on one line."""
    return " ".join(f"{error.asked}: {error.found.partition('; ')[0]}".split())


@cache
def _accelerator(design: str) -> Accelerator:
    from siliform.arch.design import load_design

    return load_design(design)


@cache
def _digest_of(rooms: tuple[str, ...]) -> str:
    """A digest of every file of some rooms, designs left out."""
    digest = sha256()
    for room in rooms:
        folder = (_ROOT / room).resolve()
        for path in sorted(folder.rglob("*")):
            if path.suffix in (".py", ".json", ".toml", ".csv", ".npz") and path.parent.name != "designs":
                digest.update(str(path.relative_to(folder)).encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def graph_digest(graph: Graph) -> str:
    """A digest of a graph's text without the source lines that nodes come from."""
    return sha256(_SOURCE_LINE.sub("", str(graph)).encode()).hexdigest()[:16]


def _key(*parts: object) -> str:
    return " ".join(map(str, parts))


# -- the store ---------------------------------------------------------------------------------------


def _append(store: Path, told: Mapping[str, Any]) -> None:
    with store.open("ab", buffering=0) as file:
        file.write((json.dumps(told) + "\n").encode())


def _read(store: Path) -> tuple[dict[str, str], dict[str, Run]]:
    """Graphs' digests by trace, and runs by key; a line that was cut off is none."""
    traces: dict[str, str] = {}
    runs: dict[str, Run] = {}
    for line in store.read_text(encoding="utf-8").splitlines():
        try:
            told = json.loads(line)
        except json.JSONDecodeError:  # the process was killed within it
            continue
        if "trace" in told:
            traces[told["trace"]] = told["graph"]
        else:
            key = told.pop("key")
            runs[key] = Run(**told)
    return traces, runs


@contextmanager
def _opened(folder: Path) -> Iterator[Path]:
    """The store of a folder, for this process alone, its last line whole."""
    folder.mkdir(parents=True, exist_ok=True)
    store = folder / STORE
    with store.open("a+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UserError(
                asked=f"results in {folder}",
                found="another process that writes there",
                where="--out",
                next_step="wait for it, or give another folder",
            ) from error
        if file.seek(0, io.SEEK_END):
            file.seek(-1, io.SEEK_END)
            if file.read(1) != b"\n":
                file.write(b"\n")
                file.flush()
        yield store


# -- the whole ---------------------------------------------------------------------------------------


def run_arena(
    folder: Path,
    *,
    mixers: Iterable[str] = (),
    designs: Iterable[str] = (),
    lengths: Iterable[int] = LENGTHS,
    jobs: int = 1,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> Arena:
    """Every mixer at every length on every design.

    Parameters
    ----------
    folder : of the store, made where it is missing.
    mixers : names of methods; every one of the catalogue that is run at any length where empty, but for
        those that share another one's graph. Full attention comes first in any case.
    designs : names or TOML files; all designs of Siliform where empty.
    lengths : tokens.
    jobs : processes.
    progress : told how many mixers at a length are done, of how many.

    Raises
    ------
    UserError : unknown names, lengths that are none, a folder in use; sources that changed meanwhile.
    """
    names, sizes = _mixers(mixers), _lengths(lengths)
    chips = {design: _accelerator(design) for design in _designs(designs)}
    told = tuple((design, _design_digest(chip)) for design, chip in chips.items())
    with _opened(Path(folder)) as store:
        known = _Known(*_read(store), _digest_of(_TRACING), _digest_of(_LAWS))
        places = [(mixer, tokens) for tokens in sizes for mixer in names]
        tasks = [task for place in places if (task := known.task(*place, told, store)) is not None]
        progress(len(places) - len(tasks), len(places))
        for done in _each(tasks, jobs):
            progress(len(places) - len(tasks) + done, len(places))
        found = _Known(*_read(store), known.code, known.laws)
    _check_unchanged(known)
    keys = [found.key(m, t, digest) for m in names for _, digest in told for t in sizes]
    return Arena(tuple(found.runs[key] for key in keys), len(set(keys) - known.runs.keys()))


@dataclass(frozen=True)
class _Known:
    """What a store holds, for the code and the laws of now."""

    traces: Mapping[str, str]
    runs: Mapping[str, Run]
    code: str
    laws: str

    def key(self, mixer: str, tokens: int, design_digest: str) -> str:
        """Of a run whose graph was traced."""
        graph = self.traces[_key(mixer, tokens, self.code)]
        return _key(mixer, tokens, graph, design_digest, self.laws)

    def task(self, mixer: str, tokens: int, designs: tuple[tuple[str, str], ...], store: Path) -> Task | None:
        """What lacks of a mixer at a length; None where nothing does."""
        if _key(mixer, tokens, self.code) in self.traces:
            designs = tuple(pair for pair in designs if self.key(mixer, tokens, pair[1]) not in self.runs)
            if not designs:
                return None
        done = frozenset(key for key in self.runs if key.startswith(f"{mixer} {tokens} "))
        return Task(mixer, tokens, designs, done, store, self.code, self.laws)


def _check_unchanged(known: _Known) -> None:
    """Refuse runs during which Siliform was edited: modules load as they are needed, some old, some new."""
    if (known.code, known.laws) != tuple(_digest_of.__wrapped__(rooms) for rooms in (_TRACING, _LAWS)):
        raise UserError(
            asked="runs by one set of models and laws",
            found="source files of Siliform that changed while it ran",
            where="siliform arena",
            next_step="run it again once they are as they should be: what changed is evaluated anew",
        )


def _design_digest(accelerator: Accelerator) -> str:
    return sha256(accelerator.to_toml().encode()).hexdigest()[:16]


def _each(tasks: Sequence[Task], jobs: int) -> Iterator[int]:
    """Do tasks, the longest lengths first where processes share them; tells how many are done."""
    if jobs == 1 or len(tasks) < 2:
        for done, task in enumerate(tasks, 1):
            evaluate(task)
            yield done
        return
    from concurrent.futures import as_completed

    from siliform.dse.executors import Local

    with warnings.catch_warnings():
        # loky gives a process back that has grown, as one does that keeps plans of many graphs, and says so.
        warnings.filterwarnings("ignore", "A worker was restarted")
        pool = Local(jobs)
        try:
            futures = [pool.submit(evaluate, task) for task in sorted(tasks, key=lambda t: -t.tokens)]
            for done, future in enumerate(as_completed(futures), 1):
                future.result()
                yield done
        finally:
            pool.close()


def _mixers(names: Iterable[str]) -> tuple[str, ...]:
    """Full attention, then these; or of the catalogue each that has a graph of its own."""
    from siliform.models.build import mixer_spec
    from siliform.models.methods import METHODS

    asked = [mixer_spec(name.removeprefix("mixer:"), "--mixer") for name in names]
    chosen = [spec.name.removeprefix("mixer:") for spec in asked]
    chosen = chosen or [
        method.name
        for method in METHODS.values()
        if method.mixer is not None and method.mixer.arena and method.same_graph_as is None
    ]
    return tuple(dict.fromkeys([FULL, *chosen]))


def _designs(names: Iterable[str]) -> tuple[str, ...]:
    from siliform.arch.design import design_names

    return tuple(dict.fromkeys(names)) or design_names()


def _lengths(lengths: Iterable[int]) -> tuple[int, ...]:
    found = tuple(sorted(set(lengths)))
    if not found or found[0] < 1:
        raise UserError(
            asked=f"lengths of {', '.join(map(str, found)) or 'no'} tokens",
            found="a length below 1" if found else "no length",
            where="--lengths",
            next_step="give whole numbers of 1 or more, such as 1024,4096",
        )
    return found
