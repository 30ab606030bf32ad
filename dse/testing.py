"""What every engine must do, as tests to inherit; and a made-up co-design problem to compare engines on.

Inherit `EngineConformance` in a test file, say how to make the engine, and pytest runs every test on it::

    class TestMine(EngineConformance):
        def engine(self, space, objectives, *, seed=0, start=None):
            return Mine(space, objectives, seed=seed, start=start)
"""

from __future__ import annotations

import importlib.util
import inspect
import os
import subprocess
import sys
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import numpy as np

from siliform.dse.engines.base import Answers, Engine
from siliform.dse.objectives import Constraint, Objective, costs
from siliform.dse.space import Space
from siliform.graph_ir.knobs import When, categorical, integer, ordered, per_layer

#: Answers some rows.
Answering = Callable[[np.ndarray], Answers]

TOKENS = 128  # of the example's network: assumption

_DEPTH = integer("depth", 1, 4)
#: Ordered, categorical and per-layer knobs, and a condition on a condition; 1,080 points.
MIXED = Space(
    (
        _DEPTH,
        *per_layer(categorical("attention", ("softmax", "hash")), _DEPTH),
        categorical("unit", ("array", "tree", "none")),
        ordered("rows", (4, 8, 16, 32, 64, 128), when=When("unit", ("array",))),
        categorical("flow", ("weight", "output"), when=When("unit", ("array", "tree"))),
        ordered("buffer", (1, 2, 4, 8), when=When("flow", ("output",))),
        integer("fixed", 3, 3),
    )
)
#: 18 points.
SMALL = Space(
    (
        integer("rows", 1, 4),
        categorical("flow", ("weight", "output")),
        ordered("bits", (4, 8), when=When("flow", ("output",))),
        categorical("kind", ("a",)),
        ordered("more", (1, 2, 3), when=When("rows", (4,))),
    )
)


class Example:
    """Twelve knobs of several kinds, one of them conditional; three objectives; one constraint.

    The formulas have the shapes of real ones (ragged tiles, a roofline, reuse in a buffer, accuracy that
    saturates), but nothing is real: their constants are chosen so that the objectives conflict.
    """

    space = Space(
        (
            integer("array.rows", 4, 64, 4),
            integer("array.columns", 4, 64, 4),
            categorical("array.dataflow", ("weight", "output", "input")),
            ordered("buffer_kib", [2**n for n in range(4, 13)]),
            ordered("bandwidth", [2**n for n in range(9)]),
            categorical("double_buffered", (False, True)),
            integer("depth", 2, 12),
            integer("width", 64, 512, 32),
            categorical("attention", ("softmax", "linear", "hash")),
            integer("hash_bits", 4, 32, 4, when=When("attention", ("hash",))),
            ordered("weight_bits", (2, 3, 4, 6, 8)),
            ordered("activation_bits", (4, 6, 8, 16)),
        )
    )
    objectives = (
        Objective("latency", ideal=1e4, reference=1e7, log=True),
        Objective("energy", ideal=2e6, reference=1e9, log=True),
        Objective("error", ideal=0.1, reference=0.6),
    )
    constraint = Constraint("area", at_most=2500)

    def values(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """Latency, energy, error and area of canonical rows, float64 [designs] each."""
        at = {name: self.space.column(name, rows) for name in self.space.names}
        width, depth, bits = at["width"], at["depth"], at["weight_bits"] * at["activation_bits"]
        softmax, hashed = at["attention"] == "softmax", at["attention"] == "hash"
        mixing = width * np.where(softmax, 2 * TOKENS, np.where(hashed, at["hash_bits"], 96))
        macs = depth * TOKENS * (12.0 * width**2 + mixing)
        units = at["array.rows"] * at["array.columns"]
        compute = macs / (units * self._used(at)) + 40 * depth * np.sqrt(units)
        doubled = at["double_buffered"].astype(bool)
        weights, passing = 12.0 * width**2 * at["weight_bits"] / 8, TOKENS * width * at["activation_bits"] / 8
        room = at["buffer_kib"] * 1024 / np.where(doubled, 2, 1)
        again = np.maximum(1.0, np.minimum(weights, passing) / room) ** 0.7
        traffic = depth * (weights + 6 * passing) * again
        memory = traffic / at["bandwidth"]
        latency = np.where(doubled, np.maximum(compute, memory), compute + memory)
        area = units * (0.2 + 0.02 * bits) + 0.6 * at["buffer_kib"] + 6 * at["bandwidth"]
        area = area + np.where(hashed, 90 + 4 * at["hash_bits"], 0)
        energy = macs * (0.03 + 0.004 * bits + 0.002 * np.sqrt(at["buffer_kib"])) + 12 * traffic
        return {
            "latency": latency,
            "energy": energy + latency * area * 0.01,
            "error": self._error(at, softmax, hashed),
            "area": area,
        }

    @staticmethod
    def _used(at: dict[str, np.ndarray]) -> np.ndarray:
        """The share of the array that works: tiles at the edges of a matrix leave some of it idle."""
        tokens = np.full(len(at["width"]), TOKENS)
        flow = at["array.dataflow"]
        down = np.where(flow == "output", tokens, at["width"])
        across = np.where(flow == "input", tokens, at["width"])
        rows, columns = at["array.rows"], at["array.columns"]
        return down / (np.ceil(down / rows) * rows) * across / (np.ceil(across / columns) * columns)

    @staticmethod
    def _error(at: dict[str, np.ndarray], softmax: np.ndarray, hashed: np.ndarray) -> np.ndarray:
        """Falls with size, best at a certain ratio of width to depth, rises as bits go."""
        width, depth = at["width"], at["depth"]
        shape = 0.04 + 2.2 * (depth * width**1.2) ** -0.35 + 0.02 * np.abs(np.log2(width / (36 * depth)))
        rough = np.where(softmax, 0.0, np.where(hashed, 0.25 / at["hash_bits"], 0.035))
        rounding = 0.9 * 2.0 ** -at["weight_bits"] * (1 + depth / 12) + 0.8 * 2.0 ** -at["activation_bits"]
        return shape + rough + rounding

    def answer(self, rows: np.ndarray) -> Answers:
        """What an engine is told of these rows."""
        values = self.values(rows)
        return Answers(costs(self.objectives, values), self.constraint.violation(values))


def plain(objectives: int) -> Answering:
    """Answers on `MIXED` or `SMALL`: smooth conflicting costs, some negative; every design is feasible."""

    def answer(rows: np.ndarray) -> Answers:
        at = rows / 4.0
        middle = np.arange(1, objectives + 1)[:, None, None] / objectives
        return Answers(((at - middle) ** 2).sum(axis=2).T - 1.0, np.zeros(len(rows)))

    return answer


def limited(objectives: int) -> Answering:
    """The same with a limit that about half of the designs break, by finite shares."""

    def answer(rows: np.ndarray) -> Answers:
        told = plain(objectives)(rows)
        return Answers(told.costs, np.maximum(rows.sum(axis=1) - 4.0, 0.0) / 4.0)

    return answer


def broken(objectives: int) -> Answering:
    """The same in which some designs cannot exist, and costs of infeasible ones are NaN or infinite."""

    def answer(rows: np.ndarray) -> Answers:
        told = limited(objectives)(rows)
        kind = rows.sum(axis=1) % 4
        out = told.violations > 0
        costs = np.where((out & (kind == 1))[:, None], np.nan, told.costs)
        costs = np.where((out & (kind == 2))[:, None], np.inf, costs)
        return Answers(costs, np.where(out & (kind != 3), np.inf, told.violations))

    return answer


def hopeless(objectives: int) -> Answering:
    """No design can exist: every violation infinite, every cost unknown."""

    def answer(rows: np.ndarray) -> Answers:
        return Answers(np.full((len(rows), objectives), np.nan), np.full(len(rows), np.inf))

    return answer


def flat(objectives: int) -> Answering:
    """Every design costs the same."""

    def answer(rows: np.ndarray) -> Answers:
        return Answers(np.ones((len(rows), objectives)), np.zeros(len(rows)))

    return answer


def rounds(engine: Engine, answer: Answering, points: int) -> list[np.ndarray]:
    """What an engine asks in each round until it has asked `points`, or has no more to ask."""
    asked: list[np.ndarray] = []
    while sum(map(len, asked)) < points:
        rows = engine.ask()
        if not len(rows):
            break
        asked.append(rows)
        engine.tell(rows, answer(rows))
    return asked


class EngineConformance(ABC):
    """What every engine must do; each method that begins with test_ is a test.

    Attributes
    ----------
    points : asked in a test, at least; fewer where the engine is slow.
    seeded : whether the order of points depends on the seed.
    """

    points = 300
    seeded = True

    @abstractmethod
    def engine(
        self, space: Space, objectives: int, *, seed: int = 0, start: np.ndarray | None = None
    ) -> Engine:
        """The engine to test."""

    def _asked(self, answer: Answering, objectives: int = 2, seed: int = 0) -> np.ndarray:
        asked = rounds(self.engine(MIXED, objectives, seed=seed), answer, self.points)
        assert sum(map(len, asked)) >= min(self.points, MIXED.size), "stopped before the space was exhausted"
        rows = np.concatenate(asked)
        self._are_points(MIXED, rows)
        return rows

    @staticmethod
    def _are_points(space: Space, rows: np.ndarray) -> None:
        assert rows.dtype == np.int64, f"rows of {rows.dtype}, not of int64"
        assert rows.ndim == 2, f"rows of {rows.ndim} dimensions"
        assert rows.shape[1] == len(space.knobs), f"{rows.shape[1]} columns for {len(space.knobs)} knobs"
        assert ((rows >= 0) & (rows < space.cardinalities)).all(), "an index outside of its knob's values"
        assert (rows == space.canonical(rows)).all(), "an inactive knob that is not at zero"
        keys = space.keys(rows)
        assert len(set(keys)) == len(keys), "a point asked twice"

    def test_one_objective_and_three(self) -> None:
        """Points within bounds, canonical, none of them twice."""
        self._asked(plain(1), 1)
        self._asked(plain(3), 3)

    def test_conditional_knobs_are_searched_on_both_sides(self) -> None:
        """Knobs under a condition, and those under a condition on these, are sometimes active."""
        active = MIXED.active(self._asked(plain(2)))
        assert active.any(axis=0).all(), "a knob that is never active"
        assert not active.all(), "a knob under a condition that is always active"

    def test_constraints(self) -> None:
        """Designs that break limits do no harm, and feasible ones are found."""
        rows = self._asked(limited(2))
        assert limited(2)(rows).feasible.any(), "no feasible design found, though half of all are"

    def test_costs_that_are_no_numbers(self) -> None:
        """NaN and infinite costs of infeasible designs, and infinite violations, are survived."""
        for objectives in (1, 2):
            self._asked(broken(objectives), objectives)

    def test_all_infeasible(self) -> None:
        """No feasible design: by finite shares, or none that can exist at all."""

        def far(rows: np.ndarray) -> Answers:
            return Answers(plain(2)(rows).costs, 1.0 + rows.sum(axis=1))

        self._asked(far)
        self._asked(hopeless(2))

    def test_costs_that_are_all_alike(self) -> None:
        """Nothing to learn is no reason to stop."""
        self._asked(flat(2))

    def test_one_point(self) -> None:
        """A space of one point: that point, then nothing."""
        space = Space((categorical("flow", ("weight",)),))
        engine = self.engine(space, 1)
        asked = rounds(engine, flat(1), 10)
        assert [rows.tolist() for rows in asked] == [[[0]]]
        assert len(engine.ask()) == 0, "asks on though the space is exhausted"

    def test_exhausts_a_small_space(self) -> None:
        """Every point of a small space, in the end, then nothing."""
        engine = self.engine(SMALL, 2)
        rows = np.concatenate(rounds(engine, limited(2), 2 * SMALL.size))
        self._are_points(SMALL, rows)
        assert len(rows) == SMALL.size, f"{len(rows)} of {SMALL.size} points asked"
        assert engine.ask().shape == (0, len(SMALL.knobs)), "asks on though the space is exhausted"

    def test_start_is_asked_first(self) -> None:
        """Known points come first, each once, even where they are given twice."""
        start = MIXED.at(np.array([700, 3, 700, 41]))
        asked = np.concatenate(rounds(self.engine(MIXED, 2, start=start), plain(2), min(self.points, 50)))
        assert asked[:3].tolist() == start[[0, 1, 3]].tolist()
        self._are_points(MIXED, asked)

    def test_resumes_by_replay(self) -> None:
        """Another engine that is given the same answers asks the same points in the same rounds."""
        one = rounds(self.engine(MIXED, 2, seed=3), broken(2), self.points)
        two = rounds(self.engine(MIXED, 2, seed=3), broken(2), self.points)
        assert [rows.tolist() for rows in one] == [rows.tolist() for rows in two]

    def test_same_points_in_another_process(self) -> None:
        """Neither the hashes of strings, nor the number of threads, nor global random state matter."""
        here = fingerprint(self)
        told = subprocess.run(
            [sys.executable, "-m", "siliform.dse.testing", inspect.getfile(type(self)), type(self).__name__],
            env=dict(
                os.environ, PYTHONHASHSEED="77", OMP_NUM_THREADS="1", PYTHONPATH=os.pathsep.join(sys.path)
            ),
            capture_output=True,
            text=True,
            check=False,
        )
        assert told.returncode == 0, told.stderr
        assert told.stdout.split() == [here], f"other points in another process\n{told.stderr}"

    def test_another_seed_asks_other_points(self) -> None:
        """The seed matters, unless the engine has no choice."""
        first, second = (self._asked(plain(2), seed=seed)[: self.points].tolist() for seed in (1, 2))
        assert (first != second) == self.seeded

    def test_fewer_answers_than_asked(self) -> None:
        """A study whose budget ends within a round tells what it has: some, or nothing."""
        engine = self.engine(MIXED, 2)
        rows = engine.ask()
        engine.tell(rows, plain(2)(rows))
        rows = engine.ask()
        half = rows[: len(rows) // 2]
        engine.tell(half, plain(2)(half))
        engine.tell(rows[:0], plain(2)(rows[:0]))

    def test_leaves_what_is_global_alone(self) -> None:
        """No warning, and NumPy's global random numbers go on as they would have."""
        before = np.random.get_state()[1]  # type: ignore[index]
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            rounds(self.engine(MIXED, 2), broken(2), self.points)
        assert (np.random.get_state()[1] == before).all(), "drew from NumPy's global generator"  # type: ignore[index]


def fingerprint(suite: EngineConformance) -> str:
    """A hash of what an engine asks of `MIXED` with answers of all kinds."""
    asked = rounds(suite.engine(MIXED, 2, seed=5), broken(2), suite.points)
    return sha256(b"".join(rows.tobytes() for rows in asked)).hexdigest()


def main() -> None:
    """``FILE CLASS``: print the fingerprint of the engine that a suite of that file makes."""
    spec = importlib.util.spec_from_file_location(Path(sys.argv[1]).stem, sys.argv[1])
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    print(fingerprint(getattr(module, sys.argv[2])()))


if __name__ == "__main__":
    main()
