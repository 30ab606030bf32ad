"""Designs of a front confirmed by events: which ones, what is told of them, and what of those that fail."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

import siliform.dse.confirm as confirming
from siliform.dse.confirm import COMPARED, choose, confirm, confirm_design
from siliform.dse.objectives import Objective
from siliform.graph_ir.errors import UserError
from siliform.simulator.estimate import estimate
from siliform.simulator.events import simulate as events
from tests.cpu.dse.report_case import graph_of, problem

CASE = problem()


def rows(count: int) -> np.ndarray:
    return CASE.space.sample(count, np.random.default_rng(1))


def test_the_best_of_each_objective_comes_first():
    latency, accuracy = Objective("latency_s"), Objective("accuracy", maximise=True)
    values = {"latency_s": np.array([3.0, 1.0, 2.0, 9.0]), "accuracy": np.array([0.8, 0.5, 0.7, 0.9])}
    assert choose((latency, accuracy), values, 4)[:2] == [1, 3]
    assert sorted(choose((latency, accuracy), values, 9)) == [0, 1, 2, 3]
    assert choose((latency, accuracy), values, 1) == [1]
    assert choose((latency, accuracy), values, 0) == []


def test_the_rest_is_spread_by_what_it_adds():
    """A knee far from both ends adds more than neighbours of the ends."""
    values = {"a": np.array([0.0, 0.01, 0.2, 0.95, 1.0]), "b": np.array([1.0, 0.97, 0.15, 0.04, 0.0])}
    assert choose((Objective("a"), Objective("b")), values, 3) == [0, 4, 2]


def test_among_equals_of_one_objective_the_better_in_the_others():
    values = {"a": np.array([1.0, 1.0, 2.0]), "b": np.array([5.0, 4.0, 1.0])}
    assert choose((Objective("a"), Objective("b")), values, 2) == [1, 2]


def test_a_logarithmic_objective_is_spread_logarithmically():
    steps = 10.0 ** np.arange(9)
    values = {"a": steps, "b": np.arange(9.0)[::-1]}
    chosen = choose((Objective("a", log=True), Objective("b")), values, 3)
    assert chosen[:2] == [0, 8]
    assert 2 <= chosen[2] <= 6


def test_an_empty_front_and_a_large_one():
    assert choose((Objective("a"),), {"a": np.zeros(0)}, 3) == []
    many = {"a": np.arange(3000.0), "b": np.arange(3000.0)[::-1]}
    assert len(set(choose((Objective("a"), Objective("b")), many, 6))) == 6


def test_what_is_told_is_what_the_estimate_and_the_simulation_say():
    row = rows(1)[0]
    told = confirm_design(CASE, row)
    network, hardware = CASE.choices(row)
    graph = graph_of(tuple(network[f"width[{layer}]"] for layer in range(network["depth"])))
    chip = CASE.hardware.with_choices(hardware)
    closed = estimate(graph, chip, bits="traced")
    simulated = events.simulate(graph, chip, bits="traced", dram="auto").report
    for name in COMPARED:
        before, after = getattr(closed, name), getattr(simulated, name)
        assert (told["closed"][name], told["events"][name]) == (before, after)
        assert told["difference"][name] == pytest.approx((after - before) / before, abs=1e-12)
    assert told["state"] == "simulated"
    assert told["bottleneck"] == simulated.bottleneck
    assert sum(told["stalls_cycles"].values()) == sum(simulated.simulation.stalls_cycles.values())
    lasted = sum(module["cycles"] for module in told["modules"])
    assert lasted == sum(part.cycles for part in simulated.parts if part.cycles > 0)
    assert json.loads(json.dumps(told, allow_nan=False)) == told


def test_the_timeline_holds_every_node_within_the_run(monkeypatch):
    told = confirm_design(CASE, rows(1)[0])["timeline"]
    assert told["left_out"] == 0
    assert max(start + cycles for _, start, cycles, *_ in told["bars"]) == told["end_cycles"]
    assert all(0 <= waited <= 1 for *_, waited in told["bars"])
    assert {row for row, *_ in told["bars"]} <= set(range(len(told["rows"])))
    monkeypatch.setattr(confirming, "TIMELINE_NODES", 1)
    less = confirm_design(CASE, rows(1)[0])["timeline"]
    assert (len(less["bars"]), less["left_out"]) == (1, len(told["bars"]) - 1)
    assert less["bars"][0][2] == max(cycles for _, _, cycles, *_ in told["bars"])


def test_known_designs_are_not_simulated_again_and_progress_is_told(monkeypatch):
    some, heard = rows(3), []
    keys = CASE.space.keys(some)
    monkeypatch.setattr(confirming, "confirm_design", lambda problem, row: {"state": "simulated"})
    found = list(confirm(CASE, some, known={keys[1]: {}}, progress=lambda *told: heard.append(told)))
    assert [key for key, _ in found] == [keys[0], keys[2]]
    assert [done for _, done, _ in heard] == [0, 1, 2, 3]
    assert {total for _, _, total in heard} == {3}


def test_a_design_that_cannot_be_simulated_says_why():
    told = confirm_design(replace(CASE, hardware=Refusing()), rows(1)[0])
    assert told == {"state": "failed", "reason": "a design: no room; give more"}


class Refusing:
    """Hardware of which no design can be."""

    def with_choices(self, choices):
        raise UserError(asked="a design", found="no room", where="here", next_step="give more")


def test_a_fault_of_the_simulator_is_told_too(monkeypatch):
    def fails(*_, **__):
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr("siliform.simulator.events.simulate.simulate", fails)
    told = confirm_design(CASE, rows(1)[0])
    assert told["reason"] == "a fault of the simulator: ZeroDivisionError: division by zero"


def test_ctrl_c_ends_the_confirmation(monkeypatch):
    """The simulator then returns what is done: half a run is no confirmation."""
    whole = events.simulate

    def interrupted(*given, **options):
        found = whole(*given, **options)
        known = replace(found.report.simulation, blocks_done=1)
        return replace(found, report=replace(found.report, simulation=known))

    monkeypatch.setattr("siliform.simulator.events.simulate.simulate", interrupted)
    with pytest.raises(KeyboardInterrupt):
        confirm_design(CASE, rows(1)[0])
