"""What the genetic engines share: a population, parents chosen by standing, crossover and mutation.

All of it works on whole populations as arrays; which members survive is left to each engine.
"""

from __future__ import annotations

from abc import abstractmethod

import numpy as np

from siliform.dse.engines.base import Answers, Engine
from siliform.dse.engines.options import at_least, share
from siliform.dse.space import Space

#: Rounds of mating that try to fill a generation with new points before random ones fill it.
MATINGS = 10
#: A step of a mutated ordered knob is 1 plus an exponentially distributed share of its range of this mean;
#: such a knob is drawn anew with the other probability. Both chosen on dse.testing's mixed problem.
STEP_SHARE, REDRAWN = 0.05, 0.25


class Genetic(Engine):
    """A search by a population that breeds.

    Parameters
    ----------
    population : members that survive a generation; also the points asked at once.
    crossover : the probability that a child mixes the knobs of two parents rather than copying one.
    """

    def __init__(
        self,
        space: Space,
        objectives: int,
        *,
        seed: int = 0,
        start: np.ndarray | None = None,
        population: int = 50,
        crossover: float = 0.9,
    ) -> None:
        super().__init__(space, objectives, seed=seed, start=start)
        self.population = at_least(self.name, "population", population, 2)
        self.crossover = share(self.name, "crossover", crossover)
        self.rows = np.zeros((0, len(space.knobs)), np.int64)
        self.costs = np.zeros((0, objectives))
        self.violations = np.zeros(0)
        self.standing = np.zeros(0)
        self._ordered = np.array([knob.ordered for knob in space.knobs])

    @abstractmethod
    def survivors(self, answers: Answers) -> tuple[np.ndarray, np.ndarray]:
        """Which members survive, best first, int [at most `population`], and their standing, float
        [as many], less being better: parents are the better of two drawn at random."""

    def ask(self) -> np.ndarray:
        """The first population, then children of the current one."""
        if not len(self.rows):
            return self.opening(self.population)
        children = [self.rows[:0]]
        missing = self.population
        for _ in range(MATINGS):
            bred = self.unasked.take(self.unasked.among(self._breed(missing))[:missing])
            children.append(bred)
            missing -= len(bred)
            if missing == 0:
                break
        return np.concatenate([*children, self.unasked.draw(missing, self.random)])

    def tell(self, rows: np.ndarray, answers: Answers) -> None:
        """Let old and new members compete."""
        if not len(rows):
            return
        self.rows = np.concatenate([self.rows, rows])
        told = Answers(
            np.concatenate([self.costs, answers.costs]),
            np.concatenate([self.violations, answers.cleaned().violations]),
        )
        kept, self.standing = self.survivors(told)
        self.rows, self.costs, self.violations = self.rows[kept], told.costs[kept], told.violations[kept]

    def _breed(self, count: int) -> np.ndarray:
        """Children, canonical, some of which may have been asked before, int64 [count, knobs]."""
        mother, father = self._parents(count), self._parents(count)
        mixed = self.random.random((count, 1)) < self.crossover
        from_mother = ~mixed | (self.random.random(mother.shape) < 0.5)
        # A knob that is inactive in a parent has no value to inherit: the other parent's is taken, or one
        # at random, which matters only if the child's other knobs make it active.
        in_mother, in_father = self.space.active(mother), self.space.active(father)
        from_mother = np.where(in_mother == in_father, from_mother, in_mother)
        drawn = self.random.integers(0, self.space.cardinalities, mother.shape)
        children = np.where(from_mother, mother, father)
        children = np.where(in_mother | in_father, children, drawn)
        return self.space.canonical(self._mutated(children))

    def _parents(self, count: int) -> np.ndarray:
        rivals = self.random.integers(0, len(self.rows), (2, count))
        first, second = self.standing[rivals]
        return self.rows[np.where(first <= second, rivals[0], rivals[1])]

    def _mutated(self, rows: np.ndarray) -> np.ndarray:
        """Rows of which about one active knob each is changed.

        An ordered knob mostly steps to a value nearby; other knobs take any other value.
        """
        sizes = self.space.cardinalities
        others = (rows + self.random.integers(1, np.maximum(sizes, 2), rows.shape)) % sizes
        free = self.space.active(rows) & (sizes > 1)
        changed = self.random.random(rows.shape) * np.maximum(free.sum(axis=1, keepdims=True), 1) < 1
        steps = 1 + self.random.exponential(STEP_SHARE * sizes, rows.shape).astype(np.int64)
        up, down = rows + steps, rows - steps
        rises = self.random.random(rows.shape) < 0.5
        rises = np.where(rises, up < sizes, down < 0)
        stepped = np.clip(np.where(rises, up, down), 0, sizes - 1)
        near = self._ordered & (self.random.random(rows.shape) >= REDRAWN)
        return np.where(changed, np.where(near, stepped, others), rows)
