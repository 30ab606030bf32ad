"""What a study has come to so far: its front, how much that dominates, and how many answers it took."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from siliform.dse.objectives import Objective
from siliform.dse.pareto import hypervolume, nondominated
from siliform.dse.rounds import Answered
from siliform.dse.scale import resolved


@dataclass(frozen=True, eq=False)
class Tally:
    """What the answers so far come to; a round later it is another one.

    Attributes
    ----------
    objectives : with ideal and reference from the first round that had a feasible design.
    rows, values, costs : of the front: int64 [designs, knobs], float64 [designs, quantities], float64
        [designs, objectives].
    best : the least of each cost, float64 [objectives].
    history : after each round, evaluations and hypervolume.
    """

    objectives: tuple[Objective, ...]
    rows: np.ndarray
    values: np.ndarray
    costs: np.ndarray
    best: np.ndarray
    evaluations: int = 0
    infeasible: int = 0
    hypervolume: float = 0.0
    history: tuple[tuple[int, float], ...] = ()

    @staticmethod
    def of_nothing(objectives: tuple[Objective, ...], knobs: int, quantities: int) -> Tally:
        """Before the first answer."""
        return Tally(
            objectives,
            rows=np.zeros((0, knobs), np.int64),
            values=np.zeros((0, quantities)),
            costs=np.zeros((0, len(objectives))),
            best=np.full(len(objectives), np.inf),
        )

    @property
    def resolved(self) -> bool:
        """Whether hypervolumes can be told."""
        return all(o.ideal is not None and o.reference is not None for o in self.objectives)

    def after(self, rows: np.ndarray, costs: np.ndarray, answered: Answered) -> Tally:
        """With a round's answers; rows [designs, knobs], costs [designs, objectives]."""
        feasible = answered.known & (answered.records.violations == 0)
        objectives = self.objectives
        if not self.resolved and feasible.any():
            objectives = resolved(objectives, costs[feasible])
        new = np.flatnonzero(feasible)
        every = np.concatenate([self.rows, rows[new]])
        values = np.concatenate([self.values, answered.records.values[new]])
        all_costs = np.concatenate([self.costs, costs[new]])
        kept = np.flatnonzero(nondominated(all_costs))
        _, once = np.unique(every[kept], axis=0, return_index=True)
        kept = kept[np.sort(once)]
        later = replace(
            self,
            objectives=objectives,
            rows=every[kept],
            values=values[kept],
            costs=all_costs[kept],
            best=np.minimum(self.best, costs[new].min(axis=0, initial=np.inf)),
            evaluations=self.evaluations + int(answered.known.sum()),
            infeasible=self.infeasible + int((answered.known & ~feasible).sum()),
        )
        volume = self.hypervolume
        if objectives is not self.objectives or (len(kept) and kept[-1] >= len(self.rows)):
            volume = hypervolume(later.costs, objectives)
        return replace(later, hypervolume=volume, history=(*self.history, (later.evaluations, volume)))
