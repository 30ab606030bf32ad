"""What a study has come to: front, best, counts and hypervolume, round by round."""

from __future__ import annotations

import numpy as np

from siliform.dse.objectives import Objective
from siliform.dse.pareto import hypervolume
from siliform.dse.rounds import Answered
from siliform.dse.store import Records
from siliform.dse.tally import Tally

OBJECTIVES = (Objective("x", ideal=0, reference=10), Objective("y", ideal=0, reference=10))


def after(tally: Tally, *points: tuple[float, float], known: bool = True) -> Tally:
    """A round with these designs, each of which is its own row."""
    costs = np.array(points, float)
    records = Records(costs, np.zeros(len(costs)), [""] * len(costs))
    return tally.after(costs.astype(np.int64), costs, Answered(np.full(len(costs), known), records))


def test_the_volume_is_that_of_the_front_after_every_round() -> None:
    """Also where one design joins, first or last of its round, and where it replaces another."""
    tally = Tally.of_nothing(OBJECTIVES, 2, 2)
    seen: list[tuple[float, float]] = []
    for points in ([(5, 5)], [(3, 7)], [(9, 9), (8, 8)], [(7, 3), (9, 9)], [(9, 9), (2, 2)], [(1, 9)]):
        tally = after(tally, *points)
        seen += points
        assert tally.hypervolume == hypervolume(np.array(seen, float), OBJECTIVES)
    assert tally.rows.tolist() == [[2, 2], [1, 9]]
    assert tally.best.tolist() == [1, 2]
    assert [count for count, _ in tally.history] == [1, 2, 4, 6, 8, 9]


def test_a_design_that_comes_again_is_on_the_front_once_and_one_without_an_answer_never() -> None:
    tally = after(after(Tally.of_nothing(OBJECTIVES, 2, 2), (5, 5)), (5, 5))
    assert tally.rows.tolist() == [[5, 5]]
    assert tally.evaluations == 2
    assert after(tally, (1, 1), known=False).rows.tolist() == [[5, 5]]
