"""Runs a study: asks an engine, has its points answered, keeps the answers, and tells the engine.

A study resumes by asking again: engines are deterministic, so that the same questions come, and those that
the store knows are answered from it. What comes out depends on the study's seed and its count of
evaluations, not on workers, interruptions or how work was cut into tasks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import compress
from pathlib import Path
from time import perf_counter

import numpy as np

from siliform.dse.crew import Crew, ProblemFactory
from siliform.dse.engines.base import Answers, Engine
from siliform.dse.executors import pool_named
from siliform.dse.outcome import Listener, Outcome, Progress
from siliform.dse.problem import Problem
from siliform.dse.rounds import Desk, Round, uninterrupted
from siliform.dse.store import Writer
from siliform.dse.storefile import path_of
from siliform.dse.study import Study
from siliform.dse.tally import Tally
from siliform.dse.verdicts import Judge
from siliform.graph_ir.errors import UserError

_SECONDS_BETWEEN_NEWS = 0.5


def run_study(
    study: Study,
    problem_factory: ProblemFactory,
    folder: Path | str,
    *,
    jobs: int = 1,
    executor: str = "local",
    address: str | None = None,
    resume: bool = False,
    listener: Listener | None = None,
    start: np.ndarray | None = None,
    engine: Engine | None = None,
    problem: Problem | None = None,
    prepare: Callable[[], None] | None = None,
) -> Outcome:
    """Search until the budget is spent, or Ctrl-C; every answer is in the store below `folder` at once.

    Parameters
    ----------
    problem_factory : makes the problem, here and once in each worker process.
    jobs : processes of the executors "local" (with 1: this process) and "dask" without an address.
    address : of a Dask scheduler.
    resume : go on with the study of that folder, if there is one.
    listener : told how far it is.
    start : rows that the engine asks first, int64 [points, knobs].
    engine : an engine of one's own in place of the one that the study names.
    problem : what the factory would make here, where the caller has made it.
    prepare : long work that evaluations need, such as training; done once, here, when nothing that is asked
        can be refused any more.

    Raises
    ------
    UserError : a store that is in use, of another study, or there already without `resume`; what an engine
        or an executor refuses; an objective or a limit on what nothing yields; a design that kills its
        worker.
    EvaluationError : an exception of the problem, with the point named.
    """
    begun = perf_counter()
    problem = problem_factory() if problem is None else problem
    judge = Judge(study, problem)
    if engine is None:
        from siliform.dse.engines import engine_named

        engine = engine_named(
            study.engine, problem.space, len(study.objectives), study.seed, study.options, start=start
        )
    opened = partial(_store, study, problem, engine, start, folder, resume)
    if prepare is not None and path_of(folder).exists():
        opened().close()  # refuses now what it would refuse when all is prepared
    crew = Crew(pool_named(executor, jobs, address), problem_factory, problem)
    try:
        if prepare is not None:
            prepare()
        with opened() as store:
            return _Run(study, problem, judge, engine, store, crew, listener, begun).go()
    finally:
        crew.close()


def _store(
    study: Study,
    problem: Problem,
    engine: Engine,
    start: np.ndarray | None,
    folder: Path | str,
    resume: bool,
) -> Writer:
    """The study's store, to write to; UserError for another study's, or one with answers and no `resume`."""
    store = Writer.open(
        path_of(folder),
        problem.space,
        problem.quantities,
        problem.measured,
        identity={
            "subject": study.subject,
            "engine": engine.name,
            "options": study.options,
            "seed": study.seed,
            "start": [] if start is None else np.asarray(start).tolist(),
            "objectives": [("largest " if o.maximise else "smallest ") + o.name for o in study.objectives],
            "constraints": [str(limit) for limit in study.constraints],
        },
        meta={"study": study.name},
    )
    if len(store) and not resume:
        found = f"{len(store):,} evaluations of it there already"
        store.close()
        raise UserError(
            asked=f"the study {study.name} in {folder}",
            found=found,
            where="--out",
            next_step="go on with --resume, or give another folder",
        )
    return store


@dataclass
class _Run:
    """The loop, and what it has to remember."""

    study: Study
    problem: Problem
    judge: Judge
    engine: Engine
    store: Writer
    crew: Crew
    listener: Listener | None
    begun: float
    round: int = 0
    fresh: int = 0
    asked: set[bytes] = field(default_factory=set)
    current: Round | None = None

    def __post_init__(self) -> None:
        self.desk = Desk(self.problem, self.judge, self.store, self.crew)
        self.tally = Tally.of_nothing(
            self.study.objectives, len(self.problem.space.knobs), len(self.judge.quantities)
        )
        self.searching = self.told_at = perf_counter()

    def go(self) -> Outcome:
        """Rounds until the end."""
        complete = interrupted = False
        try:
            while not complete:
                rows = self._ask()
                complete = not len(rows) or self._answer(rows)
        except KeyboardInterrupt:
            interrupted = True
            if self.current is not None:
                self._absorb(self.current)
        return self._outcome(complete, interrupted)

    def _answer(self, rows: np.ndarray) -> bool:
        """One round; whether it was the last."""
        self.current = Round(self.desk, self.round, rows)
        whole = self.current.run(self._late, self._tell)
        answers = self._absorb(self.current)
        last = self._spent() or not whole
        if not last:
            self.engine.tell(rows, answers)
        self.round += 1
        return last

    def _ask(self) -> np.ndarray:
        rows = self.engine.ask()
        limit = self.study.budget.evaluations
        return rows if limit is None else rows[: limit - self.tally.evaluations]

    def _late(self) -> bool:
        limit = self.study.budget.seconds
        return limit is not None and perf_counter() - self.searching >= limit

    def _spent(self) -> bool:
        limit = self.study.budget.evaluations
        return self._late() or (limit is not None and self.tally.evaluations >= limit)

    def _absorb(self, current: Round) -> Answers:
        """Count a round, or as much of it as is answered."""
        with uninterrupted():
            answered = current.answered
            costs = self.judge.costs(answered.records.values)
            tally = self.tally.after(current.rows, costs, answered)
            scale = {o.name: {"ideal": o.ideal, "reference": o.reference} for o in tally.objectives}
            if tally.resolved and self.store.meta.get("resolved") != scale:
                self.store.tell(resolved=scale)
            self.asked.update(compress(current.keys, answered.known))
            self.fresh += current.fresh
            self.tally = tally
            self.current = None
            self._tell(last=True)
        return Answers(costs, answered.records.violations)

    def _tell(self, *, last: bool = False) -> None:
        """News for the listener, not too often within a round."""
        now = perf_counter()
        if self.listener is None or (not last and now - self.told_at < _SECONDS_BETWEEN_NEWS):
            return
        self.told_at = now
        known, infeasible = (0, 0) if self.current is None else self.current.counts
        fresh = self.fresh + (0 if self.current is None else self.current.fresh)
        rate = fresh / max(now - self.searching, 1e-9)
        evaluations, budget = self.tally.evaluations + known, self.study.budget
        eta = None
        if budget.evaluations is not None and rate:
            eta = (budget.evaluations - evaluations) / rate
        if budget.seconds is not None:
            left = max(0.0, budget.seconds - (now - self.searching))
            eta = left if eta is None else min(left, eta)
        self.listener.on_round(
            Progress(
                round=self.round,
                evaluations=evaluations,
                budget=budget,
                hypervolume=self.tally.hypervolume,
                best=self._best(),
                infeasible=self.tally.infeasible + infeasible,
                networks=self.desk.measured_here,
                rate=rate,
                eta_seconds=eta,
            )
        )

    def _best(self) -> Mapping[str, float]:
        pairs = zip(self.study.objectives, self.tally.best, strict=True)
        return {o.name: float(-cost if o.maximise else cost) for o, cost in pairs if np.isfinite(cost)}

    def _outcome(self, complete: bool, interrupted: bool) -> Outcome:
        tally = self.tally
        order = np.lexsort((*tally.rows.T[::-1], *tally.costs.T[::-1]))
        return Outcome(
            study=self.study,
            space=self.problem.space,
            objectives=tally.objectives,
            evaluations=tally.evaluations,
            unique_evaluations=len(self.asked),
            infeasible=tally.infeasible,
            networks_measured=len(self.desk.networks),
            hypervolume=tally.hypervolume,
            history=tally.history,
            front_rows=tally.rows[order],
            front=dict(zip(self.judge.quantities, tally.values[order].T, strict=True)),
            complete=complete,
            interrupted=interrupted,
            seconds=perf_counter() - self.begun,
            store=self.store.path,
        )
