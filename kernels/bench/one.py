"""One case: is it right, how long does it take, at what energy; a line for each implementation."""

from __future__ import annotations

import math
import os
import sys
import threading
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from math import ceil
from typing import Any

import torch

from siliform.graph_ir.errors import UserError
from siliform.kernels.bench import measurement
from siliform.kernels.bench.case import Case
from siliform.kernels.bench.cuda import first_line
from siliform.kernels.bench.energy import NoEnergy, per_call_j
from siliform.kernels.bench.families import FAMILIES
from siliform.kernels.bench.families.base import (
    Examined,
    Family,
    Missing,
    Refused,
    Tensors,
    Thunk,
    copied,
    kernel_of,
    relative_error,
    says_it_cannot,
)
from siliform.kernels.bench.lines import Blank, Context, Place, told
from siliform.kernels.bench.measurement import Measurement
from siliform.kernels.bench.timing import Run, Timings, time_sets

MOST_SETS = 64  # assumption: of operands so small that even these stay in L2, preparing more takes too long
HANG_S = 150.0  # assumption: compiling and timing one implementation takes less
ENERGY_BATCH_S = 4e-3  # assumption: well within an interval of the energy counter

#: Exit status after which the same command goes on: the device is lost to this process (EX_TEMPFAIL).
LOST = 75


def run_case(case: Case, wanted: Iterable[str], place: Place, context: Context) -> Iterator[Measurement]:
    """Measure one case: a measurement for each implementation, whatever happens to it."""
    family = FAMILIES[case.family]
    todo = list(wanted)
    blank = Blank(case, place, context)
    if "siliform" in todo:
        try:
            kernel_of(case)
        except Missing as error:
            todo.remove("siliform")
            yield blank.made("siliform", "missing", str(error))
    work = family.work(case)
    if work and work.least_bytes > place.free_bytes() / 2:
        for implementation in todo:
            yield blank.made(implementation, "refused", f"{work.least_bytes / 2**30:.1f} GiB do not fit here")
        return
    try:
        operands = family.operands(case, place.torch_device)
        examined = family.exact(case, operands)
    except Exception as error:
        traceback.print_exc(file=sys.stderr)
        for implementation in todo:
            yield blank.made(implementation, "failed", f"operands or float64: {first_line(error)}")
        return
    blank.describe(family, operands)
    for implementation in todo:
        with _watched(blank, implementation):
            made = _one(family, implementation, operands, examined, blank)
        yield made
    del operands, examined
    place.release()


def _one(
    family: Family, implementation: str, operands: Tensors, examined: Examined | None, blank: Blank
) -> Measurement:
    """One implementation of a case: its error, its time, its energy."""
    case, place, ours = blank.case, blank.place, implementation == "siliform"
    try:
        with torch.no_grad():
            thunk = family.thunk(implementation, case, operands)
            error = None
            if examined is not None and implementation not in family.other_functions:
                made = _poisoned(thunk) if ours else thunk()
                error = relative_error(examined.part(made), examined.exact)
                del made
            text = examined.text if examined is not None and error is not None else None
            bound = family.bound_of(case, implementation) if error is not None else None
            errors = {"error": _finite(error), "error_bound": bound, "examined": text}
            if bound is not None and error is not None and error > bound:
                return blank.made(implementation, "wrong", f"error {error:.3g} above {bound:.3g}", **errors)
            thunks, about = _sets(family, implementation, operands, thunk, blank)
            timings = time_sets(thunks, place, blank.context.case_s)
            energy = _energy(timings, len(thunks), blank, implementation)
    except Missing as error_:
        return blank.made(implementation, "missing", str(error_))
    except (Refused, torch.OutOfMemoryError) as error_:
        return blank.made(implementation, "refused", first_line(error_))
    except UserError as error_:
        return blank.made(implementation, "refused", f"{error_.found} ({error_.where})")
    except Exception as error_:
        if not ours and isinstance(error_, RuntimeError) and says_it_cannot(error_):
            return blank.made(implementation, "refused", first_line(error_))
        traceback.print_exc(file=sys.stderr)
        return blank.made(implementation, "failed", first_line(error_))
    return blank.made(
        implementation, "measured", timings.reason, **errors, **about, **_times(timings), **energy
    )


def _times(timings: Timings) -> dict[str, Any]:
    best = timings.replayed or timings.eager
    return {
        "median_s": best.median_s,
        "spread": best.spread,
        "least_s": best.least_s,
        "samples": best.samples,
        "calls": best.calls,
        "timed": "graph" if timings.replayed else "eager",
        "eager_s": timings.eager.median_s,
        "host_s": timings.host_s,
    }


def _sets(
    family: Family, implementation: str, operands: Tensors, first: Thunk, blank: Blank
) -> tuple[list[Thunk], dict[str, Any]]:
    """Calls of operand sets whose bytes are twice the L2 cache together, where memory holds them."""
    work = family.work(blank.case)
    if family.one_set or work is None:
        return [first], {"sets": 1, "cycled_bytes": None, "cache": None}
    level2 = blank.place.report["l2_bytes"] or 0
    held = work.least_bytes + sum(x.untyped_storage().nbytes() for x in operands.values())
    wanted = ceil(2 * level2 / max(work.least_bytes, 1)) + 1
    fitting = int(0.3 * blank.place.free_bytes()) // max(held, 1)
    count = max(1, min(wanted, MOST_SETS, fitting))
    if work.least_bytes >= 2 * level2:
        count = 1
    thunks = [first]
    for _ in range(count - 1):
        copies = {name: copied(x) for name, x in operands.items()}
        thunks.append(family.thunk(implementation, blank.case, copies))
    cycled = count * work.least_bytes
    cache = None if not level2 else "cold" if cycled >= 2 * level2 else "warm"
    return thunks, {"sets": count, "cycled_bytes": cycled, "cache": cache}


def _poisoned(thunk: Thunk) -> torch.Tensor:
    """The result of a call whose fresh memory holds NaN, or an integer's greatest value."""
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        return thunk()
    finally:
        torch.use_deterministic_algorithms(False)


def _energy(timings: Timings, calls: int, blank: Blank, implementation: str) -> dict[str, Any]:
    case, context = blank.case, blank.context
    first_two = case.implementations[:2]
    if not case.energy or implementation not in first_two:
        return {"energy_reason": "not asked for"}
    if context.idle_w is None:
        return {"energy_reason": context.idle_reason}
    if timings.replay is None:
        return {"energy_reason": timings.reason}
    best = timings.replayed or timings.eager
    times = max(1, int(ENERGY_BATCH_S / (best.median_s * calls)))

    def batch(replay: Run = timings.replay) -> None:
        for _ in range(times):
            replay()

    place = blank.place
    try:
        joules = per_call_j(
            place.work(batch), times * calls, context.idle_w, place.sensors.energy_j, place.now_s
        )
    except NoEnergy as error:
        return {"energy_reason": str(error)}
    return {"energy_j": joules}


def _finite(error: float | None) -> float | None:
    """The error as JSON can hold it: None where it is infinite."""
    return error if error is not None and math.isfinite(error) else None


@contextmanager
def _watched(blank: Blank, implementation: str) -> Iterator[None]:
    """End the process with `LOST` where the device has no answer for `HANG_S`, behind a line that says so."""

    def hung() -> None:
        made = blank.made(implementation, "failed", f"no answer within {HANG_S:g} s")
        sys.stderr.write(f"{told(made)}\n")
        measurement.append(blank.context.path, made)
        os._exit(LOST)

    timer = threading.Timer(HANG_S, hung)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
