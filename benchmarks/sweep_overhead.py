"""What a sweep costs beside its evaluations: ``python -m benchmarks.sweep_overhead [--json]``.

One run tells, side by side:

- rows a second into the store, a million designs of fifteen knobs and twelve quantities in random order, with
  a commit each 10,000 and each 1,000, by processor time and by the wall, and seconds to a DataFrame of all;
- for each engine that asks cheaply, what engine, store and news add to evaluations that take 1 ms each, in
  this process, as a share of the evaluations' own time (processor time, so that others on the machine count
  little; an evaluation waits by computing);
- evaluations a second on one and on two worker processes, for evaluations of 1 and of 10 ms, without the
  start of the processes. They wait instead of computing, so that a machine with other work to do tells
  what the study costs and not what its neighbours leave; `--compute` has them compute. Beside them as many
  evaluations without a study, on one and on two processes: what there is to be had.

Exits with 1 where an overhead is above 20 % or the store takes fewer than 100,000 rows/s.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from siliform.dse.objectives import Objective
from siliform.dse.outcome import Progress
from siliform.dse.problem import Results
from siliform.dse.runner import run_study
from siliform.dse.space import Space
from siliform.dse.store import Records, Store, Writer
from siliform.dse.study import Budget, Study
from siliform.graph_ir.knobs import integer

SPACE = Space(tuple(integer(f"knob{n}", 0, 15) for n in range(15)))
QUANTITIES = tuple(f"quantity{n}" for n in range(12))
MOST_OVERHEAD = 0.20
LEAST_ROWS_PER_S = 100_000


@dataclass(frozen=True)
class Busy:
    """A problem that computes, or waits, for so long per design."""

    seconds: float
    computes: bool = True
    space = SPACE
    quantities = QUANTITIES
    measured = ()
    network = ()

    def cost(self, rows: np.ndarray) -> Results:
        """Three quantities that oppose each other, and nine more."""
        (compute if self.computes else time.sleep)(self.seconds * len(rows))
        share = rows / 15
        first = share[:, :10].mean(axis=1) + 0.1
        second = (1 - share[:, 5:15]).mean(axis=1) + 0.1
        third = np.abs(share[:, 10:] - 0.5).mean(axis=1) + 0.1
        given = [first, second, third, *([first * second] * 9)]
        return Results(dict(zip(QUANTITIES, given, strict=True)), [""] * len(rows))

    def measure(self, row: np.ndarray) -> Mapping[str, float]:
        """Nothing."""
        return {}


@dataclass(frozen=True)
class Make:
    """Makes the problem in a worker."""

    seconds: float
    computes: bool

    def __call__(self) -> Busy:
        return Busy(self.seconds, self.computes)


class News:
    """A listener as cheap as a line on a terminal."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def on_round(self, progress: Progress) -> None:
        """Keep one line."""
        self.lines = [f"{progress.evaluations} {progress.hypervolume:.4f} {progress.best}"]


def compute(seconds: float) -> None:
    """Use the processor for so long, by its own clock."""
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


def clocks() -> np.ndarray:
    """Seconds of the wall clock and of this process's processor time."""
    return np.array([time.perf_counter(), time.process_time()])


def study(engine: str, evaluations: int) -> Study:
    """A study of three objectives."""
    return Study(
        "overhead",
        tuple(Objective(name) for name in QUANTITIES[:3]),
        engine=engine,
        budget=Budget(evaluations=evaluations),
    )


def store_speed(rows_each: int, count: int) -> dict[str, float]:
    """Rows a second in, keys and the index at the end included, and seconds to a DataFrame."""
    random = np.random.default_rng(0)
    values = random.random((rows_each, len(QUANTITIES)))
    records = Records(values, np.zeros(rows_each), [""] * rows_each)
    with tempfile.TemporaryDirectory() as folder:
        spent = np.zeros(2)
        store = Writer.open(folder, SPACE, QUANTITIES)
        for number in range(count // rows_each):
            rows = SPACE.sample(rows_each, random)
            start = clocks()
            store.add(number, np.arange(rows_each), SPACE.keys(rows), records)
            spent += clocks() - start
        start = clocks()
        store.close()
        spent += clocks() - start
        start = clocks()
        with Store.read(folder) as again:
            assert len(again.to_frame()) == count
        read = clocks() - start
    return {
        "commit_rows": rows_each,
        "rows_per_s": count / spent[1],
        "rows_per_s_wall": count / spent[0],
        "frame_s": float(read[1]),
        "frame_s_wall": float(read[0]),
    }


def overhead(engine: str, evaluations: int) -> dict[str, float | str]:
    """Processor time of a study beyond that of its evaluations, as a share of theirs, at 1 ms each."""
    run(engine, 50, 0.0, 1)  # imports are not a study's
    wall, cpu = run(engine, evaluations, 1e-3, 1)
    spent = evaluations * 1e-3
    return {
        "engine": engine,
        "evaluations": evaluations,
        "overhead": cpu / spent - 1,
        "overhead_wall": wall / spent - 1,
    }


def run(
    engine: str, evaluations: int, seconds: float, jobs: int, computes: bool = True
) -> tuple[float, float]:
    """Wall clock and processor seconds of this process for a study."""
    with tempfile.TemporaryDirectory() as folder:
        wall, cpu = time.perf_counter(), time.process_time()
        run_study(study(engine, evaluations), Make(seconds, computes), folder, jobs=jobs, listener=News())
        return time.perf_counter() - wall, time.process_time() - cpu


def scaling(engine: str, milliseconds: float, evaluations: int, computes: bool) -> dict[str, Any]:
    """Evaluations a second beyond the start, on one and two processes, against bare ones beside them."""
    told: dict[str, Any] = {"engine": engine, "ms": milliseconds}
    for jobs in (1, 2):
        bare = bare_rate(milliseconds / 1e3, evaluations, jobs, computes)
        # What starting processes takes is not what a longer study would see again.
        few, _ = run(engine, 10 * jobs, milliseconds / 1e3, jobs, computes)
        wall, _ = run(engine, evaluations, milliseconds / 1e3, jobs, computes)
        told[f"per_s_{jobs}"] = (evaluations - 10 * jobs) / (wall - few)
        told[f"bare_per_s_{jobs}"] = bare
    told["speedup"] = told["per_s_2"] / told["per_s_1"]
    told["bare_speedup"] = told["bare_per_s_2"] / told["bare_per_s_1"]
    return told


def bare_rate(seconds: float, evaluations: int, jobs: int, computes: bool) -> float:
    """Evaluations a second of so many processes that do nothing else, without a study."""
    import loky

    work = compute if computes else time.sleep
    with loky.ProcessPoolExecutor(jobs) as pool:
        list(pool.map(work, [0.2] * jobs))
        start = time.perf_counter()
        list(pool.map(work, [0.1] * round(seconds * evaluations / 0.1)))
        return evaluations / (time.perf_counter() - start)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_000_000, help="designs put into the store")
    parser.add_argument("--evaluations", type=int, default=4000, help="of 1 ms each; a tenth of 10 ms")
    parser.add_argument("--compute", action="store_true", help="scale evaluations that compute")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    asked = parser.parse_args()
    told = {
        "store": [store_speed(each, asked.rows) for each in (10_000, 1_000)],
        "overhead_at_1_ms": [overhead(engine, asked.evaluations) for engine in ("random", "nsga2")],
        "scaling": [
            scaling(engine, ms, int(asked.evaluations / ms), asked.compute)
            for engine in ("random", "nsga2")
            for ms in (1.0, 10.0)
        ],
    }
    print(json.dumps(told) if asked.json else table(told))
    good = all(each["rows_per_s"] >= LEAST_ROWS_PER_S for each in told["store"])
    return 0 if good and all(each["overhead"] <= MOST_OVERHEAD for each in told["overhead_at_1_ms"]) else 1


def table(told: Mapping[str, Any]) -> str:
    """As lines to read."""
    lines = ["store, designs in random order:"]
    for each in told["store"]:
        lines.append(
            f"  {each['commit_rows']:6,} rows a commit: {each['rows_per_s']:9,.0f} rows/s in by processor "
            f"time, {each['rows_per_s_wall']:9,.0f} by the wall; to a DataFrame in {each['frame_s']:.1f} s "
            f"({each['frame_s_wall']:.1f})"
        )
    lines.append("engine, store and news on top of evaluations of 1 ms:")
    for each in told["overhead_at_1_ms"]:
        lines.append(
            f"  {each['engine']:8} {each['overhead']:6.1%} of processor time ({each['overhead_wall']:.1%} by "
            f"the wall) over {each['evaluations']:,} evaluations"
        )
    lines.append("evaluations/s on one and two processes (bare: without a study):")
    for each in told["scaling"]:
        lines.append(
            f"  {each['engine']:8} {each['ms']:4.0f} ms: {each['per_s_1']:6.1f} -> {each['per_s_2']:6.1f}, "
            f"{each['speedup']:.2f} times; bare {each['bare_per_s_1']:6.1f} -> {each['bare_per_s_2']:6.1f}, "
            f"{each['bare_speedup']:.2f} times"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
