"""NSGA-III: survival by fronts, and within a front by directions that are spread evenly.

After Deb and Jain, "An evolutionary many-objective optimization algorithm using reference-point-based
nondominated sorting approach", IEEE Trans. Evol. Comput. 18(4), 2014; the survival is pymoo's.
"""

from __future__ import annotations

from math import comb

import numpy as np

from siliform.dse.engines.base import Answers
from siliform.dse.engines.genetic import Genetic
from siliform.dse.space import Space


class Nsga3(Genetic):
    """NSGA-III with uniform crossover and a mutation made for mixed knobs.

    Parameters
    ----------
    population : members that survive a generation; also the points asked at once. There are as many
        directions as an even grid of at most this many has.
    crossover : the probability that a child mixes the knobs of two parents rather than copying one.
    """

    name = "nsga3"

    def __init__(
        self,
        space: Space,
        objectives: int,
        *,
        seed: int = 0,
        start: np.ndarray | None = None,
        population: int = 100,
        crossover: float = 0.9,
    ) -> None:
        from pymoo.algorithms.moo.nsga3 import ReferenceDirectionSurvival
        from pymoo.core.problem import Problem
        from pymoo.util.reference_direction import UniformReferenceDirectionFactory

        super().__init__(
            space, objectives, seed=seed, start=start, population=population, crossover=crossover
        )
        self._problem = Problem(n_var=len(space.knobs), n_obj=objectives)
        directions = UniformReferenceDirectionFactory(objectives, n_partitions=_parts(objectives, population))
        self._survival = ReferenceDirectionSurvival(directions.do())

    def survivors(self, answers: Answers) -> tuple[np.ndarray, np.ndarray]:
        """Feasible members by front and direction, then the others, those that break the constraints least
        first; any two feasible members are parents alike."""
        from pymoo.core.population import Population

        feasible = np.flatnonzero(answers.feasible)
        if self.objectives == 1:
            feasible = feasible[np.argsort(answers.costs[feasible, 0], kind="stable")]
        elif len(feasible):
            members = Population.new("F", answers.costs[feasible])
            kept = self._survival.do(
                self._problem,
                members,
                n_survive=self.population,
                random_state=self.random,
                return_indices=True,
            )
            feasible = feasible[np.asarray(kept)]
        rest = np.flatnonzero(~answers.feasible)
        rest = rest[np.argsort(answers.violations[rest], kind="stable")]
        order = np.concatenate([feasible, rest])[: self.population]
        standing = np.arange(len(order), dtype=float)
        if self.objectives > 1:
            standing[: len(feasible)] = self.random.permutation(len(standing[: len(feasible)]))
        return order, standing


def _parts(objectives: int, count: int) -> int:
    """Into how many parts an axis is cut so that the grid has at most `count` directions, at least 1."""
    parts = 1
    while objectives > 1 and comb(parts + objectives, objectives - 1) <= count:
        parts += 1
    return parts
