"""How much hypervolume each engine reaches in how many evaluations, over several seeds, in one run.

    python -m benchmarks.engines [--seeds N] [--budget N] [--predictor N] [--gp N] [--sample N] [--json]

The problem is the made-up one of `dse.testing`: twelve mixed knobs, one of them conditional, three
objectives, one constraint. It is judged twice, with latency and energy on logarithmic and on linear scales.
The yardstick is the hypervolume of a random sample of millions of points. Told are means with 95 % confidence
intervals (Student's t over seeds), the evaluations after which the mean reached the final mean of NSGA-II,
and CPU time per evaluation of the engine alone, libraries already loaded.

`compare` takes any problem: rows in, answers out.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from siliform.dse.engines import Answers, engine_named
from siliform.dse.objectives import Objective
from siliform.dse.pareto import hypervolume, nondominated
from siliform.dse.space import Space
from siliform.dse.testing import Example

#: Hypervolumes are noted at so many counts of evaluations, evenly spaced up to the budget.
NOTED = 40


@dataclass(frozen=True, eq=False)
class Task:
    """A problem to compare engines on; `objectives` have their ideals and references.

    `answer` maps canonical rows, int64 [points, knobs], to what an engine is told of them. It must be
    deterministic. `start`: rows that every engine asks first.
    """

    name: str
    space: Space
    objectives: tuple[Objective, ...]
    answer: Callable[[np.ndarray], Answers]
    start: np.ndarray | None = None


@dataclass(frozen=True)
class Entry:
    """An engine in the comparison: its name, its options, and a budget of its own if it is a slow one."""

    engine: str
    options: Mapping[str, Any]
    budget: int | None = None


@dataclass(frozen=True, eq=False)
class Curve:
    """How far one engine came on one task with one seed.

    Attributes
    ----------
    evaluations : int64 [n], where hypervolumes were noted.
    hypervolumes : float64 [n].
    cpu_seconds : of the engine, per evaluation.
    """

    task: str
    engine: str
    seed: int
    evaluations: np.ndarray
    hypervolumes: np.ndarray
    cpu_seconds: float


def follow(task: Task, entry: Entry, seed: int, budget: int) -> Curve:
    """Run one engine on one task."""
    budget = entry.budget or budget
    marks = np.unique(np.linspace(budget / NOTED, budget, NOTED).astype(int))
    engine = engine_named(
        entry.engine, task.space, len(task.objectives), seed, entry.options, start=task.start
    )
    costs: list[np.ndarray] = []  # of each evaluation in turn; NaN where it is not feasible
    count, spent = 0, 0.0
    while count < budget:
        begun = time.process_time()
        rows = engine.ask()[: budget - count]
        spent += time.process_time() - begun
        if not len(rows):
            break
        answers = task.answer(rows)
        costs.append(np.where(answers.feasible[:, None], answers.costs, np.nan))
        count += len(rows)
        begun = time.process_time()
        engine.tell(rows, answers)
        spent += time.process_time() - begun
    told = np.concatenate(costs)
    noted = [front_volume(told[:mark], task.objectives) for mark in marks]
    return Curve(task.name, entry.engine, seed, marks, np.array(noted), spent / count)


def front_volume(costs: np.ndarray, objectives: Sequence[Objective]) -> float:
    """The hypervolume of the feasible ones; rows of NaN are not."""
    return hypervolume(costs[nondominated(costs)], objectives)


def compare(
    tasks: Iterable[Task], entries: Sequence[Entry], seeds: Sequence[int], budget: int
) -> list[Curve]:
    """Every engine on every task with every seed, in turn."""
    return [follow(task, entry, seed, budget) for task in tasks for entry in entries for seed in seeds]


def interval(values: np.ndarray) -> tuple[float, float]:
    """The mean of some runs and half the width of its 95 % confidence interval, by Student's t."""
    from scipy.stats import t

    if len(values) < 2:
        return float(values.mean()), float("nan")
    half = t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return float(values.mean()), float(half)


def summary(curves: Sequence[Curve], against: str = "nsga2") -> list[dict[str, Any]]:
    """One entry per task and engine: final hypervolume, and when the final mean of `against` was reached."""
    found = []
    for task, engine in dict.fromkeys((curve.task, curve.engine) for curve in curves):
        runs = [c for c in curves if (c.task, c.engine) == (task, engine)]
        rivals = [c.hypervolumes[-1] for c in curves if (c.task, c.engine) == (task, against)]
        mean, half = interval(np.array([run.hypervolumes[-1] for run in runs]))
        means = np.mean([run.hypervolumes for run in runs], axis=0)
        reached = np.flatnonzero(means >= np.mean(rivals)) if rivals else np.zeros(0, int)
        found.append(
            {
                "task": task,
                "engine": engine,
                "seeds": len(runs),
                "evaluations": int(runs[0].evaluations[-1]),
                "hypervolume": mean,
                "interval": half,
                f"reached_{against}": int(runs[0].evaluations[reached[0]]) if len(reached) else None,
                "cpu_seconds_per_evaluation": float(np.mean([run.cpu_seconds for run in runs])),
            }
        )
    return found


def sampled(task: Task, count: int, seed: int = 12345) -> float:
    """The hypervolume of so many random points."""
    random = np.random.default_rng(seed)
    front = np.zeros((0, len(task.objectives)))
    for left in range(count, 0, -250_000):
        answers = task.answer(task.space.sample(min(left, 250_000), random))
        new = answers.costs[answers.feasible]
        front = np.concatenate([front, new[nondominated(new)]])
        front = front[nondominated(front)]
    return hypervolume(front, task.objectives)


def examples() -> list[Task]:
    """The made-up problem on two kinds of scale."""
    example = Example()
    latency, energy, error = example.objectives
    linear = (replace(latency, log=False, reference=1e6), replace(energy, log=False, reference=5e7), error)
    return [
        Task("logarithmic", example.space, example.objectives, example.answer),
        Task("linear", example.space, linear, example.answer),
    ]


def table(found: Sequence[Mapping[str, Any]], yardsticks: Mapping[str, float]) -> str:
    """The summary in Markdown."""
    lines = [
        "| scales | engine | evaluations | hypervolume | of sample's | NSGA-II's last at | CPU each |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in found:
        share = row["hypervolume"] / yardsticks[row["task"]]
        seconds = row["cpu_seconds_per_evaluation"]
        unit, scale = ("µs", 1e6) if seconds < 1e-3 else ("ms", 1e3) if seconds < 1 else ("s", 1)
        reached = "never" if row["reached_nsga2"] is None else f"{row['reached_nsga2']:,}"
        lines.append(
            f"| {row['task']} | {row['engine']} | {row['evaluations']:,} | {row['hypervolume']:.3f} ± "
            f"{row['interval']:.3f} | {share:.1%} | {reached} | {seconds * scale:.3g} {unit} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Compare the engines and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--budget", type=int, default=2000)
    parser.add_argument("--sample", type=int, default=4_000_000, help="points of the yardstick")
    parser.add_argument("--gp", type=int, default=0, help="evaluations of the engine gp; 0 leaves it out")
    parser.add_argument("--predictor", type=int, default=1000, help="evaluations of the engine predictor")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    entries = [Entry(name, {}) for name in ("random", "nsga2", "nsga3")]
    entries.append(Entry("predictor", {}, given.predictor))
    if given.gp:
        entries.append(Entry("gp", {}, given.gp))
    tasks = examples()
    for entry in entries:  # libraries load before anything is timed
        follow(tasks[0], replace(entry, budget=None), 0, 120 if entry.engine != "gp" else 11)
    found = summary(compare(tasks, entries, range(given.seeds), given.budget))
    yardsticks = {task.name: sampled(task, given.sample) for task in tasks}
    if given.json:
        print(json.dumps({"rows": found, "sample": given.sample, "sample_hypervolume": yardsticks}, indent=1))
        return
    print(table(found, yardsticks))
    told = ", ".join(f"{volume:.3f} ({name})" for name, volume in yardsticks.items())
    print(f"\nA random sample of {given.sample:,} points: {told}.")


if __name__ == "__main__":
    main()
