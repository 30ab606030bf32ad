"""Whether a design may be on the front: what it breaks, what is missing of it, and how that is told."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from siliform.dse.objectives import Constraint, Objective, costs
from siliform.dse.problem import Problem
from siliform.dse.store import Records
from siliform.dse.study import Study
from siliform.graph_ir.errors import UserError, nearest


class Judge:
    """Turns quantities into verdicts, in two steps: before and after the network is measured.

    Attributes
    ----------
    quantities : all of them, in the order of `Records.values`; the last are the measured ones.

    Raises
    ------
    UserError : an objective or a constraint on a quantity that the problem does not yield.
    """

    def __init__(self, study: Study, problem: Problem) -> None:
        self.quantities = (*problem.quantities, *problem.measured)
        self.objectives = study.objectives
        self._column = {name: place for place, name in enumerate(self.quantities)}
        for what, names in _read(study):
            for name in names:
                if name not in self._column:
                    raise UserError(
                        asked=what,
                        found=f"nothing yields {name}",
                        where=f"study {study.name}",
                        next_step=f"use one of the nearest: {nearest(name, self.quantities)}",
                    )
        early = set(problem.quantities)
        self._early = [limit for limit in study.constraints if early.issuperset(limit.names)]
        self._late = [limit for limit in study.constraints if not early.issuperset(limit.names)]
        self._objectives_early = [o for o in study.objectives if o.name in early]
        self._objectives_late = [o for o in study.objectives if o.name not in early]

    def first(self, values: np.ndarray, reasons: Sequence[str]) -> Records:
        """What the closed form alone says; `values` is float64 [designs, quantities]."""
        impossible = np.array([bool(reason) for reason in reasons])
        before = Records(values, np.where(impossible, np.inf, 0.0), reasons)
        return self._judged(before, self._early, self._objectives_early)

    def then(self, told: Records) -> Records:
        """What the measured quantities say of designs that were feasible so far."""
        return self._judged(told, self._late, self._objectives_late)

    def costs(self, values: np.ndarray) -> np.ndarray:
        """Objectives of designs with less being better, float64 [designs, objectives]."""
        return costs(self.objectives, {name: values[:, place] for name, place in self._column.items()})

    def _judged(
        self, told: Records, limits: Sequence[Constraint], objectives: Sequence[Objective]
    ) -> Records:
        values = {name: told.values[:, place] for name, place in self._column.items()}
        possible = ~np.isinf(told.violations)
        violations = told.violations.copy()
        reasons = list(told.reasons)

        def add(which: np.ndarray, text: str) -> None:
            for number in np.flatnonzero(which).tolist():
                reasons[number] = f"{reasons[number]}; {text}" if reasons[number] else text

        needed = [*(o.name for o in objectives), *(name for limit in limits for name in limit.names)]
        for name in dict.fromkeys(needed):
            missing = np.isnan(values[name]) & possible
            add(missing, f"no value for {name}")
            violations[missing] = np.inf
        for objective in objectives:
            infinite = np.isinf(values[objective.name]) & possible
            add(infinite, f"{objective.name} is infinite")
            violations[infinite] = np.inf
        for limit in limits:
            over = np.where(possible, limit.violation(values), 0.0)
            violations += over
            unknown = np.isnan([values[name] for name in limit.names]).any(axis=0)
            add((over > 0) & ~unknown, f"breaks {limit}")
        return Records(told.values, violations, reasons)


def _read(study: Study) -> Iterable[tuple[str, Sequence[str]]]:
    for objective in study.objectives:
        yield f"the objective {objective.name}", (objective.name,)
    for limit in study.constraints:
        yield f"the limit {limit}", limit.names
