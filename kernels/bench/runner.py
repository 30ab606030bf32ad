"""Runs what a file does not hold yet, each line written as it is found, within a time budget."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from siliform.graph_ir.errors import UserError
from siliform.kernels.bench import measurement
from siliform.kernels.bench.case import Case, chosen
from siliform.kernels.bench.cuda import commit, find_gpu, versions
from siliform.kernels.bench.energy import NoEnergy, measure_span
from siliform.kernels.bench.lines import Context, Place, told
from siliform.kernels.bench.measurement import Measurement
from siliform.kernels.bench.one import run_case

#: Seconds after which a suite begins nothing more, and that one implementation of a case is timed.
BUDGET_S = {"quick": 100.0, "full": 510.0}
CASE_S = {"quick": 0.15, "full": 0.25}
IDLE_S = 1e-2  # of a wait while the idle board's energy is counted
ROOT = Path(__file__).resolve().parents[2]


class DeviceLost(Exception):
    """A kernel left the device in a state that only a new process gets out of."""


@dataclass(frozen=True)
class Outcome:
    """What a run wrote, and the cases that its time budget left."""

    path: Path
    written: tuple[Measurement, ...]
    left: tuple[Case, ...] = ()


def bench(
    suite: str,
    only: Sequence[str],
    out: Path | None,
    say: Callable[[str], None],
    budget_s: float | None = None,
) -> Outcome:
    """Find the GPU, run what is asked, append to `out` (by default below kernels/measurements).

    Raises
    ------
    UserError : no GPU, an unknown suite or family, a file of another device, or one that cannot be written.
    DeviceLost : a kernel took the device with it; the same call goes on in another process.
    """
    cases = chosen(suite, only)
    gpu = find_gpu()
    path = out or default_path(gpu)
    _writable(path)
    say(f"device: {described(gpu)}")
    asked_energy = any(case.energy for case in cases)
    idle = idle_power(gpu) if asked_energy else (None, "not asked for")
    context = Context(path, suite, versions(), commit(ROOT), CASE_S[suite], *idle)
    return run_cases(cases, gpu, context, BUDGET_S[suite] if budget_s is None else budget_s, say)


def default_path(place: Place) -> Path:
    """``<device>-<date>.jsonl`` in the folder of measurements."""
    name = re.sub(r"[^a-z0-9]+", "-", str(place.report["name"]).lower()).strip("-")
    return measurement.FOLDER / f"{name}-{time.strftime('%Y-%m-%d', time.gmtime())}.jsonl"


def described(place: Place) -> str:
    """The device in a line."""
    found = place.report
    memory = f"{found['memory_bytes'] / 2**30:.0f} GiB"
    return (
        f"{found['name']}, compute capability {found['capability']}, {found['multiprocessors']} "
        f"multiprocessors, {memory}, driver {found['driver'] or 'unknown'}, torch {torch.__version__}"
    )


def run_cases(
    cases: Sequence[Case],
    place: Place,
    context: Context,
    budget_s: float,
    say: Callable[[str], None],
) -> Outcome:
    """Run what the file does not hold yet; those that failed before come last.

    Nothing begins after `budget_s`; what runs then is finished, which takes `one.HANG_S` at most.

    Raises
    ------
    UserError : the file is of another device.
    DeviceLost : behind a line that says which case did it.
    """
    path = context.path
    before = _read_own(path, place)
    done = measurement.settled(before)
    failed = {m.case for m in before if m.status == "failed"}
    began = place.now_s()
    written: list[Measurement] = []
    todo = sorted(cases, key=lambda case: case.name in failed)
    for number, case in enumerate(todo):
        wanted = [i for i in case.implementations if (case.name, i) not in done]
        runs = run_case(case, wanted, place, context) if wanted else iter(())
        while True:
            tried = done | {made.key for made in written}
            if place.now_s() - began > budget_s and (left := _unfinished(todo[number:], tried)):
                return Outcome(path, (*written,), left)
            made = next(runs, None)
            if made is None:
                break
            measurement.append(path, made)
            written.append(made)
            say(told(made))
            if made.status == "failed" and not _alive(place):
                raise DeviceLost(f"{made.case} ({made.implementation}): {made.reason}")
    return Outcome(path, (*written,))


def idle_power(place: Place) -> tuple[float | None, str | None]:
    """Watts of the idle board, or why they cannot be told."""
    try:
        span = measure_span(lambda: time.sleep(IDLE_S), place.sensors.energy_j, place.now_s)
    except NoEnergy as error:
        return None, str(error)
    return span.joules / span.seconds, None


def _read_own(path: Path, place: Place) -> tuple[Measurement, ...]:
    """What the file holds, all of this device."""
    found = measurement.read(path) if path.exists() else ()
    other = next((m for m in found if m.device["name"] != place.report["name"]), None)
    if other is not None:
        raise UserError(
            asked=f"to add measurements of {place.report['name']} to {path}",
            found=f"it holds measurements of {other.device['name']}",
            where="--out",
            next_step="give another file",
        )
    return found


def _unfinished(cases: Sequence[Case], done: frozenset[tuple[str, str]]) -> tuple[Case, ...]:
    return tuple(c for c in cases if any((c.name, i) not in done for i in c.implementations))


def _writable(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab"):
            pass
    except OSError as error:
        raise UserError(
            asked=f"to write measurements to {path}",
            found=error.strerror or str(error),
            where="--out",
            next_step="give --out FILE in a folder that can be written",
        ) from error


def _alive(place: Place) -> bool:
    """Whether the device still answers: an illegal access stays until the process ends."""
    try:
        place.release()
        torch.ones(1, device=place.torch_device).cpu()
    except RuntimeError:
        return False
    return True
