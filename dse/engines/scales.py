"""Scales on which distances between costs, and the volumes that they dominate, mean something."""

from __future__ import annotations

import numpy as np

#: A cost that is above zero and spans this factor is compared by ratios, not by differences.
WIDE = 10.0  # assumption: what a plot would put on a logarithmic axis


def wide(costs: np.ndarray) -> np.ndarray:
    """Which objectives are compared by ratios, bool [objectives]; `costs` is finite, [points, objectives]."""
    if not len(costs):
        return np.zeros(costs.shape[1], bool)
    low, high = costs.min(axis=0), costs.max(axis=0)
    return np.asarray((low > 0) & (high >= WIDE * low))


def on_scale(costs: np.ndarray, logarithmic: np.ndarray) -> np.ndarray:
    """Costs with the logarithm taken of those objectives, float64 [points, objectives]."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(logarithmic, np.log(costs), costs)


def signed(violations: np.ndarray) -> np.ndarray:
    """Violations as smooth numbers to fit on, float64 [points]: above 0 where a design breaks a limit.

    A feasible design, whose distance to the limits is not known, counts as being as far on the other side
    as designs beyond a limit typically are. One that cannot exist at all is further out than all others.
    """
    beyond = violations > 0
    far = np.log1p(np.where(np.isinf(violations), 0.0, violations))
    far = np.where(np.isinf(violations), far.max(initial=0.0) + 1.0, far)
    typical = float(np.median(far[beyond])) if beyond.any() else 1.0
    return np.where(beyond, far, -typical)
