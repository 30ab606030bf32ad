"""The runner: what is asked, measured, infeasible and why, and that the end is always the same."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from siliform.dse.crew import EvaluationError
from siliform.dse.engines.base import Answers
from siliform.dse.objectives import Constraint, Objective
from siliform.dse.outcome import Outcome
from siliform.dse.pareto import hypervolume, nondominated
from siliform.dse.runner import run_study
from siliform.dse.scale import resolved
from siliform.dse.store import Store
from siliform.dse.study import Budget, Study
from siliform.graph_ir.errors import UserError
from tests.cpu.dse.sweep_case import HARDWARE_ONLY, SPACE, STUDY, Climber, Making, Reporter, Toy, same


def ran(folder: Path, study: Study = STUDY, toy: Toy | None = None, **given: object) -> Outcome:
    engine = given.pop("engine", None) or Climber(objectives=len(study.objectives))
    return run_study(study, Making(toy or Toy()), folder, engine=engine, **given)  # type: ignore[arg-type]


def logged(path: Path) -> list[str]:
    return path.read_text().splitlines()


def test_one_job_two_jobs_and_any_cut_into_tasks_come_to_the_same(tmp_path, monkeypatch):
    engines = [Climber(), Climber(), Climber()]
    study = replace(STUDY, budget=Budget(evaluations=250))
    one = ran(tmp_path / "1", study, engine=engines[0])
    two = ran(tmp_path / "2", study, engine=engines[1], jobs=2)
    monkeypatch.setattr("siliform.dse.crew.MOST_ROWS", 1)
    ones = ran(tmp_path / "3", study, engine=engines[2])
    assert same(one) == same(two) == same(ones)
    for first, *others in zip(*(engine.told for engine in engines), strict=True):
        for other in others:
            np.testing.assert_array_equal(first.costs, other.costs)
            np.testing.assert_array_equal(first.violations, other.violations)
    frames = [Store.read(tmp_path / name).to_frame() for name in "123"]
    assert frames[0].equals(frames[1])
    assert frames[0].equals(frames[2])


def test_the_front_the_volume_and_the_counts_are_those_of_all_evaluations(tmp_path):
    outcome = ran(tmp_path)
    frame = Store.read(tmp_path).to_frame()
    ok = frame[frame["state"] == "ok"]
    assert (outcome.evaluations, outcome.unique_evaluations) == (600, 600)
    assert outcome.infeasible == 600 - len(ok)
    costs = np.stack([ok["latency_s"], ok["area_mm2"], -ok["accuracy"]], axis=1)
    best = costs[nondominated(costs)]
    mine = np.stack([outcome.front["latency_s"], outcome.front["area_mm2"], -outcome.front["accuracy"]], 1)
    assert sorted(map(tuple, mine)) == sorted(map(tuple, best))
    assert list(mine[:, 0]) == sorted(mine[:, 0])
    assert outcome.hypervolume == pytest.approx(hypervolume(best, outcome.objectives))
    first = ok[ok["round"] == 0]
    assert outcome.objectives[0].ideal == first["latency_s"].min()
    assert outcome.objectives[2].reference == first["accuracy"].min()
    assert [evaluations for evaluations, _ in outcome.history] == list(range(60, 601, 60))
    volumes = [volume for _, volume in outcome.history]
    assert volumes == sorted(volumes)
    assert volumes[-1] == outcome.hypervolume


def test_infeasible_designs_have_a_reason_and_are_told_to_the_engine(tmp_path):
    engine = Climber()
    ran(tmp_path, engine=engine, toy=Toy(trouble="nan"))
    table = Store.read(tmp_path).table()
    reasons = dict(Counter(table.records.reasons))
    assert set(reasons) == {
        "",
        "no such array",
        "no value for latency_s",
        "breaks area_mm2 <= 10",
        "breaks accuracy >= 0.6",
        "no value for latency_s; breaks area_mm2 <= 10",
    }
    for row, violation, reason in zip(
        table.rows, table.records.violations, table.records.reasons, strict=True
    ):
        area = (row[3] + 1) * (row[4] + 1) * 0.01
        if row[3] == 7 or row[3] == 33:
            assert violation == np.inf
        elif reason == "breaks area_mm2 <= 10":
            assert violation == pytest.approx((area - 10) / 10)
        else:
            assert (violation == 0) == (reason == "")
    told = np.concatenate([answers.violations for answers in engine.told])
    np.testing.assert_array_equal(told, table.records.violations[: len(told)])


def test_a_network_is_measured_once_and_only_where_a_design_of_it_may_be_feasible(tmp_path):
    outcome = ran(tmp_path, toy=Toy(tmp_path / "log"))
    measured = [line for line in logged(tmp_path / "log") if line.startswith("measure")]
    assert len(measured) == len(set(measured)) == outcome.networks_measured
    table = Store.read(tmp_path).table()
    over = (table.rows[:, 3] + 1) * (table.rows[:, 4] + 1) * 0.01 > 10
    hopeless = over | (table.rows[:, 3] == 7)
    np.testing.assert_array_equal(np.isnan(table.records.values[:, 2]), hopeless)
    wanted = np.unique(table.rows[~hopeless][:, :3], axis=0)
    assert len(wanted) == len(measured)


def test_a_study_that_is_there_is_not_gone_on_with_unless_asked(tmp_path):
    short = replace(STUDY, budget=Budget(evaluations=100))
    ran(tmp_path, short)
    with pytest.raises(UserError) as caught:
        ran(tmp_path)
    assert str(caught.value) == (
        f"asked: the study toy in {tmp_path}\n"
        "found: 100 evaluations of it there already\n"
        "where: --out\n"
        "next:  go on with --resume, or give another folder"
    )


def test_a_larger_budget_goes_on_where_the_smaller_one_ended(tmp_path):
    for count in (100, 100, 250, 600):
        outcome = ran(
            tmp_path / "steps",
            replace(STUDY, budget=Budget(evaluations=count)),
            Toy(tmp_path / "log"),
            resume=True,
        )
        assert outcome.evaluations == count
    assert same(outcome) == same(ran(tmp_path / "once"))
    assert len(logged(tmp_path / "log")) == len(set(logged(tmp_path / "log")))


def test_other_objectives_limits_or_seeds_are_another_study(tmp_path):
    ran(tmp_path, replace(STUDY, budget=Budget(evaluations=60)))
    for change, told in (
        ({"seed": 1}, "seed 0 there, 1 here"),
        (
            {"objectives": STUDY.objectives[:2]},
            'objectives ["smallest latency_s", "smallest area_mm2", "largest accuracy"] there',
        ),
        ({"constraints": ()}, 'constraints ["area_mm2 <= 10", "accuracy >= 0.6"] there, [] here'),
        ({"subject": {"network": "bert"}}, 'subject network "toy" there, "bert" here'),
    ):
        with pytest.raises(UserError, match="a store of another study") as caught:
            ran(tmp_path, replace(STUDY, **change), resume=True)
        assert told in caught.value.found


def test_a_time_is_kept_and_the_next_run_has_its_own(tmp_path):
    study = replace(STUDY, budget=Budget(seconds=1))
    outcome = ran(tmp_path, study, Toy(tmp_path / "log", 0.001))
    assert outcome.complete
    assert not outcome.interrupted
    assert 1 <= outcome.seconds < 10
    assert 0 < outcome.evaluations < 1500
    again = ran(tmp_path, study, Toy(tmp_path / "log", 0.001), resume=True)
    assert again.evaluations > outcome.evaluations
    assert len(logged(tmp_path / "log")) == len(set(logged(tmp_path / "log")))


def test_a_time_ends_a_round_as_well(tmp_path):
    """Of a round of 4,096 designs of 1 ms, four seconds, those of the first second are answered."""
    study = replace(HARDWARE_ONLY, budget=Budget(seconds=1), engine="random", options={"batch": 4096})
    outcome = run_study(study, Making(Toy(tmp_path / "log", 0.001, measures=False)), tmp_path, jobs=1)
    assert 0 < outcome.evaluations < 3000
    assert outcome.complete


class Listed(Climber):
    """Asks what it is given, and then no more."""

    def __init__(self, *questions: np.ndarray, objectives: int = 2) -> None:
        super().__init__(objectives=objectives)
        self.questions = list(questions)

    def ask(self) -> np.ndarray:
        return self.questions.pop(0) if self.questions else np.zeros((0, len(SPACE.knobs)), np.int64)


def test_an_engine_that_has_no_more_to_ask_ends_the_study(tmp_path):
    rows = SPACE.at(np.arange(0, 40))
    outcome = ran(tmp_path, HARDWARE_ONLY, Toy(measures=False), engine=Listed(rows[:30], rows[30:]))
    assert (outcome.evaluations, outcome.complete) == (40, True)


def test_points_asked_twice_are_evaluated_and_stored_once(tmp_path):
    rows = SPACE.at(np.array([5, 9, 5, 900]))
    engine = Listed(rows, rows[::-1], rows)
    outcome = ran(tmp_path, HARDWARE_ONLY, Toy(tmp_path / "log", measures=False), engine=engine)
    assert (outcome.evaluations, outcome.unique_evaluations) == (12, 3)
    assert len(logged(tmp_path / "log")) == 3
    np.testing.assert_array_equal(engine.told[0].costs[::-1], engine.told[1].costs)
    assert len(np.unique(outcome.front_rows, axis=0)) == len(outcome.front_rows)


def test_a_round_without_a_feasible_design_leaves_the_scale_to_the_next(tmp_path):
    wide = SPACE.encode(
        {"depth": 2, "attention": "softmax", "rows": 64, "columns": 64, "double_buffered": False}
    )
    small = SPACE.encode(
        {"depth": 2, "attention": "softmax", "rows": 4, "columns": 4, "double_buffered": False}
    )
    outcome = ran(tmp_path, HARDWARE_ONLY, Toy(measures=False), engine=Listed(wide[None], small[None]))
    assert outcome.history[0] == (1, 0.0)
    latency, area = outcome.objectives
    assert (latency.ideal, latency.reference) == (pytest.approx(0.0625), pytest.approx(0.25))
    assert (area.ideal, area.reference) == (0.0, pytest.approx(0.32))
    assert outcome.hypervolume == pytest.approx(0.25)
    told = Store.read(tmp_path).meta["resolved"]["latency_s"]
    assert told == {"ideal": latency.ideal, "reference": latency.reference}


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_fault_of_the_problem_names_the_point_and_keeps_what_was_done(tmp_path, jobs):
    with pytest.raises(EvaluationError, match="ZeroDivisionError: no rows left") as caught:
        ran(tmp_path, HARDWARE_ONLY, Toy(tmp_path / "log", measures=False, trouble="raise"), jobs=jobs)
    text = str(caught.value)
    assert text.startswith("evaluating depth = ")
    assert "rows = 33" in text
    assert "_stumble" in text, "the worker's own traceback"
    rows = Store.read(tmp_path).table().rows
    assert not (rows[:, 3] == 32).any()
    assert {f"cost {key.hex()}" for key in SPACE.keys(rows)} <= set(logged(tmp_path / "log"))


def test_a_users_error_in_a_worker_stays_one(tmp_path):
    with pytest.raises(UserError, match="ask for less") as caught:
        ran(tmp_path, HARDWARE_ONLY, Toy(measures=False, trouble="user"), jobs=2)
    assert caught.value.asked == "33 rows"


def test_what_nothing_yields_is_refused(tmp_path):
    study = replace(STUDY, objectives=(Objective("latency"),))
    with pytest.raises(UserError, match="nothing yields latency") as caught:
        ran(tmp_path, study)
    assert caught.value.next_step == "use one of the nearest: latency_s, accuracy"
    study = replace(STUDY, constraints=(Constraint("area_mm2", at_most="space"),))
    with pytest.raises(UserError, match="the limit area_mm2 <= space"):
        ran(tmp_path, study)
    assert not list(tmp_path.iterdir())


def test_a_limit_by_another_quantity_is_checked_when_both_are_known(tmp_path):
    study = replace(STUDY, constraints=(Constraint("accuracy", at_least="area_mm2"),))
    ran(tmp_path, study)
    frame = Store.read(tmp_path).to_frame()
    known = frame[frame["reason"] != "no such array"]
    assert ((known["accuracy"] >= known["area_mm2"]) == (known["state"] == "ok")).all()
    assert 0 < (known["state"] == "ok").sum() < len(known)


def test_news_are_in_the_store_and_only_grow(tmp_path):
    listener = Reporter()
    outcome = ran(tmp_path, listener=listener)
    counts = [told.evaluations for told in listener.told]
    assert counts == sorted(counts)
    assert set(range(60, 601, 60)) <= set(counts)
    last = listener.told[-1]
    assert (last.hypervolume, last.infeasible) == (outcome.hypervolume, outcome.infeasible)
    assert last.best["accuracy"] == outcome.front["accuracy"].max()
    assert last.best["area_mm2"] == outcome.front["area_mm2"].min()
    assert last.eta_seconds == 0
    assert last.rate > 0
    assert last.networks == outcome.networks_measured


def test_the_json_has_what_a_script_needs_and_is_json(tmp_path):
    told = json.loads(json.dumps(ran(tmp_path).to_json(), allow_nan=False))
    for name in ("evaluations", "unique_evaluations", "infeasible", "hypervolume", "front"):
        assert name in told
    best = told["front"][0]
    row = SPACE.encode(best["point"])
    assert best["values"]["area_mm2"] == pytest.approx((row[3] + 1) * (row[4] + 1) * 0.01)
    assert {o["name"]: o["maximise"] for o in told["objectives"]}["accuracy"] is True


def test_answers_to_the_engine_have_costs_where_feasible(tmp_path):
    engine = Climber()
    ran(tmp_path, engine=engine)
    answers: Answers
    for answers in engine.told:
        assert np.isfinite(answers.costs[answers.feasible]).all()
        assert not np.isnan(answers.violations).any()


@pytest.mark.parametrize(
    ("objective", "costs", "ends"),
    [
        (Objective("x"), [2.0, 5.0], (2.0, 5.0)),
        (Objective("x", maximise=True), [-5.0, -2.0], (5.0, 2.0)),
        (Objective("x"), [3.0, 3.0], (0.0, 6.0)),
        (Objective("x"), [0.0, 0.0], (-1.0, 1.0)),
        (Objective("x", maximise=True), [-0.5], (1.0, 0.0)),
        (Objective("x", log=True), [4.0], (2.0, 8.0)),
        (Objective("x", ideal=10.0), [2.0, 5.0], (10.0, 20.0)),
        (Objective("x", reference=1.0), [2.0, 5.0], (0.0, 1.0)),
        (Objective("x", maximise=True, log=True, reference=8.0), [-2.0, -5.0], (16.0, 8.0)),
        (Objective("x", ideal=1.0, reference=9.0), [2.0, 5.0], (1.0, 9.0)),
    ],
)
def test_a_scale_that_is_not_given_is_that_of_the_designs_and_never_empty(objective, costs, ends):
    (found,) = resolved([objective], np.array(costs)[:, None])
    assert (found.ideal, found.reference) == ends


def test_a_logarithmic_scale_of_numbers_below_zero_is_refused():
    with pytest.raises(UserError, match="a design with x = 0"):
        resolved([Objective("x", log=True)], np.array([[0.0], [3.0]]))
