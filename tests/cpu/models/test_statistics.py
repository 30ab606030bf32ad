"""Intervals and paired tests against closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from siliform.models.statistics import accuracy, difference, mcnemar, wilson


def answers(both: int, first: int, second: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    a = np.repeat([True, True, False, False], [both, first, second, neither])
    return a, np.repeat([True, False, True, False], [both, first, second, neither])


def test_wilson_is_the_published_interval() -> None:
    # Newcombe, Statistics in Medicine 1998, table I, method 3: 81 of 263 and 0 of 20.
    found = wilson(81, 263)
    assert (found.low, found.high) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert (wilson(0, 20).low, wilson(0, 20).high) == pytest.approx((0, 0.1611), abs=5e-5)
    assert accuracy(np.array([True] * 3 + [False])).value == 0.75
    with pytest.raises(ValueError, match="5 right of 4"):
        wilson(5, 4)


def test_mcnemar_is_the_exact_binomial() -> None:
    assert mcnemar(*answers(50, 1, 9, 5)) == pytest.approx(2 * (1 + 10) / 2**10)
    assert mcnemar(*answers(50, 9, 1, 5)) == mcnemar(*answers(7, 1, 9, 0))  # what agrees does not count
    assert mcnemar(*answers(10, 4, 4, 0)) == 1
    assert mcnemar(*answers(10, 0, 0, 2)) == 1


def test_the_difference_has_its_interval() -> None:
    first, second = answers(600, 40, 90, 270)
    found = difference(first, second)
    assert found.value == pytest.approx(0.05)
    spread = np.sqrt((0.13 - 0.05**2) / 1000)  # of one example's difference, over n
    assert (found.low, found.high) == pytest.approx((0.05 - 1.96 * spread, 0.05 + 1.96 * spread), abs=2e-3)
    assert difference(first, second) == found


def test_only_lists_of_right_and_wrong_are_taken() -> None:
    with pytest.raises(ValueError, match="needs the same ones"):
        mcnemar(np.ones(3, bool), np.ones(4, bool))
    with pytest.raises(ValueError, match="a list of true and false"):
        accuracy(np.ones(3))
