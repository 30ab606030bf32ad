"""Tasks, who does them, and what becomes of those that are lost with their worker."""

from __future__ import annotations

import threading
import traceback
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait
from dataclasses import dataclass, field, replace
from functools import lru_cache
from hashlib import sha256
from math import ceil
from time import perf_counter
from typing import Literal

import numpy as np

from siliform.dse.executors import Pool, Serial, scheduler_gone
from siliform.dse.problem import Problem
from siliform.dse.space import Space
from siliform.graph_ir.errors import UserError

#: Makes the problem, once in each process that evaluates; it must pickle, by cloudpickle.
ProblemFactory = Callable[[], Problem]

#: The two steps of a problem.
Kind = Literal["cost", "measure"]

#: A task that loses its worker so often is to blame, not chance.
MOST_LOSSES = 3
#: How long a task should take. Shorter, and handing it out costs a share (1 to 2 ms by loky or Dask);
#: longer, and more is in flight when a study is killed, and workers wait for the last of a round.
TASK_SECONDS = (0.05, 0.2)
#: Rows of one task at most, so that a transaction stays a few ten megabytes.
MOST_ROWS = 50_000


class EvaluationError(RuntimeError):
    """A fault of the problem, not of a design: the text names the point and the worker's traceback."""


@dataclass(frozen=True, eq=False)
class Task:
    """Some rows to cost, or whose networks to measure.

    Attributes
    ----------
    kind : which step of the problem.
    rows : canonical, int64 [designs, knobs].
    places : int64 [designs], whatever the one who asked needs to know them again.
    """

    kind: Kind
    rows: np.ndarray
    places: np.ndarray


@dataclass(frozen=True, eq=False)
class Failure:
    """What a problem raised.

    Attributes
    ----------
    row : the first row [knobs] of which it raises alone; None where it needs several together.
    parts : of a UserError.
    """

    error: str
    trace: str
    row: np.ndarray | None
    parts: tuple[str, str, str, str] | None


@dataclass(frozen=True, eq=False)
class Answer:
    """What came of a task.

    Attributes
    ----------
    seconds : what it took, without making the problem.
    values : float64 [rows, quantities], in the order in which the problem names those of this kind.
    reasons : of costs, why each row cannot be, or "".
    failure : what was raised instead.
    """

    seconds: float
    values: np.ndarray
    reasons: Sequence[str] = ()
    failure: Failure | None = None


@dataclass(frozen=True)
class Packed:
    """A problem's factory as bytes; a process keeps the problems of the last few by their digest."""

    digest: str
    pickled: bytes = field(compare=False, repr=False)

    @staticmethod
    def of(factory: ProblemFactory) -> Packed:
        """Pickled by value where it is from a script."""
        import cloudpickle

        pickled = cloudpickle.dumps(factory)
        return Packed(sha256(pickled).hexdigest(), pickled)


#: One task at a time in a process, however many threads a Dask worker has: networks hook into modules that
#: they share and problems keep graphs, and a thread beside would get another one's numbers.
_ALONE = threading.Lock()


@lru_cache(maxsize=2)
def _problem(packed: Packed) -> Problem:
    import cloudpickle

    made: Problem = cloudpickle.loads(packed.pickled)()
    return made


def work(packed: Packed, kind: Kind, rows: np.ndarray) -> Answer:
    """In a worker: do a task. Never raises, since not every exception survives the way back."""
    with _ALONE:
        try:
            problem = _problem(packed)
        except Exception as error:
            return Answer(0.0, np.empty((0, 0)), failure=_failure(error, None))
        return work_with(problem, kind, rows)


def work_with(problem: Problem, kind: Kind, rows: np.ndarray) -> Answer:
    """Do a task with a problem that is there."""
    start = perf_counter()
    try:
        values, reasons = _costed(problem, rows) if kind == "cost" else (_measured(problem, rows), ())
    except Exception as error:
        failure = _blame(problem, kind, rows, error)
        return Answer(perf_counter() - start, np.empty((0, 0)), failure=failure)
    return Answer(perf_counter() - start, values, reasons)


def _costed(problem: Problem, rows: np.ndarray) -> tuple[np.ndarray, Sequence[str]]:
    found = problem.cost(rows)
    values = np.empty((len(rows), len(problem.quantities)))
    for place, name in enumerate(problem.quantities):
        values[:, place] = found.values[name]
    if len(found) != len(rows):
        raise ValueError(f"{len(found)} reasons for {len(rows)} designs")
    return values, list(found.reasons)


def _measured(problem: Problem, rows: np.ndarray) -> np.ndarray:
    values = np.empty((len(rows), len(problem.measured)))
    for place, row in enumerate(rows):
        found = problem.measure(row)
        values[place] = [found[name] for name in problem.measured]
    return values


def _blame(problem: Problem, kind: Kind, rows: np.ndarray, error: Exception) -> Failure:
    """The failure, with the first row that fails alone."""
    for row in rows:
        try:
            _costed(problem, row[None]) if kind == "cost" else _measured(problem, row[None])
        except Exception as alone:
            return _failure(alone, row)
    return _failure(error, None)


def _failure(error: Exception, row: np.ndarray | None) -> Failure:
    parts = None
    if isinstance(error, UserError):
        parts = (error.asked, error.found, error.where, error.next_step)
    trace = "".join(traceback.format_exception(error))
    return Failure(f"{type(error).__name__}: {error}", trace, row, parts)


class Pace:
    """How many rows a task of one kind has: as many as take `TASK_SECONDS`, by what the last ones took."""

    def __init__(self, first: int) -> None:
        self._most = first
        self._seconds = 0.0

    def size(self, left: int, workers: int) -> int:
        """Rows of the next task, of `left` that are still to be handed out."""
        fair = ceil(left / (2 * workers)) if workers > 1 else left
        if self._seconds:
            least = ceil(TASK_SECONDS[0] / self._seconds)
            fair = max(fair, min(least, ceil(left / workers)))
        return max(1, min(fair, self._most, left, MOST_ROWS))

    def learn(self, rows: int, seconds: float) -> None:
        """A task of so many rows took so long. At most four times as many are tried next: the first
        task of a process may warm up, and calls have a price of their own."""
        self._seconds = max(seconds, 1e-9) / rows
        self._most = max(1, min(int(TASK_SECONDS[1] / self._seconds), 4 * rows))


@dataclass(frozen=True, eq=False)
class _Tried:
    task: Task
    losses: int = 0


class Crew:
    """Hands tasks to a pool, and hands them out again when workers die.

    A task that was lost twice is a suspect: it runs alone, so that a third loss proves it guilty. Then it
    is halved until one row is left, which the error names.
    """

    def __init__(self, pool: Pool, factory: ProblemFactory, problem: Problem) -> None:
        self.pool = pool
        self._factory = factory
        self._problem = problem
        self._packed: Packed | None = None
        self._waiting: deque[_Tried] = deque()
        self._suspects: deque[_Tried] = deque()
        self._running: dict[Future[Answer], _Tried] = {}
        self._error: Exception | None = None

    @property
    def busy(self) -> bool:
        """Whether anything that was handed out is not answered."""
        return bool(self._running or self._waiting or self._suspects or self._error)

    @property
    def free(self) -> bool:
        """Whether another task would be begun soon: one waits for each worker, so that none is idle."""
        if self._waiting or self._suspects:
            return False
        return len(self._running) < (1 if isinstance(self.pool, Serial) else 2 * self.pool.workers)

    def submit(self, task: Task) -> None:
        """Hand out a task."""
        self._begin(_Tried(task))

    def completed(self, *, at_once: bool = False) -> list[tuple[Task, Answer]]:
        """The answers that came, at least one if any is to come; with `at_once` those that are there.

        Raises
        ------
        UserError : a design that killed its worker `MOST_LOSSES` times, the last time alone; a Dask scheduler
            that went away.
        """
        answers: list[tuple[Task, Answer]] = []
        while not answers and self.busy:
            if self._error is not None:
                raise self._error
            self._hand_out_again()
            try:
                self._wait(answers, None if not at_once else 0)
            except UserError as error:
                self._error = error  # once the answers beside it are in good hands
            if at_once:
                break
        return answers

    def close(self) -> None:
        """End all work at once."""
        self._running.clear()
        self.pool.close()

    def _wait(self, answers: list[tuple[Task, Answer]], seconds: float | None) -> None:
        """Add the answers that come next, and plan again what is lost."""
        done, _ = wait(self._running, seconds, FIRST_COMPLETED)
        lost = [tried for future in done if (tried := self._collect(future, answers)) is not None]
        if not lost:
            return
        if self.pool.shares_fate:
            done, _ = wait(self._running)
            lost += [tried for future in done if (tried := self._collect(future, answers)) is not None]
        alone = len(lost) == 1 and not self._running and lost[0].losses + 1 >= MOST_LOSSES
        self.pool.renew()
        for tried in lost:
            self._lost(tried, alone)

    def _begin(self, tried: _Tried) -> None:
        task = tried.task
        if isinstance(self.pool, Serial):
            future = self.pool.submit(work_with, self._problem, task.kind, task.rows)
        else:
            if self._packed is None:
                self._packed = Packed.of(self._factory)
            future = self.pool.submit(work, self._packed, task.kind, task.rows)
        self._running[future] = tried

    def _hand_out_again(self) -> None:
        """Begin what was lost: all of what was lost once, then suspects one by one."""
        while self._waiting:
            self._begin(self._waiting.popleft())
        if self._suspects and not self._running:
            self._begin(self._suspects.popleft())

    def _collect(self, future: Future[Answer], answers: list[tuple[Task, Answer]]) -> _Tried | None:
        """Put an answer to the others, or return what was lost."""
        tried = self._running.pop(future)
        try:
            answers.append((tried.task, future.result()))
        except self.pool.lost:
            return tried
        except (CancelledError, OSError) as error:  # what a problem raises is in an answer
            raise scheduler_gone() from error
        return None

    def _lost(self, tried: _Tried, alone: bool) -> None:
        again = replace(tried, losses=tried.losses + self.pool.deaths)
        if not alone:
            (self._waiting if again.losses < MOST_LOSSES - 1 else self._suspects).append(again)
            return
        rows = len(again.task.rows)
        if rows == 1:
            raise _deadly(self._problem, again.task, again.losses)
        for part in (slice(None, rows // 2), slice(rows // 2, None)):
            task = replace(again.task, rows=again.task.rows[part], places=again.task.places[part])
            self._suspects.append(replace(again, task=task, losses=MOST_LOSSES - 1))


def raise_failure(failure: Failure, space: Space) -> None:
    """Raise what a problem raised in a worker, with the point named."""
    if failure.parts is not None:
        asked, found, where, next_step = failure.parts
        raise UserError(asked=asked, found=found, where=where, next_step=next_step)
    point = "several points together" if failure.row is None else _point(space, failure.row)
    raise EvaluationError(f"evaluating {point} raised {failure.error}\n{failure.trace}")


def _deadly(problem: Problem, task: Task, losses: int) -> UserError:
    """A design whose evaluation ends the process that it runs in, and whose code that may be."""
    told = problem.space.decode(task.rows[0])
    if task.kind == "measure":  # of the other knobs the row says nothing
        names = {problem.space.names[place] for place in problem.network}
        told = {name: value for name, value in told.items() if name in names}
    point = ", ".join(f"{name} = {value}" for name, value in told.items()) or "the network, which is fixed"
    code = str(problem.code(task.kind)) if hasattr(problem, "code") else ""
    alone = (
        f"call {code} with this design by itself" if code else "give each worker more memory (fewer --jobs)"
    )
    return UserError(
        asked=f"to {task.kind} {point}" + (f", by {code}" if code else ""),
        found=f"it killed its worker {losses} times, the last time with nothing else running: memory that "
        "ran out, or a crash in compiled code",
        where=code or "a worker process of the search",
        next_step=f"{alone}, or leave the design out; then --resume: all that was finished is in the store",
    )


def _point(space: Space, row: np.ndarray) -> str:
    return ", ".join(f"{name} = {value}" for name, value in space.decode(row).items())
