"""One measured kernel: a line of a JSON Lines file, written when it is found and read when a run goes on."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from siliform.graph_ir.errors import UserError
from siliform.kernels.bench.checks import FORMAT, STATUSES, VERSION, fault

#: Where measurements lie that are committed.
FOLDER = Path(__file__).resolve().parents[1] / "measurements"
#: Statuses that another run would only repeat.
SETTLED = ("measured", "refused")

Json = Mapping[str, Any]


@dataclass(frozen=True)
class Measurement:
    """A case as one implementation ran it. Figures that were not taken are None, and a reason says why.

    Attributes
    ----------
    case : the case's name, which says family, formats, options and sizes.
    operands, attributes : the op of graph_ir's catalogue as a graph would hold it ("bf16[4096,4096]"), None
        where no op of the catalogue is what was run.
    implementation : "siliform", or the name of a library's baseline.
    median_s : time of one call on the device: replays of a CUDA graph where `timed` is "graph", else calls
        launched one by one ("eager").
    spread : interquartile range over the median; None of fewer than four samples.
    samples, calls : how many times were taken, each over how many calls.
    eager_s, host_s : the same calls launched one by one, and what launching one takes the host.
    sets, cycled_bytes, cache : operand sets that were cycled, their bytes, and whether those are twice the L2
        cache or more ("cold") or not ("warm").
    energy_j : of one call, above idling, of the whole board.
    error, error_bound : norm of the difference to float64 over the norm of float64, over the part of the
        result that `examined` names.
    operations, least_bytes : twice the multiply-accumulates (or what the family counts), and each operand and
        result once: what rates are told of.
    """

    case: str
    suite: str
    family: str
    op: str
    kernel: str | None
    sizes: Mapping[str, int]
    formats: Mapping[str, str]
    options: Mapping[str, str | int | float | bool]
    operands: tuple[str, ...] | None
    attributes: Mapping[str, Any] | None
    seed: int
    implementation: str
    status: str
    reason: str | None
    median_s: float | None
    spread: float | None
    least_s: float | None
    samples: int | None
    calls: int | None
    timed: str | None
    eager_s: float | None
    host_s: float | None
    sets: int | None
    cycled_bytes: int | None
    cache: str | None
    energy_j: float | None
    energy_reason: str | None
    error: float | None
    error_bound: float | None
    examined: str | None
    operations: int | None
    least_bytes: int | None
    clocks: Mapping[str, float | None] | None
    device: Mapping[str, Any]
    versions: Mapping[str, str | None]
    date: str
    commit: str | None

    def __post_init__(self) -> None:
        if self.status not in STATUSES:
            raise ValueError(f"status {self.status!r}; the statuses are {', '.join(STATUSES)}")
        if (self.status == "measured") != (self.median_s is not None):
            raise ValueError(f"{self.case}: {self.status} with a time of {self.median_s} s")
        if self.status != "measured" and not self.reason:
            raise ValueError(f"{self.case}: {self.status} without a reason")

    @property
    def key(self) -> tuple[str, str]:
        """What a run that goes on knows it by."""
        return self.case, self.implementation

    def line(self) -> str:
        """The JSON object on one line, without its end."""
        held = {"format": FORMAT, "version": VERSION} | dataclasses.asdict(self)
        return json.dumps(held, allow_nan=False, default=dict)

    @classmethod
    def of(cls, held: Json) -> Measurement:
        """Of a JSON object; ValueError, which says why, for what is no line of measurements."""
        wrong = fault(held)
        if wrong:
            raise ValueError(wrong)
        rest = {name: value for name, value in held.items() if name not in ("format", "version")}
        if rest.get("operands") is not None:
            rest["operands"] = tuple(rest["operands"])
        return cls(**rest)


def read(path: Path) -> tuple[Measurement, ...]:
    """Measurements of a file, the last line where several have one key. A last line cut short is left out.

    UserError, which names the line, where the file cannot be read or holds something else.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(path, getattr(error, "strerror", None) or str(error), f"{path}") from error
    if _cut_short(lines[-1]):
        lines.pop()
    found: dict[tuple[str, str], Measurement] = {}
    for number, line in enumerate(lines, 1):
        try:
            made = Measurement.of(_parsed(line))
        except (ValueError, RecursionError) as error:
            raise _unreadable(path, f"no measurement: {error}", f"{path}:{number}") from error
        found[made.key] = made
    return tuple(found.values())


def read_all(folder: Path = FOLDER) -> tuple[Measurement, ...]:
    """Measurements of every file of a folder, those that are committed by default."""
    return tuple(m for path in sorted(folder.glob("*.jsonl")) for m in read(path))


def append(path: Path, made: Measurement) -> None:
    """Add a line that outlives the process, behind the last whole one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as file:
        held = path.read_bytes()
        ended = held.rfind(b"\n") + 1
        if _cut_short(held[ended:].decode(errors="replace")):
            file.truncate(ended)
        elif held:  # whole, but for the end of its line
            file.write(b"\n")
        file.write((made.line() + "\n").encode())
        file.flush()
        os.fsync(file.fileno())


def settled(found: Iterable[Measurement]) -> frozenset[tuple[str, str]]:
    """Keys that need not be run again."""
    return frozenset(m.key for m in found if m.status in SETTLED)


def _cut_short(piece: str) -> bool:
    """Whether what stands behind the last end of a line is nothing, or a line that a killed run left."""
    if not piece.startswith("{"):
        return not piece
    try:
        _parsed(piece)
    except (ValueError, RecursionError):
        return True
    return False


def _parsed(line: str) -> Any:
    """JSON without Python's NaN and Infinity; ValueError for anything else."""

    def refused(word: str) -> None:
        raise ValueError(f"{word} is no number of JSON")

    return json.loads(line, parse_constant=refused)


def _unreadable(path: Path, found: str, where: str) -> UserError:
    return UserError(
        asked=f"the measurements of {path}",
        found=found,
        where=where,
        next_step="give a JSON Lines file that `siliform gpu bench` wrote (kernels/measurements/README.md)",
    )
