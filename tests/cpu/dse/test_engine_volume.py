"""Which points add most to a front, and the scales that engines compare costs on."""

from __future__ import annotations

import moocore
import numpy as np
import pytest

from siliform.dse.engines.scales import on_scale, signed, wide
from siliform.dse.engines.volume import pick


def greedy(costs: np.ndarray, front: np.ndarray, reference: np.ndarray, count: int) -> list[int]:
    """The same by trying every point every time."""
    found: list[int] = []
    for _ in range(count):
        gains = [
            -1.0 if place in found else moocore.hypervolume(np.vstack([front, point]), ref=reference)
            for place, point in enumerate(costs)
        ]
        found.append(int(np.argmax(gains)))
        front = np.vstack([front, costs[found[-1]]])
    return found


def test_picks_as_trying_all_would() -> None:
    random = np.random.default_rng(3)
    for _ in range(20):
        costs, front = random.random((30, 3)), random.random((5, 3)) * 0.5 + 0.5
        assert pick(costs, front, np.ones(3), 4) == greedy(costs, front, np.ones(3), 4)


@pytest.mark.parametrize("unit", [1e-9, 1e9])
def test_what_is_picked_does_not_depend_on_the_units_of_costs(unit: float) -> None:
    """Microseconds times microjoules in seconds and joules are 1e-12 and less."""
    random = np.random.default_rng(3)
    costs, front = random.random((30, 2)), random.random((5, 2)) * 0.5 + 0.5
    scaled = pick(costs * unit, front * unit, np.full(2, unit), 6)
    assert scaled == pick(costs, front, np.ones(2), 6)
    assert scaled != list(range(6))


def test_once_nothing_adds_the_next_best_are_picked() -> None:
    """With one objective only the best adds to anything; the others follow in order of cost."""
    costs = np.array([[3.0], [1.0], [2.0], [4.0]])
    assert pick(costs, np.array([[2.5]]), np.array([5.0]), 4) == [1, 2, 0, 3]


def test_points_beyond_the_reference_come_last() -> None:
    costs = np.array([[9.0, 9.0], [0.5, 0.5]])
    assert pick(costs, np.zeros((0, 2)), np.ones(2), 2) == [1, 0]
    assert pick(np.zeros((0, 2)), np.zeros((0, 2)), np.ones(2), 3) == []


def test_wide_costs_are_compared_by_ratios() -> None:
    costs = np.array([[1.0, -1.0, 5.0], [10.0, 100.0, 6.0]])
    assert wide(costs).tolist() == [True, False, False]
    assert np.allclose(on_scale(costs, wide(costs))[:, 0], [0.0, np.log(10.0)])
    assert wide(costs[:0]).tolist() == [False, False, False]


def test_signed_violations_order_designs() -> None:
    told = signed(np.array([0.0, 0.5, 2.0, np.inf]))
    assert told[0] < 0 < told[1] < told[2] < told[3] < np.inf
    assert signed(np.zeros(3)).tolist() == [-1.0] * 3
    assert (signed(np.full(2, np.inf)) > 0).all()
