"""Where the scale of an objective begins and ends, when a study does not say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from siliform.dse.objectives import Objective
from siliform.graph_ir.errors import UserError


def resolved(objectives: Sequence[Objective], costs: np.ndarray) -> tuple[Objective, ...]:
    """The objectives, each with its ideal and reference.

    Those not given are the best and the worst of these feasible designs, `costs` float64 [designs >= 1,
    objectives] with less being better. Where that would make the ideal no better than the reference, as
    with designs that are all alike, the one not given is moved away from the other: by the other's own
    size (or 1 if it is zero), and on a logarithmic scale by a factor of two.

    Raises
    ------
    UserError : an objective on a logarithmic scale whose values are not above zero.
    """
    return tuple(_of(objective, column) for objective, column in zip(objectives, costs.T, strict=True))


def _of(objective: Objective, costs: np.ndarray) -> Objective:
    best, worst = objective.cost(np.array([costs.min(), costs.max()])).tolist()
    if objective.log and min(best, worst) <= 0:
        raise UserError(
            asked=f"the objective {objective.name} on a logarithmic scale",
            found=f"a design with {objective.name} = {min(best, worst):g}",
            where=f"objective {objective.name}",
            next_step="leave log out, or say what the ideal and the reference are",
        )
    ideal = best if objective.ideal is None else objective.ideal
    reference = worst if objective.reference is None else objective.reference
    if not (ideal > reference if objective.maximise else ideal < reference):
        if objective.reference is None:
            reference = _moved(objective, ideal, worse=True)
        else:
            ideal = _moved(objective, reference, worse=False)
        if objective.ideal is None and objective.reference is None:
            ideal = _moved(objective, best, worse=False)
    return replace(objective, ideal=ideal, reference=reference)


def _moved(objective: Objective, value: float, *, worse: bool) -> float:
    up = worse != objective.maximise
    if objective.log:
        return value * 2 if up else value / 2
    return value + (abs(value) or 1.0) * (1 if up else -1)
