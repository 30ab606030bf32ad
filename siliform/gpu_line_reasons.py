"""Why a measured line is far from its prediction, as far as the line and those beside it say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import log
from typing import Any

SPREAD = 0.1  # assumption: interquartile range over the median from which samples are said to differ
SLOW = 0.9  # assumption: of the design's clock, below which the clock is named
NEARER = 0.5  # assumption: another implementation explains a row where it is off by half as much


def line_reason(line: Any, predicted_s: float, design: str, lines: Sequence[Any]) -> str:
    """The first of some tests that holds; what none explains is said to be unexplained."""
    tests: tuple[Callable[..., str], ...] = (_not_replayed, _in_cache, _other_implementation, _clock, _spread)
    reasons = (test(line, predicted_s, design, lines) for test in tests)
    return next((reason for reason in reasons if reason), "the law, as far as the line tells")


def _not_replayed(line: Any, *_: Any) -> str:
    if line.timed != "eager":
        return ""
    return f"launched one by one ({line.reason or 'no graph'}): the host's time is in what was measured"


def _in_cache(line: Any, predicted_s: float, *_: Any) -> str:
    if line.cache != "warm" or predicted_s < line.median_s:
        return ""
    return "operands lay in the level-2 cache; an estimate reads them from DRAM"


def _other_implementation(line: Any, predicted_s: float, _: str, lines: Sequence[Any]) -> str:
    """Another implementation of the same case on the same device, much nearer to the prediction."""
    own = abs(log(predicted_s / line.median_s))
    for other in lines:
        same = (other.case, other.device["name"]) == (line.case, line.device["name"])
        nearer = abs(log(predicted_s / other.median_s)) < NEARER * own
        if same and nearer and other.implementation != line.implementation:
            return f"{other.implementation} took {other.median_s * 1e6:.1f} us of the same"
    return ""


def _clock(line: Any, predicted_s: float, design: str, _: Sequence[Any]) -> str:
    from siliform.api import accelerator

    clock_hz = (line.clocks or {}).get("sm_hz")
    known_hz = accelerator(design).clock_hz
    if not clock_hz or clock_hz >= SLOW * known_hz or predicted_s > line.median_s:
        return ""
    return f"the clock was {clock_hz / 1e9:.2f} GHz, the design's is {known_hz / 1e9:.2f}"


def _spread(line: Any, *_: Any) -> str:
    if not line.spread or line.spread < SPREAD:
        return ""
    return f"samples differ: interquartile range {line.spread:.0%} of the median"
