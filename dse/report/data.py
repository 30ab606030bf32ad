"""What a report is made of, and what follows from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from siliform.dse.confirm import choose
from siliform.dse.importance import Importance, importances
from siliform.dse.objectives import Objective
from siliform.dse.problem import Problem
from siliform.dse.space import Space
from siliform.dse.study import Study
from siliform.graph_ir.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

#: Designs written out as files where none are confirmed.
_CHOSEN = 6


@dataclass(frozen=True, eq=False)
class ReportData:
    """A study that is done, or done so far.

    Attributes
    ----------
    problem : what was evaluated. Of a `CoDesign` the report shows breakdowns and writes designs.
    study : as it was asked.
    frame : a row per evaluation in the order asked, as `Store.to_frame` gives it: knobs by name (missing
        where inactive), quantities by name, "state" ("ok" or "infeasible"), "reason", "round".
    front : keys (`Space.keys`) of the designs on the front.
    objectives : with the ideal and reference that the hypervolume was measured by.
    hypervolume : of the front; None where there is none.
    history : (evaluations, hypervolume) as the study went on.
    seconds : that the study took.
    confirmations : what `confirm.confirm` told, by key.
    evaluations : designs asked about, those answered from what was known included; None: as many as rows.
    notes : sentences that a reader should see first.
    """

    problem: Problem
    study: Study
    frame: pd.DataFrame
    front: Sequence[bytes]
    objectives: Sequence[Objective]
    hypervolume: float | None = None
    history: Sequence[tuple[int, float]] = ()
    seconds: float = 0.0
    confirmations: Mapping[bytes, Mapping[str, Any]] = field(default_factory=dict)
    evaluations: int | None = None
    notes: Sequence[str] = ()

    @property
    def space(self) -> Space:
        """What was searched."""
        return self.problem.space

    @cached_property
    def rows(self) -> np.ndarray:
        """The frame's designs, int64 [designs, knobs]. UserError where they are none of this space."""
        return rows_of_frame(self.space, self.frame)

    @cached_property
    def keys(self) -> list[bytes]:
        """Of the rows."""
        return self.space.keys(self.rows)

    @cached_property
    def positions(self) -> Mapping[bytes, int]:
        """Where in the frame each design stands first."""
        found: dict[bytes, int] = {}
        for place, key in enumerate(self.keys):
            found.setdefault(key, place)
        return found

    @cached_property
    def quantities(self) -> tuple[str, ...]:
        """Objectives first, then all else that was evaluated, knobs left out."""
        named = [o.name for o in self.objectives] + [n for c in self.study.constraints for n in c.names]
        every = dict.fromkeys([*named, *self.problem.measured, *self.problem.quantities])
        return tuple(n for n in every if n in self.frame.columns and n not in self.space.positions)

    @cached_property
    def values(self) -> Mapping[str, np.ndarray]:
        """By quantity, float64 [designs]; NaN where unknown."""
        return {name: self.frame[name].to_numpy(float, na_value=np.nan) for name in self.quantities}

    @cached_property
    def feasible(self) -> np.ndarray:
        """Which designs keep all limits, bool [designs]."""
        return (self.frame["state"] == "ok").to_numpy(bool)

    @cached_property
    def known(self) -> np.ndarray:
        """Which designs have a value of every objective, so that they have a place in a picture."""
        found = np.ones(len(self.frame), bool)
        for objective in self.objectives:
            found &= np.isfinite(self.of(objective.name))
        return found

    def of(self, name: str) -> np.ndarray:
        """A quantity's or a numeric knob's values, float64 [designs]."""
        if name in self.values:
            return self.values[name]
        return self.frame[name].to_numpy(float, na_value=np.nan)

    @cached_property
    def front_positions(self) -> np.ndarray:
        """Where in the frame the front's designs stand, best in the first objective first."""
        keys = dict.fromkeys(key for key in self.front if key in self.positions)
        found = np.array([self.positions[key] for key in keys], int)
        first = self.objectives[0]
        return found[np.argsort(first.cost(self.of(first.name)[found]), kind="stable")]

    @cached_property
    def chosen(self) -> tuple[int, ...]:
        """Places of designs to write out: of the front those confirmed, else some spread over it."""
        front = set(self.front_positions.tolist())
        return tuple(place for place in self.confirmed if place in front) or self.spread(_CHOSEN)

    @cached_property
    def confirmed(self) -> Mapping[int, Mapping[str, Any]]:
        """What events say, by the design's position in the frame; designs that are not in it left out."""
        return {self.positions[k]: told for k, told in self.confirmations.items() if k in self.positions}

    def spread(self, count: int) -> tuple[int, ...]:
        """Some designs of the front: the best of each objective, then spread; positions in the frame."""
        front = self.front_positions
        of_front = {o.name: self.of(o.name)[front] for o in self.objectives}
        return tuple(int(front[place]) for place in choose(self.objectives, of_front, count))

    @cached_property
    def importances(self) -> tuple[Importance, ...]:
        """What the knobs are worth for each objective."""
        values = {o.name: self.of(o.name) for o in self.objectives if o.name in self.values}
        return importances(self.space, self.rows, values)

    @cached_property
    def reasons(self) -> list[tuple[str, int]]:
        """Why designs are infeasible, and how many for each reason, most first."""
        told = self.frame.loc[~self.feasible, "reason"].astype(str)
        counted = [(str(reason), int(count)) for reason, count in told.value_counts().items() if count]
        return sorted(counted, key=lambda pair: (-pair[1], pair[0]))


def rows_of_frame(space: Space, frame: pd.DataFrame) -> np.ndarray:
    """The designs of a frame with a column a knob as canonical rows, int64 [designs, knobs].

    Raises
    ------
    UserError : a knob without a column, a value that it does not have.
    """
    import pandas as pd

    rows = np.zeros((len(frame), len(space.knobs)), np.int64)
    for p, knob in enumerate(space.knobs):
        if knob.name not in frame.columns:
            raise _refused(f"no column {knob.name!r}", "give the frame of the study's own store")
        numeric = not isinstance(knob.values[0], bool | str)
        known = pd.Index(list(knob.values), dtype=None if numeric else object)
        column = frame[knob.name]
        rows[:, p] = known.get_indexer(pd.Index(column if numeric else column.astype(object)))
    missing = space.active(np.maximum(rows, 0)) & (rows < 0)
    if missing.any():
        line, p = (int(n) for n in np.argwhere(missing)[0])
        name = space.names[p]
        found = f"{name} = {frame[name].iloc[line]!r} in row {line}"
        raise _refused(found, f"give one of {list(space.knobs[p].values)[:10]}")
    return space.canonical(np.maximum(rows, 0))


def _refused(found: str, next_step: str) -> UserError:
    return UserError(asked="a report of a study", found=found, where="ReportData.frame", next_step=next_step)
