"""What a search engine is: it says which points to evaluate next, and is told what they cost.

An engine is deterministic: the same space, number of objectives, options, seed and answers give the same
questions, in any process. That is how a study resumes: it asks again, and answers from its store.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from siliform.dse.engines.unasked import Unasked, spread
from siliform.dse.space import Space


@dataclass(frozen=True, eq=False)
class Answers:
    """What the evaluated points cost.

    Attributes
    ----------
    costs : float64 [points, objectives], less is better; finite where `violations` is 0, anything (also
        infinite or NaN) where it is not.
    violations : float64 [points]: 0 for a feasible design, else how far it is from one, summed over the
        constraints as shares of their limits; infinite where it cannot exist at all.
    """

    costs: np.ndarray
    violations: np.ndarray

    @property
    def feasible(self) -> np.ndarray:
        """Which points keep every constraint, bool [points]."""
        return np.asarray(self.violations == 0)

    def cleaned(self) -> Answers:
        """The same, with no NaN among the violations, which are infinite where any cost of a point that
        claims to be feasible is not a number."""
        known = np.isfinite(self.costs).all(axis=1) | (self.violations > 0)
        return Answers(self.costs, np.where(known & ~np.isnan(self.violations), self.violations, np.inf))


class Engine(ABC):
    """One search over a space.

    Parameters
    ----------
    space : what may be chosen.
    objectives : how many costs each point has.
    seed : of every random choice.
    start : rows that are known to be good, such as the baseline's, int64 [points, knobs]; asked first.
    """

    #: As a study names it.
    name: str

    def __init__(
        self, space: Space, objectives: int, *, seed: int = 0, start: np.ndarray | None = None
    ) -> None:
        self.space = space
        self.objectives = objectives
        self.random = np.random.default_rng(seed)
        self.unasked = Unasked(space)
        given = np.zeros((0, len(space.knobs)), np.int64) if start is None else np.asarray(start, np.int64)
        self.start = self.unasked.among(space.canonical(given))

    @abstractmethod
    def ask(self) -> np.ndarray:
        """Canonical rows to evaluate next, int64 [points, knobs], none of them asked before or twice.

        No rows at all mean that the engine has nothing more to ask. The number of rows does not depend on
        how they will be evaluated.
        """

    @abstractmethod
    def tell(self, rows: np.ndarray, answers: Answers) -> None:
        """Learn what the rows of the last `ask`, in its order, cost; a study at its end may tell fewer."""

    def opening(self, count: int) -> np.ndarray:
        """What an engine that learns asks first: `start`, then points spread over the space; marked as asked.

        They are `count`, more where `start` is longer, fewer where the space is smaller.
        """
        rows = self.unasked.take(self.start)
        if len(rows) < count:
            more = self.unasked.take(spread(self.space, count - len(rows), self.random))
            rows = np.concatenate([rows, more])
        return np.concatenate([rows, self.unasked.draw(count - len(rows), self.random)])
