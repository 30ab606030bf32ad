"""How long a call takes on a device: samples until a budget is spent, their median and their spread.

A *cycle* is one call of each operand set. A CUDA graph of a cycle shows the kernel without its launch; the
same calls launched one by one show what launching adds. A device is whatever has the methods of `Device`: a
GPU (`cuda`), or in tests one whose clock is told what to say.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Protocol

SAMPLE_S = 0.5e-3  # assumption: a thousand times the half microsecond that CUDA events resolve
WARM_S = 0.04  # assumption: long enough for a GPU that idled to raise its clock
MOST_SAMPLES = 60  # assumption: the median of more moves less than clocks do
LEAST_SAMPLES = 5  # the fewest of which quartiles say something
MOST_RUNS = 2000  # cycles in one sample: keeps launches ahead of the device within its queue's reach

Run = Callable[[], object]


class NoCapture(Exception):
    """The calls cannot be captured as a graph; the text says why."""


class Device(Protocol):
    """What timing asks of a device."""

    def device_s(self, run: Run, times: int) -> float:
        """Seconds on the device from before the first of `times` runs to behind the last."""

    def host_s(self, run: Run) -> float:
        """Seconds that the host takes to launch `run`, the device idle before."""

    def capture(self, run: Run) -> Run:
        """A replay of what `run` launches; NoCapture where that cannot be."""

    def now_s(self) -> float:
        """The host's clock."""


@dataclass(frozen=True)
class Timing:
    """Of one call: median and least of the samples, and interquartile range over the median."""

    median_s: float
    spread: float | None
    least_s: float
    samples: int
    calls: int


@dataclass(frozen=True)
class Timings:
    """A call replayed (None, with the reason, where it is not) and launched one by one."""

    replayed: Timing | None
    reason: str | None
    eager: Timing
    host_s: float | None
    replay: Run | None


def time_calls(run: Run, calls: int, device: Device, budget_s: float) -> Timing:
    """Sample `run`, which makes so many calls, behind a warm-up for about `budget_s`."""
    began = device.now_s()
    once = device.device_s(run, 1)
    while device.now_s() - began < min(WARM_S, budget_s / 4):
        once = device.device_s(run, 1)
    times = min(MOST_RUNS, max(1, ceil(SAMPLE_S / once))) if once > 0 else MOST_RUNS
    wanted = min(MOST_SAMPLES, max(LEAST_SAMPLES, int(budget_s / (once * times or 1))))
    taken = [device.device_s(run, times) / (times * calls) for _ in range(wanted)]
    return Timing(statistics.median(taken), _spread(taken), min(taken), wanted, times * calls)


def time_sets(thunks: Sequence[Callable[[], object]], device: Device, budget_s: float) -> Timings:
    """Time a cycle over operand sets: two thirds of the budget replayed, one third launched one by one.

    Results are held until the cycle is through, so that each call writes memory of its own.
    """

    def cycle() -> list[object]:
        return [thunk() for thunk in thunks]

    cycle()  # kernels are compiled here, and libraries choose theirs
    once = device.device_s(cycle, 1)
    if once > budget_s:  # what launching takes is nothing beside it, and each call more counts
        single = Timing(once / len(thunks), None, once / len(thunks), 1, len(thunks))
        return Timings(None, f"one cycle is longer than {budget_s:g} s: timed once", single, None, None)
    replay: Run | None = None
    reason = None
    try:
        replay = device.capture(cycle)
    except NoCapture as error:
        reason = str(error)
    eager = time_calls(cycle, len(thunks), device, budget_s / 3 if replay else budget_s)
    host = statistics.median(device.host_s(cycle) / len(thunks) for _ in range(3))
    replayed = time_calls(replay, len(thunks), device, budget_s * 2 / 3) if replay else None
    return Timings(replayed, reason, eager, host, replay)


def _spread(taken: Sequence[float]) -> float | None:
    if len(taken) < 4:
        return None
    low, middle, high = statistics.quantiles(taken, n=4, method="inclusive")
    return (high - low) / middle if middle else None
