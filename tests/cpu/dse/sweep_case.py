"""A cheap problem whose every evaluation leaves a line in a file, for tests of what runs studies."""

from __future__ import annotations

import math
import os
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from siliform.dse.engines.base import Answers, Engine
from siliform.dse.objectives import Constraint, Objective
from siliform.dse.outcome import Outcome, Progress
from siliform.dse.problem import Results
from siliform.dse.runner import run_study
from siliform.dse.space import Space
from siliform.dse.study import Budget, Study
from siliform.graph_ir.errors import UserError
from siliform.graph_ir.knobs import When, categorical, integer, ordered

SPACE = Space(
    (
        integer("depth", 1, 8),
        categorical("attention", ("softmax", "hash")),
        ordered("hash_bits", (8, 16, 32), when=When("attention", ("hash",))),
        integer("rows", 1, 64),
        integer("columns", 1, 64),
        categorical("double_buffered", (False, True), when=When("attention", ("softmax",))),
    )
)


@dataclass(frozen=True)
class Toy:
    """Latency and area of closed form, accuracy measured.

    `log` gets a line for each evaluation, "cost KEY" or "measure KEY". `trouble` names a kind of it: an
    exception, a UserError or a killed worker at 33 rows, or no latency at 34 rows.
    """

    log: Path | None = None
    seconds: float = 0.0
    measures: bool = True
    trouble: str = ""
    space = SPACE
    quantities = ("latency_s", "area_mm2")
    network = (0, 1, 2)

    @property
    def measured(self) -> tuple[str, ...]:
        return ("accuracy",) if self.measures else ()

    def cost(self, rows: np.ndarray) -> Results:
        time.sleep(self.seconds * len(rows))
        depth, size = rows[:, 0] + 1.0, (rows[:, 3] + 1.0) * (rows[:, 4] + 1.0)
        latency = depth / size * np.where(rows[:, 5] == 1, 0.8, 1.0)
        self._stumble(rows)
        if self.trouble == "nan":
            latency[rows[:, 3] == 33] = np.nan
        self._note("cost", rows)
        reasons = ["no such array" if row[3] == 7 else "" for row in rows]
        return Results({"latency_s": latency, "area_mm2": size * 0.01}, reasons)

    def _stumble(self, rows: np.ndarray) -> None:
        if self.trouble in ("", "nan") or not (rows[:, 3] == 32).any():
            return
        if self.trouble == "raise":
            raise ZeroDivisionError("no rows left")
        if self.trouble == "user":
            raise UserError(asked="33 rows", found="32", where="here", next_step="ask for less")
        os.kill(os.getpid(), signal.SIGKILL)

    def measure(self, row: np.ndarray) -> Mapping[str, float]:
        time.sleep(self.seconds)
        self._note("measure", row[None])
        return {"accuracy": 1.0 - 1.0 / (2.0 + row[0]) - 0.05 * row[1] + 0.01 * row[2]}

    def _note(self, kind: str, rows: np.ndarray) -> None:
        if self.log is None:
            return
        text = "".join(f"{kind} {key.hex()}\n" for key in self.space.keys(rows))
        noted = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.write(noted, text.encode())
        os.close(noted)


@dataclass(frozen=True)
class Making:
    """A factory that pickles."""

    toy: Toy

    def __call__(self) -> Toy:
        return self.toy


class Climber(Engine):
    """Random points, half of them near the best that it was told of: what it asks depends on the answers."""

    name = "climber"

    def __init__(self, seed: int = 0, points: int = 60, objectives: int = 3) -> None:
        super().__init__(SPACE, objectives, seed=seed)
        self.points = points
        self.seen: set[bytes] = set()
        self.best = np.zeros((0, len(SPACE.knobs)), np.int64)
        self.told: list[Answers] = []

    def ask(self) -> np.ndarray:
        fresh: list[np.ndarray] = []
        for _ in range(20 * self.points):
            row = SPACE.sample(1, self.random)
            if len(self.best) and self.random.random() < 0.5:
                near = self.best[self.random.integers(len(self.best))]
                row = SPACE.canonical(np.where(self.random.random(near.shape) < 0.5, near, row[0])[None])
            if (key := SPACE.keys(row)[0]) not in self.seen:
                self.seen.add(key)
                fresh.append(row[0])
            if len(fresh) == self.points:
                break
        return np.array(fresh, np.int64).reshape(-1, len(SPACE.knobs))

    def tell(self, rows: np.ndarray, answers: Answers) -> None:
        self.told.append(answers)
        kept = np.flatnonzero(answers.feasible)
        if len(kept):
            self.best = rows[kept[np.argsort(answers.costs[kept].sum(axis=1), kind="stable")[:10]]]


STUDY = Study(
    "toy",
    (Objective("latency_s", log=True), Objective("area_mm2"), Objective("accuracy", maximise=True)),
    (Constraint("area_mm2", at_most=10), Constraint("accuracy", at_least=0.6)),
    engine="climber",
    budget=Budget(evaluations=600),
    subject={"network": "toy"},
)
HARDWARE_ONLY = replace(STUDY, objectives=STUDY.objectives[:2], constraints=STUDY.constraints[:1])


class Reporter:
    """Keeps, and writes to a file if told to, how many evaluations were reported."""

    def __init__(self, file: Path | None = None) -> None:
        self.file = file
        self.told: list[Progress] = []

    def on_round(self, progress: Progress) -> None:
        self.told.append(progress)
        if self.file is not None:
            with self.file.open("a") as out:
                out.write(f"{progress.evaluations}\n")


def same(outcome: Outcome) -> dict[str, object]:
    """An outcome without what differs from run to run."""
    told = outcome.to_json()
    assert math.isfinite(told["hypervolume"])
    return {name: value for name, value in told.items() if name not in ("seconds", "store")}


def main() -> None:
    """``sweep_case.py FOLDER JOBS SECONDS COUNT``: the study, to be killed from outside and resumed."""
    folder, jobs, seconds, count = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])
    run_study(
        replace(STUDY, budget=Budget(evaluations=count)),
        Making(Toy(folder / "log", seconds)),
        folder,
        jobs=jobs,
        resume=True,
        engine=Climber(),
        listener=Reporter(folder / "reported"),
    )
    (folder / "ended").touch()


if __name__ == "__main__":
    main()
