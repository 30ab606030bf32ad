"""What a study came to, and how it goes on meanwhile."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from siliform.dse.objectives import Objective
from siliform.dse.space import Space
from siliform.dse.study import Budget, Study


@dataclass(frozen=True)
class Progress:
    """How far a study is.

    Attributes
    ----------
    round : number of the question, from 0.
    evaluations : points answered so far, those from the store included.
    budget : when the study ends.
    hypervolume : of the front after the last whole round, 0 to 1; 0 before any feasible design.
    best : by objective, the best value of a feasible design so far, in the objective's own sense.
    infeasible : how many of the points are.
    networks : how many networks were measured in this run.
    rate : evaluations a second in this run, those from the store not counted; 0 before the first.
    eta_seconds : until the budget is spent, at this rate; None where nobody knows.
    """

    round: int
    evaluations: int
    budget: Budget
    hypervolume: float
    best: Mapping[str, float]
    infeasible: int
    networks: int
    rate: float
    eta_seconds: float | None


class Listener(Protocol):
    """Is told how a study goes; what it is told is in the store already."""

    def on_round(self, progress: Progress) -> None:
        """Called after each round, and while one goes on at most twice a second."""


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a study came to.

    Attributes
    ----------
    study, space : what was asked.
    objectives : those of the study, ideal and reference known if any design was feasible.
    evaluations : points asked of the engine and answered, those from the store included.
    unique_evaluations : how many of those are distinct.
    infeasible : how many cannot be or break a limit.
    networks_measured : how many networks were, in this run and those before it.
    hypervolume : of the front, on the scale of `objectives`.
    history : after each round, evaluations and hypervolume.
    front_rows : feasible designs that no other one beats, canonical, int64 [designs, knobs].
    front : their quantities by name, float64 [designs]; ordered by the first objective, best first.
    complete : whether the budget was spent, or the engine had nothing more to ask.
    interrupted : whether Ctrl-C ended it.
    seconds : of this run.
    store : the file with every evaluation.
    report : the page about it; None where none was written.
    confirmed : with a report, designs of the front that were simulated by events: "point" and what was found.
    """

    study: Study
    space: Space
    objectives: tuple[Objective, ...]
    evaluations: int
    unique_evaluations: int
    infeasible: int
    networks_measured: int
    hypervolume: float
    history: tuple[tuple[int, float], ...]
    front_rows: np.ndarray
    front: Mapping[str, np.ndarray]
    complete: bool
    interrupted: bool
    seconds: float
    store: Path
    report: Path | None = None
    confirmed: tuple[Mapping[str, Any], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain data; a number that there is not is None."""
        points = [dict(self.space.decode(row)) for row in self.front_rows]
        return {
            "study": self.study.name,
            "engine": self.study.engine,
            "seed": self.study.seed,
            "budget": str(self.study.budget),
            "space_size": self.space.size,
            "evaluations": self.evaluations,
            "unique_evaluations": self.unique_evaluations,
            "infeasible": self.infeasible,
            "networks_measured": self.networks_measured,
            "hypervolume": self.hypervolume,
            "objectives": [
                {
                    "name": o.name,
                    "maximise": o.maximise,
                    "ideal": o.ideal,
                    "reference": o.reference,
                    "log": o.log,
                }
                for o in self.objectives
            ],
            "constraints": [str(limit) for limit in self.study.constraints],
            "history": [[evaluations, volume] for evaluations, volume in self.history],
            "front": [
                {"point": point, "values": {n: _number(v[place]) for n, v in self.front.items()}}
                for place, point in enumerate(points)
            ],
            "complete": self.complete,
            "interrupted": self.interrupted,
            "seconds": self.seconds,
            "store": str(self.store),
            **({} if self.report is None else self._reported()),
        }

    def _reported(self) -> dict[str, Any]:
        return {"report": str(self.report), "confirmed": [dict(one) for one in self.confirmed]}


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
