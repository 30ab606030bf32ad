"""Gaussian processes, by Optuna: for evaluations of seconds or more, of which a few dozen are affordable.

A question costs about a second of CPU time, and more as points gather; a study that resumes asks again, so it
takes as long as the first time until it is where it was.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from siliform.dse.engines.base import Answers, Engine
from siliform.dse.engines.options import at_least
from siliform.dse.engines.scales import on_scale, signed, wide
from siliform.dse.predictors import one_thread
from siliform.dse.space import Space
from siliform.graph_ir.errors import UserError

#: Suggestions that may have been asked before until a random point is asked instead.
TRIES = 3


class GaussianProcess(Engine):
    """Optuna's GPSampler: expected improvement of the hypervolume, times the chance to be feasible.

    Parameters
    ----------
    startup : points spread over the space that are asked before anything is predicted.
    batch : points asked at once from then on; with more than 1, each counts those before it as pending.
    """

    name = "gp"

    def __init__(
        self,
        space: Space,
        objectives: int,
        *,
        seed: int = 0,
        start: np.ndarray | None = None,
        startup: int = 10,
        batch: int = 1,
    ) -> None:
        super().__init__(space, objectives, seed=seed, start=start)
        self.startup = at_least(self.name, "startup", startup, 2)
        self.batch = at_least(self.name, "batch", batch, 1)
        self.rows = np.zeros((0, len(space.knobs)), np.int64)
        self.answers = Answers(np.zeros((0, objectives)), np.zeros(0))
        self._study: Any = None
        self._frame: tuple[Any, ...] = ()
        self._told = 0
        self._pending: list[Any] = []
        _optuna()

    def ask(self) -> np.ndarray:
        """Points spread over the space first, then those that are expected to improve the front most."""
        if not len(self.rows):
            return self.opening(self.startup)
        import scipy.linalg  # noqa: F401 - loaded by now, so that it is kept to one thread
        import torch  # noqa: F401

        found = [self.rows[:0]]
        # Every knob with one value, or no objective with a known value: nothing to model.
        if self.unasked.count and len(self._distributions()) and self._modelled().any():
            with _quiet(), one_thread():
                self._update()
                for _ in range(TRIES * self.batch):
                    if sum(map(len, found)) < self.batch:
                        found.append(self.unasked.take(self._suggested()))
                self._forget_pending()
        rows = np.concatenate(found)
        return np.concatenate([rows, self.unasked.draw(self.batch - len(rows), self.random)])

    def tell(self, rows: np.ndarray, answers: Answers) -> None:
        """Remember what was measured."""
        new = answers.cleaned()
        self.rows = np.concatenate([self.rows, rows])
        self.answers = Answers(
            np.concatenate([self.answers.costs, new.costs]),
            np.concatenate([self.answers.violations, new.violations]),
        )

    def _distributions(self) -> dict[str, Any]:
        optuna = _optuna()
        return {
            knob.name: optuna.distributions.IntDistribution(0, len(knob) - 1)
            if knob.ordered
            else optuna.distributions.CategoricalDistribution(tuple(range(len(knob))))
            for knob in self.space.knobs
            if len(knob) > 1
        }

    def _modelled(self) -> np.ndarray:
        """Which points have a known cost in every objective, bool [points]."""
        return np.asarray(np.isfinite(self.answers.costs).all(axis=1))

    def _update(self) -> None:
        """Tell Optuna's study what was measured since; a new study where the scales of costs change.

        Points without costs take the worst known ones, since the sampler learns the limits from all points.
        Every recorded trial has its inactive knobs at zero, whatever the sampler had suggested for them.
        """
        optuna = _optuna()
        known = self._modelled()
        measured = self.answers.costs[known]
        logarithmic, limited = wide(measured), not self.answers.feasible.all()
        distances = signed(self.answers.violations)
        frame = (*logarithmic, limited)
        if frame != self._frame:
            self._frame, self._told = frame, 0
            sampler = optuna.samplers.GPSampler(
                seed=int(self.random.integers(2**32)), n_startup_trials=1, warn_independent_sampling=False
            )
            self._study = optuna.create_study(directions=["minimize"] * self.objectives, sampler=sampler)
        costs = np.where(known[:, None], self.answers.costs, measured.max(axis=0))
        costs = on_scale(costs, logarithmic)
        distributions = self._distributions()
        for place in range(self._told, len(self.rows)):
            row = self.rows[place]
            self._study.add_trial(
                optuna.trial.create_trial(
                    params={name: int(row[self.space.positions[name]]) for name in distributions},
                    distributions=distributions,
                    values=[float(cost) for cost in costs[place]],
                    constraints={"violation": float(distances[place])} if limited else None,
                )
            )
        self._told = len(self.rows)

    def _suggested(self) -> np.ndarray:
        trial = self._study.ask(self._distributions())
        self._pending.append(trial)
        return self.space.canonical(
            np.array([[trial.params.get(name, 0) for name in self.space.names]], np.int64)
        )

    def _forget_pending(self) -> None:
        """Suggestions count as pending only while a batch is put together."""
        for trial in self._pending:
            self._study.tell(trial, state=_optuna().trial.TrialState.FAIL)
        self._pending.clear()


def _optuna() -> Any:
    try:
        import optuna
    except ImportError:
        raise UserError(
            asked="the engine gp",
            found="no package optuna",
            where="engine gp",
            next_step="pip install optuna, or use predictor",
        ) from None
    return optuna


@contextmanager
def _quiet() -> Iterator[None]:
    """Within it Optuna logs warnings only; then as before."""
    logging = _optuna().logging
    before = logging.get_verbosity()
    logging.set_verbosity(max(before, logging.WARNING))
    try:
        yield
    finally:
        logging.set_verbosity(before)
