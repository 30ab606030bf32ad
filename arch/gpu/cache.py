"""A level-2 cache that is gone through again and again: what of the bytes is not there any more."""

from __future__ import annotations

from typing import Any

import numpy as np

STEPS = 8  # of Newton's method; the last digit stands after 6


def share_missed(used_bytes: Any, kept_bytes: float) -> Any:
    """Share of bytes that are not in the cache any more, where `used_bytes` are gone through again and again.

    A cache that throws out a random line: one that is missed comes in and throws out another, so that a line
    survives a round of ``m used`` misses with ``exp(-m used / kept)``, and ``m = 1 - exp(-m used / kept)``;
    nothing is missed where all of it fits. Of r rounds, ``used / kept``, the share rises from 0 at r = 1 with
    ``2 (r - 1)``, which it never exceeds: from there, or from 1, Newton's method comes down to it, since what
    it seeks the root of is convex.
    """
    rounds = np.asarray(used_bytes, float) / kept_bytes
    over = np.maximum(rounds, 1.0)
    missed = np.minimum(1.0, 2 * (over - 1))
    for _ in range(STEPS):
        left = np.exp(-missed * over)
        slope = np.maximum(1 - over * left, 1e-300)  # nothing of it is left at r = 1, where nothing is missed
        missed = missed - np.where(missed > 0, (missed - 1 + left) / slope, 0.0)
    return np.clip(missed, 0.0, 1.0)
