"""The predictor loop: measure some points, learn to predict, search on the predictions, measure the best.

After Sridhar et al., "SimQ-NAS: Simultaneous Quantization Policy and Neural Architecture Search", 2023, and
Cummings et al., "A Hardware-Aware Framework for Accelerating Neural Architecture Search Across Modalities",
2022. What differs: a predictor of the violation of constraints beside those of the objectives, the kind of
each chosen by cross-validation, and points picked by the hypervolume that they are predicted to add.
"""

from __future__ import annotations

import numpy as np

from siliform.dse.engines.base import Answers, Engine
from siliform.dse.engines.nsga2 import Nsga2
from siliform.dse.engines.options import at_least, share
from siliform.dse.engines.scales import on_scale, signed, wide
from siliform.dse.engines.volume import pick
from siliform.dse.pareto import nondominated
from siliform.dse.predictors import Choice, Predictor, choose, fit, one_thread
from siliform.dse.space import Space

#: The kinds of predictor are chosen anew when there are so many times as many points as the last time.
RECHOOSE = 1.5
#: So many times the points wanted are compared by the volume that they add.
SHORTLIST = 5
#: Volumes are bounded by the worst costs and this share of the span of all, so that ends of the front count.
MARGIN = 0.05


class PredictorLoop(Engine):
    """A search that asks predictors about thousands of points, and answers about the best of them.

    Parameters
    ----------
    first : points measured before anything is predicted.
    batch : points measured a round from then on.
    generations, population : of the NSGA-II that searches on the predictions in each round.
    explore : share of a batch that is drawn at random.
    """

    name = "predictor"

    def __init__(
        self,
        space: Space,
        objectives: int,
        *,
        seed: int = 0,
        start: np.ndarray | None = None,
        first: int = 100,
        batch: int = 50,
        generations: int = 25,
        population: int = 150,
        explore: float = 0.1,
    ) -> None:
        super().__init__(space, objectives, seed=seed, start=start)
        self.first = at_least(self.name, "first", first, 1)
        self.batch = at_least(self.name, "batch", batch, 1)
        self.generations = at_least(self.name, "generations", generations, 1)
        self.population = at_least(self.name, "population", population, 2)
        self.explore = share(self.name, "explore", explore)
        self.rows = np.zeros((0, len(space.knobs)), np.int64)
        self.answers = Answers(np.zeros((0, objectives)), np.zeros(0))
        self._choices: list[Choice | None] = [None] * (objectives + 1)
        self._chosen_at = 0

    @property
    def choices(self) -> tuple[Choice | None, ...]:
        """The predictor of each objective and, last, of the violation: its kind, and how well it ranks.

        None before the first round, where a quantity has not two values, and where every point is feasible.
        """
        return tuple(self._choices)

    def ask(self) -> np.ndarray:
        """Points spread over the space first, then those that are predicted to add most to the front."""
        if not len(self.rows):
            return self.opening(self.first)
        import sklearn.linear_model  # noqa: F401 - loaded by now, so that it is kept to one thread

        wanted = self.batch - int(self.random.binomial(self.batch, self.explore))
        with one_thread():
            predictors = self._predictors()
            best = self.rows[:0] if predictors is None else self._best(predictors, wanted)
        rows = self.unasked.take(best)
        return np.concatenate([rows, self.unasked.draw(self.batch - len(rows), self.random)])

    def tell(self, rows: np.ndarray, answers: Answers) -> None:
        """Remember what was measured."""
        new = answers.cleaned()
        self.rows = np.concatenate([self.rows, rows])
        self.answers = Answers(
            np.concatenate([self.answers.costs, new.costs]),
            np.concatenate([self.answers.violations, new.violations]),
        )

    def _predictors(self) -> list[Predictor | None] | None:
        """One for each objective and one for the violation, None where every point is feasible; no list
        at all where an objective has too few values to predict any."""
        features = self.space.features(self.rows)
        columns = [*self.answers.costs.T]
        known = [np.isfinite(column) for column in columns]
        if min(int(each.sum()) for each in known) < 2:
            return None
        anew = len(self.rows) >= RECHOOSE * self._chosen_at
        if anew:
            self._chosen_at = len(self.rows)
        if self.answers.feasible.all():
            self._choices[-1] = None
        else:
            columns.append(signed(self.answers.violations))
            known.append(np.ones(len(self.rows), bool))
        found: list[Predictor | None] = [None] * len(self._choices)
        for place, (column, finite) in enumerate(zip(columns, known, strict=True)):
            inputs, targets = features[finite], column[finite]
            choice = self._choices[place]
            if anew or choice is None or (choice.logarithm and targets.min() <= 0):
                choice = self._choices[place] = choose(inputs, targets, self.random)
            found[place] = fit(choice, inputs, targets)
        return found

    def _predicted(self, predictors: list[Predictor | None], rows: np.ndarray) -> Answers:
        features = self.space.features(rows)
        predicted = [None if each is None else each.predict(features) for each in predictors]
        violation = predicted[-1]
        return Answers(
            np.stack([column for column in predicted[:-1] if column is not None], axis=1),
            np.zeros(len(rows)) if violation is None else np.maximum(violation, 0.0),
        )

    def _best(self, predictors: list[Predictor | None], wanted: int) -> np.ndarray:
        """The unmeasured rows that are predicted to add most to the front, int64 [at most wanted, knobs]."""
        rows, predicted = self._searched(predictors)
        listed = Nsga2(self.space, self.objectives, population=max(2, SHORTLIST * wanted))
        order, _ = listed.survivors(predicted)
        rows, costs, feasible = rows[order], predicted.costs[order], predicted.feasible[order]
        measured = self.answers.costs[self.answers.feasible]
        logarithmic = wide(measured)
        if logarithmic.any():  # a predicted cost of zero or less has no logarithm
            costs = np.where(logarithmic, np.maximum(costs, measured.min(axis=0) / 100), costs)
        good, seen = on_scale(costs[feasible], logarithmic), on_scale(measured, logarithmic)
        picked: list[int] = []
        if len(good):
            everything = np.concatenate([good, seen])
            worst, span = everything.max(axis=0), np.ptp(everything, axis=0)
            picked = pick(good, seen[nondominated(seen)], worst + MARGIN * span, wanted)
        near = np.flatnonzero(~feasible)[: wanted - len(picked)]
        return rows[np.concatenate([np.flatnonzero(feasible)[picked], near])]

    def _searched(self, predictors: list[Predictor | None]) -> tuple[np.ndarray, Answers]:
        """Unmeasured rows that a search on the predictions came across, and what is predicted of them."""
        feasible = self.answers.feasible
        search = Nsga2(
            self.space,
            self.objectives,
            seed=int(self.random.integers(2**63)),
            start=self.rows[feasible][nondominated(self.answers.costs[feasible])],
            population=self.population,
        )
        asked, told = [], []
        for _ in range(self.generations):
            rows = search.ask()
            if not len(rows):
                break
            asked.append(rows)
            told.append(self._predicted(predictors, rows))
            search.tell(rows, told[-1])
        rows = np.concatenate(asked)
        new = self.unasked.places(rows)
        costs = np.concatenate([each.costs for each in told])
        violations = np.concatenate([each.violations for each in told])
        return rows[new], Answers(costs[new], violations[new])
