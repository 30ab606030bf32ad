"""Fronts and hypervolumes against their definitions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from siliform.dse.objectives import Objective
from siliform.dse.pareto import hypervolume, nondominated

UNIT = tuple(Objective(name, ideal=0.0, reference=1.0) for name in "abc")
GRID = arrays(float, st.tuples(st.integers(0, 30), st.integers(1, 3)), elements=st.integers(0, 5).map(float))


@settings(max_examples=80, deadline=None)
@given(GRID)
def test_a_front_is_what_nothing_beats(costs: np.ndarray) -> None:
    beaten = [any((other <= one).all() and (other < one).any() for other in costs) for one in costs]
    assert nondominated(costs).tolist() == [not each for each in beaten]


def test_unknown_costs_are_never_on_the_front_and_hide_nothing() -> None:
    costs = np.array([[1.0, np.nan], [-np.inf, 0.0], [2.0, 2.0], [np.inf, 0.0]])
    assert nondominated(costs).tolist() == [False, False, True, False]
    assert nondominated(costs[:2]).tolist() == [False, False]


@settings(max_examples=60, deadline=None)
@given(GRID)
def test_hypervolume_counts_the_cells_that_are_dominated(costs: np.ndarray) -> None:
    """On a grid of five parts the volume is a number of cells."""
    dimensions = costs.shape[1]
    cells = np.stack(np.meshgrid(*[np.arange(5)] * dimensions, indexing="ij"), axis=-1).reshape(
        -1, dimensions
    )
    covered = sum(bool((costs <= cell).all(axis=1).any()) for cell in cells) / 5**dimensions
    assert hypervolume(costs / 5, UNIT[:dimensions]) == pytest.approx(covered, abs=1e-12)


def test_points_at_or_beyond_the_ends() -> None:
    assert hypervolume(np.zeros((0, 2)), UNIT[:2]) == 0.0
    assert hypervolume(np.array([[0.2, 1.0]]), UNIT[:2]) == 0.0, "on the reference"
    assert hypervolume(np.array([[-3.0, 0.5]]), UNIT[:2]) == pytest.approx(0.5), "better than the ideal"


def test_what_is_maximised_and_what_is_logarithmic() -> None:
    """Accuracy half way from reference to ideal, latency half way on its logarithmic scale: a quarter."""
    objectives = (
        Objective("accuracy", maximise=True, ideal=1.0, reference=0.5),
        Objective("latency_s", ideal=1e-4, reference=1e-2, log=True),
    )
    costs = np.array([[-0.75, 1e-3]])
    assert hypervolume(costs, objectives) == pytest.approx(0.25)


@settings(max_examples=40, deadline=None)
@given(GRID, st.integers(0, 29))
def test_one_more_point_never_shrinks_it(costs: np.ndarray, place: int) -> None:
    objectives = UNIT[: costs.shape[1]]
    assert hypervolume(costs[:place] / 5, objectives) <= hypervolume(costs / 5, objectives) + 1e-12
