"""Fronts: which designs no other one beats, and how much of the space of objectives they dominate."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from siliform.dse.objectives import Objective


def nondominated(costs: np.ndarray) -> np.ndarray:
    """Which points no other one beats in every cost at once, bool [points]; of equal points all are kept.

    `costs` is float64 [points, objectives], less is better; a point with an infinite or unknown cost is
    never on the front.
    """
    import moocore

    finite = np.isfinite(costs).all(axis=1)
    kept = np.zeros(len(costs), bool)
    if finite.any():
        kept[finite] = moocore.is_nondominated(costs[finite], keep_weakly=True)
    return kept


def hypervolume(costs: np.ndarray, objectives: Sequence[Objective]) -> float:
    """The share of the box between ideal and reference that these points dominate, 0 to 1.

    `costs` as `objectives.costs` gives them; every objective must have its ideal and its reference. Points
    better than the ideal count as at it.
    """
    import moocore

    scaled = np.stack(
        [o.scaled(o.cost(column)) for o, column in zip(objectives, costs.T, strict=True)], axis=1
    )
    inside = np.clip(scaled[(scaled < 1).all(axis=1)], 0.0, 1.0)
    if not len(inside):
        return 0.0
    return float(moocore.hypervolume(inside, ref=np.ones(len(objectives))))
