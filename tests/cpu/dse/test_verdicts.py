"""What breaks a limit, by how much, and that whoever is infeasible is told why."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from siliform.dse.objectives import Constraint, Objective
from siliform.dse.study import Study
from siliform.dse.verdicts import Judge


class Two:
    """A problem that yields x and y by closed form, and measures z."""

    quantities = ("x", "y")
    measured = ("z",)


@pytest.mark.parametrize(
    ("limit", "x", "missed"),
    [
        (Constraint("x", at_most=4), [4.0, 5.0, 6.0], [0.0, 0.25, 0.5]),
        (Constraint("x", at_least=4), [4.0, 3.0, 2.0], [0.0, 0.25, 0.5]),
        (Constraint("x", at_most=0), [0.0, 5.0, -1.0], [0.0, 5.0, 0.0]),
        (Constraint("x", at_least=-2), [-2.0, -3.0, 0.0], [0.0, 0.5, 0.0]),
        (Constraint("x", at_most=4), [np.nan, np.inf, -np.inf], [np.inf, np.inf, 0.0]),
    ],
)
def test_a_limit_is_missed_by_a_share_of_it(limit: Constraint, x: list[float], missed: list[float]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert limit.violation({"x": np.array(x)}).tolist() == missed


def test_whoever_is_infeasible_is_told_why_once() -> None:
    limits = (Constraint("x", at_most=0), Constraint("z", at_least=1))
    judge = Judge(Study("s", (Objective("y"),), limits), Two())  # type: ignore[arg-type]
    values = np.array([[0.0, 1.0], [5.0, 1.0], [np.nan, 1.0], [np.inf, 1.0], [0.0, np.inf], [0.0, np.nan]])
    values = np.concatenate([values, np.full((6, 1), np.nan)], axis=1)
    early = judge.first(values, ["", "", "", "", "", "no room"])
    assert early.violations.tolist() == [0.0, 5.0, np.inf, np.inf, np.inf, np.inf]
    assert list(early.reasons) == [
        "",
        "breaks x <= 0",
        "no value for x",
        "breaks x <= 0",
        "y is infinite",
        "no room",
    ]
    early.values[:1, 2] = 0.5
    late = judge.then(early)
    assert late.violations[0] == 0.5
    assert late.reasons[0] == "breaks z >= 1"
