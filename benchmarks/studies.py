"""Real studies: engines against each other, and joint search against one side after the other, in one run.

    python -m benchmarks.studies [--seeds N] [--studies NAME ...] [--folder FOLDER] [--json]

Each study is a file of examples/, its objectives, limits and scales those of the file. First every engine
gets the same number of evaluations, with several seeds. Then, on the study that varies network and hardware,
the same budget is spent in three ways: on both at once; on the hardware with the network at its fullest, then
on the network with the hardware of that front's knee; on the network with the design as it is, then on the
hardware with the network of that front's knee. Of the latter two the front over both halves counts.

The knee is the design whose scaled objectives have the least sum. A network is measured once, however many
runs ask for it. What is told is means with 95 % confidence intervals over seeds (Student's t).
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.engines import Curve, Entry, Task, compare, follow, front_volume, interval, summary
from siliform.dse.codesign import CoDesign
from siliform.dse.engines import Answers, engine_named
from siliform.dse.objectives import costs
from siliform.dse.pareto import nondominated
from siliform.dse.space import Space
from siliform.dse.study import Study
from siliform.dse.studyfile import read_study
from siliform.studies import Source

EXAMPLES = Path(__file__).parents[1] / "examples"
#: Studies, and evaluations of each engine on them.
BUDGETS = {"bert-hardware": 2000, "vit-joint": 600, "vit-policy": 600}
ENGINES = ("random", "nsga2", "predictor")
JOINT = "vit-joint"


@dataclass(frozen=True, eq=False)
class Judged:
    """A study's problem as the engines see it, every network measured once."""

    study: Study
    problem: CoDesign
    measured: dict[bytes, dict[str, float]]

    def answer(self, rows: np.ndarray) -> Answers:
        """What an engine is told of rows."""
        found = self.problem.cost(rows)
        values = dict(found.values)
        able = np.array([not reason for reason in found.reasons])
        limits = [c for c in self.study.constraints if set(c.names) <= set(values)]
        violations = sum((c.violation(values) for c in limits), np.zeros(len(rows)))
        violations = np.where(able, violations, np.inf)
        if self.problem.measured:
            for name in self.problem.measured:
                values[name] = np.full(len(rows), np.nan)
            for place in np.flatnonzero(violations == 0):
                for name, value in self.network(rows[place]).items():
                    values[name][place] = value
        told = costs(self.study.objectives, values)
        violations = np.where(np.isfinite(told).all(axis=1) | (violations > 0), violations, np.inf)
        return Answers(told, violations)

    def network(self, row: np.ndarray) -> dict[str, float]:
        """What was measured of a row's network."""
        key = row[list(self.problem.network)].tobytes()
        if key not in self.measured:
            self.measured[key] = dict(self.problem.measure(row))
        return self.measured[key]

    @property
    def task(self) -> Task:
        """For `benchmarks.engines.compare`."""
        return Task(self.study.name, self.problem.space, self.study.objectives, self.answer)


def judged(name: str, folder: Path) -> Judged:
    """A study of examples/, its network trained."""
    file = read_study(EXAMPLES / f"{name}.toml")
    (folder / name).mkdir(parents=True, exist_ok=True)
    problem = Source(file, folder / name).made(lambda _what, _done, _of: None)
    return Judged(file.study, problem, {})


# -- one side after the other ------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Part:
    """The points of a space that agree with one of them in some knobs: a space of the other knobs."""

    whole: Task
    row: np.ndarray
    free: tuple[int, ...]

    @property
    def space(self) -> Space:
        """The knobs that are free; those that depend on a fixed one are there or not, for good."""
        known = self.whole.space.decode(self.row)
        kept = []
        for position in self.free:
            knob = self.whole.space.knobs[position]
            if knob.when is not None and self.whole.space.positions[knob.when.knob] not in self.free:
                if known.get(knob.when.knob) not in knob.when.values:
                    continue
                knob = replace(knob, when=None)
            kept.append(knob)
        return Space(tuple(kept))

    def rows(self, space: Space, rows: np.ndarray) -> np.ndarray:
        """Rows of the whole space."""
        full = np.repeat(self.row[None, :], len(rows), axis=0)
        for column, name in enumerate(space.names):
            full[:, self.whole.space.positions[name]] = rows[:, column]
        return self.whole.space.canonical(full)


def searched(part: Part, engine: str, seed: int, budget: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the whole space that an engine asked for in a part of it, and their costs (NaN: infeasible)."""
    space = part.space
    asks = engine_named(engine, space, len(part.whole.objectives), seed)
    rows: list[np.ndarray] = []
    told: list[np.ndarray] = []
    while sum(map(len, rows)) < budget:
        asked = asks.ask()[: budget - sum(map(len, rows))]
        if not len(asked):
            break
        full = part.rows(space, asked)
        answers = part.whole.answer(full)
        rows.append(full)
        told.append(np.where(answers.feasible[:, None], answers.costs, np.nan))
        asks.tell(asked, answers)
    return np.concatenate(rows), np.concatenate(told)


def knee(task: Task, rows: np.ndarray, told: np.ndarray) -> np.ndarray:
    """The design of the front whose scaled objectives have the least sum."""
    kept = nondominated(told)
    scaled = [o.scaled(o.cost(c)) for o, c in zip(task.objectives, told[kept].T, strict=True)]
    found: np.ndarray = rows[kept][np.argmin(np.sum(scaled, axis=0))]
    return found


def one_after_the_other(case: Judged, first: str, engine: str, seed: int, budget: int) -> float:
    """The hypervolume of half a budget on one side ("hardware" or "network"), then half on the other."""
    task = case.task
    network = case.problem.network
    hardware = tuple(p for p in range(len(task.space.knobs)) if p not in network)
    base = case.problem.baseline
    half = budget // 2
    sides = {"hardware": hardware, "network": network}
    rows, told = searched(Part(task, base, sides[first]), engine, seed, half)
    second = "network" if first == "hardware" else "hardware"
    chosen = knee(task, rows, told)
    _, more = searched(Part(task, chosen, sides[second]), engine, seed, budget - half)
    return front_volume(np.concatenate([told, more]), task.objectives)


def sides(case: Judged, engine: str, seeds: Sequence[int], budget: int) -> list[dict[str, Any]]:
    """Mean hypervolumes of the three ways to spend a budget."""
    ways: dict[str, Callable[[int], float]] = {
        "joint": lambda seed: float(follow(case.task, Entry(engine, {}), seed, budget).hypervolumes[-1]),
        "hardware, then network": lambda seed: one_after_the_other(case, "hardware", engine, seed, budget),
        "network, then hardware": lambda seed: one_after_the_other(case, "network", engine, seed, budget),
    }
    found = []
    for way, run in ways.items():
        mean, half = interval(np.array([run(seed) for seed in seeds]))
        found.append(
            {"way": way, "engine": engine, "evaluations": budget, "hypervolume": mean, "interval": half}
        )
    return found


def printed(rows: Sequence[dict[str, Any]], ways: Sequence[dict[str, Any]]) -> str:
    """Both tables in Markdown."""
    lines = ["| study | engine | evaluations | hypervolume | NSGA-II's last at |", "|---|---|---|---|---|"]
    for row in rows:
        reached = "never" if row["reached_nsga2"] is None else f"{row['reached_nsga2']:,}"
        lines.append(
            f"| {row['task']} | {row['engine']} | {row['evaluations']:,} | {row['hypervolume']:.4f} ± "
            f"{row['interval']:.4f} | {reached} |"
        )
    if ways:
        lines += ["", "| budget spent on | engine | evaluations | hypervolume |", "|---|---|---|---|"]
        lines += [
            f"| {w['way']} | {w['engine']} | {w['evaluations']:,} | {w['hypervolume']:.4f} ± "
            f"{w['interval']:.4f} |"
            for w in ways
        ]
    return "\n".join(lines)


def main() -> None:
    """Run the studies and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--studies", nargs="+", choices=tuple(BUDGETS), default=tuple(BUDGETS))
    parser.add_argument("--folder", type=Path, default=Path("out/studies"), help="of what networks learnt")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    begun = time.perf_counter()
    curves: list[Curve] = []
    ways: list[dict[str, Any]] = []
    for name in given.studies:
        case = judged(name, given.folder)
        entries = [Entry(engine, {}) for engine in ENGINES]
        curves += compare([case.task], entries, range(given.seeds), BUDGETS[name])
        if name == JOINT:
            ways = sides(case, "predictor", range(given.seeds), BUDGETS[name])
    found = summary(curves)
    if given.json:
        print(json.dumps({"rows": found, "ways": ways, "seconds": time.perf_counter() - begun}, indent=1))
        return
    print(printed(found, ways))
    print(f"\n{given.seeds} seeds, {time.perf_counter() - begun:.0f} s.")


if __name__ == "__main__":
    main()
