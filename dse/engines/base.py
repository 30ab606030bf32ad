"""What a search engine is: it says which points to evaluate next, and is told what they cost.

An engine is deterministic: the same space, number of objectives, options, seed and answers give the same
questions, in any process. That is how a study resumes: it asks again, and answers from its store.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

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


class Engine(ABC):
    """One search over a space.

    Parameters
    ----------
    space : what may be chosen.
    objectives : how many costs each point has.
    seed : of every random choice.
    """

    #: As a study names it.
    name: str

    def __init__(self, space: Space, objectives: int, *, seed: int = 0) -> None:
        self.space = space
        self.objectives = objectives
        self.random = np.random.default_rng(seed)

    @abstractmethod
    def ask(self) -> np.ndarray:
        """Canonical rows to evaluate next, int64 [points, knobs], none of them asked before or twice.

        No rows at all mean that the engine has nothing more to ask. The number of rows does not depend on
        how they will be evaluated.
        """

    @abstractmethod
    def tell(self, rows: np.ndarray, answers: Answers) -> None:
        """Learn what the rows of the last `ask`, in its order, cost; a study at its end may tell fewer."""
