"""Energy of one call, from a counter that is brought up to date a few times a second only.

Both ends of what is measured are taken where the counter has just changed, which leaves out the part of an
interval that it does not tell of.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

LEAST_S = 1.0  # ten to fifty of the 20 to 100 ms in which NVML's counter changes
MOST_S = 3.0  # assumption: a counter that has not changed by then is no use


class NoEnergy(Exception):
    """Energy cannot be told; the text says why."""


@dataclass(frozen=True)
class Span:
    """What passed between two changes of the counter."""

    joules: float
    seconds: float
    batches: int


def measure_span(run: Callable[[], object], read_j: Callable[[], float], now_s: Callable[[], float]) -> Span:
    """Run until the counter has changed, and from there for `LEAST_S` and to the next change.

    `run` returns when its work is done; `read_j` is the counter in joules. NoEnergy after `MOST_S`.
    """
    began, batches, value = now_s(), 0, read_j()
    first: tuple[float, float, int] | None = None
    while now_s() - began < MOST_S:
        run()
        batches += 1
        before, value = value, read_j()
        if value == before:
            continue
        at = now_s()
        if first is None:
            first = (value, at, batches)
        elif at - first[1] >= LEAST_S:
            return Span(value - first[0], at - first[1], batches - first[2])
    raise NoEnergy(f"the energy counter did not change twice within {MOST_S:g} s of work")


def per_call_j(
    replay: Callable[[], object],
    calls: int,
    idle_w: float,
    read_j: Callable[[], float],
    now_s: Callable[[], float],
) -> float:
    """Joules of one call above idling; `replay` makes so many calls and returns when they are done."""
    span = measure_span(replay, read_j, now_s)
    return (span.joules - idle_w * span.seconds) / (span.batches * calls)
