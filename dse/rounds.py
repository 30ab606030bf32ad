"""One round of a study: the rows that an engine asked for, and how they come to be answered."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

import numpy as np

from siliform.dse.crew import Answer, Crew, Pace, Task, raise_failure
from siliform.dse.problem import Problem
from siliform.dse.store import Records, Writer
from siliform.dse.verdicts import Judge


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Inside, Ctrl-C waits for the end: what the store has and what is counted of it stay the same."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[FrameType | None] = []
    before = signal.signal(signal.SIGINT, lambda _, frame: came.append(frame))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if came and callable(before):
            before(signal.SIGINT, came[0])


class Desk:
    """What all rounds of a study share: where answers are kept, who works them out, how fast, what is known.

    Attributes
    ----------
    networks : measured quantities by key of the network's knobs, float64 [measured]; grows.
    measured_here : how many of them were measured in this run.
    """

    def __init__(self, problem: Problem, judge: Judge, store: Writer, crew: Crew) -> None:
        self.problem = problem
        self.judge = judge
        self.store = store
        self.crew = crew
        self.networks = {key: np.array(values) for key, values in store.networks().items()}
        self.measured_here = 0
        self.paces = {"cost": Pace(8), "measure": Pace(1)}
        self._of_network = np.zeros(len(problem.space.knobs), bool)
        self._of_network[list(problem.network)] = True

    def network_rows(self, rows: np.ndarray) -> np.ndarray:
        """Rows with all but the network's knobs at zero: equal where `measure` need be asked only once."""
        return np.where(self._of_network, rows, 0)


@dataclass(frozen=True, eq=False)
class Answered:
    """What is known of a round: of which rows, bool [rows], and their records [rows]."""

    known: np.ndarray
    records: Records


class Round:
    """Answers rows: from the store, by costing them, and by measuring the networks that are worth it.

    Closed forms and measurements go to the workers together, measurements first: there is no moment at which
    all wait for the last of one kind. A row is kept as soon as everything about it is known.
    """

    def __init__(self, desk: Desk, number: int, rows: np.ndarray) -> None:
        self.desk = desk
        self.number = number
        self.rows = rows
        self.keys = desk.problem.space.keys(rows)
        self.fresh = 0
        self._values = np.full((len(rows), len(desk.judge.quantities)), np.nan)
        self._violations = np.zeros(len(rows))
        self._reasons = [""] * len(rows)
        stored, records = desk.store.find(self.keys)
        self._known = stored
        self._keep(np.flatnonzero(stored), records)
        first = {key: place for place, key in reversed(list(enumerate(self.keys)))}
        self._first = np.array([first[key] for key in self.keys], np.int64)
        self._network_keys: list[bytes] = []
        if desk.problem.measured:
            self._network_keys = desk.problem.space.keys(desk.network_rows(rows))
        self._to_cost = self._in_order(np.flatnonzero(~stored & (self._first == np.arange(len(rows)))))
        self._to_measure: list[int] = []
        self._waiting: dict[bytes, list[int]] = {}

    def run(self, stop: Callable[[], bool], between: Callable[[], None]) -> bool:
        """Answer rows until `stop` says so; whether all are answered. `between` is called after chunks."""
        crew = self.desk.crew
        try:
            while True:
                while crew.free and not stop() and (task := self._next()) is not None:
                    crew.submit(task)
                if not crew.busy:
                    return bool(self.answered.known.all())
                self._take(crew.completed())
                between()
        except KeyboardInterrupt:
            self._take(crew.completed(at_once=True))
            raise

    @property
    def answered(self) -> Answered:
        """What is known now; equal rows have the same answer."""
        records = Records(
            self._values[self._first],
            self._violations[self._first],
            [self._reasons[place] for place in self._first.tolist()],
        )
        return Answered(self._known[self._first], records)

    @property
    def counts(self) -> tuple[int, int]:
        """How many rows are answered, and how many of them are infeasible."""
        known = self._known[self._first]
        return int(known.sum()), int((known & (self._violations[self._first] != 0)).sum())

    def _in_order(self, places: np.ndarray) -> np.ndarray:
        """Rows of one network behind each other, since a problem may build each network once a task."""
        network = self.rows[places][:, list(self.desk.problem.network)]
        return places[np.lexsort(network.T)] if network.shape[1] else places

    def _next(self) -> Task | None:
        """The next task: networks to measure before rows to cost, since those take longest."""
        workers = self.desk.crew.pool.workers
        if self._to_measure:
            size = self.desk.paces["measure"].size(len(self._to_measure), workers)
            places = np.array(self._to_measure[:size])
            del self._to_measure[:size]
            return Task("measure", self.desk.network_rows(self.rows[places]), places)
        if len(self._to_cost):
            size = self.desk.paces["cost"].size(len(self._to_cost), workers)
            places, self._to_cost = self._to_cost[:size], self._to_cost[size:]
            return Task("cost", self.rows[places], places)
        return None

    def _take(self, answers: Sequence[tuple[Task, Answer]]) -> None:
        """Keep what came; then, if something failed, say what."""
        with uninterrupted():
            self._take_all(answers)
        failed = [answer.failure for _, answer in answers if answer.failure is not None]
        if failed:
            raise_failure(failed[0], self.desk.problem.space)

    def _take_all(self, answers: Sequence[tuple[Task, Answer]]) -> None:
        for task, answer in answers:
            if answer.failure is None:
                self.desk.paces[task.kind].learn(len(task.rows), answer.seconds)
                if task.kind == "cost":
                    self._take_costs(task.places, answer)
                else:
                    self._take_networks(task.places, answer.values)

    def _take_costs(self, places: np.ndarray, answer: Answer) -> None:
        values = np.full((len(places), self._values.shape[1]), np.nan)
        values[:, : answer.values.shape[1]] = answer.values
        told = self.desk.judge.first(values, answer.reasons)
        self._keep(places, told)
        if not self._network_keys:
            self._commit(places)
            return
        worth = told.violations == 0
        ready = list(places[~worth])
        known = []
        for place in places[worth].tolist():
            key = self._network_keys[place]
            if key in self.desk.networks:
                known.append(place)
            elif key in self._waiting:
                self._waiting[key].append(place)
            else:
                self._waiting[key] = [place]
                self._to_measure.append(place)
        self._join(known)
        self._commit(np.array(sorted(ready + known), np.int64))

    def _take_networks(self, places: np.ndarray, values: np.ndarray) -> None:
        keys = [self._network_keys[place] for place in places.tolist()]
        self.desk.store.add_networks(keys, values)
        self.desk.networks.update(zip(keys, values, strict=True))
        self.desk.measured_here += len(keys)
        ready = [place for key in keys for place in self._waiting.pop(key)]
        self._join(ready)
        self._commit(np.array(ready, np.int64))

    def _join(self, places: Sequence[int]) -> None:
        """Put measured quantities beside the closed form, and judge by them."""
        if not places:
            return
        where = np.array(places)
        measured = np.stack([self.desk.networks[self._network_keys[place]] for place in places])
        self._values[where, -measured.shape[1] :] = measured
        self._keep(where, self.desk.judge.then(self._records(where)))

    def _records(self, places: np.ndarray) -> Records:
        reasons = [self._reasons[place] for place in places.tolist()]
        return Records(self._values[places], self._violations[places], reasons)

    def _keep(self, places: np.ndarray, told: Records) -> None:
        self._values[places] = (
            told.values + 0.0
        )  # a negative zero would come back from SQLite without its sign
        self._violations[places] = told.violations
        for place, reason in zip(places.tolist(), told.reasons, strict=True):
            self._reasons[place] = reason

    def _commit(self, places: np.ndarray) -> None:
        keys = [self.keys[place] for place in places.tolist()]
        self.desk.store.add(self.number, places, keys, self._records(places))
        self._known[places] = True
        self.fresh += len(places)
