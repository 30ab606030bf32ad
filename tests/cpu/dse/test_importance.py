"""Knob importance: it finds what matters, its shares sum to 1, and it says when it cannot be trusted."""

from __future__ import annotations

import numpy as np
import pytest

from siliform.dse.importance import FEWEST, MOST, importances
from siliform.dse.space import Space
from siliform.graph_ir.knobs import When, categorical, integer, ordered

SPACE = Space(
    (
        integer("large", 1, 16),
        integer("small", 1, 16),
        integer("idle", 1, 16),
        categorical("kind", ("a", "b", "c")),
        ordered("only_b", (1, 2, 4, 8), when=When("kind", ("b",))),
    )
)


def rows(count: int, seed: int = 0) -> np.ndarray:
    return SPACE.sample(count, np.random.default_rng(seed))


def of(values: np.ndarray, some: np.ndarray, **options: int):
    (found,) = importances(SPACE, some, {"q": values}, **options)
    return found


def test_shares_follow_what_a_quantity_is_made_of():
    some = rows(600)
    found = of(10.0 * some[:, 0] + 2.0 * some[:, 1], some)
    assert sum(found.shares.values()) == pytest.approx(1)
    assert found.shares["large"] > 0.8 > found.shares["small"] > 0.01
    assert found.shares["idle"] + found.shares["kind"] + found.shares["only_b"] < 0.01
    assert found.r2 > 0.95
    assert (found.note, found.log, found.designs) == ("", False, 600)
    assert set(found.spread) == set(found.shares) == set(SPACE.names)


def test_a_categorical_knob_is_one_knob_and_a_conditional_one_counts_where_it_is_active():
    some = rows(600)
    kind, extra = some[:, 3], some[:, 4]
    found = of(5.0 * kind + np.where(kind == 1, 4.0 * extra, 0.0), some)
    assert found.shares["kind"] + found.shares["only_b"] > 0.98
    assert found.shares["only_b"] > 0.1
    assert set(of(1.0 * kind, some).shares) == set(SPACE.names)


def test_what_spans_decades_is_fitted_by_its_logarithm():
    some = rows(300)
    found = of(np.exp(some[:, 0] / 2), some)
    assert found.log is True
    assert found.r2 > 0.95
    assert of(-np.exp(some[:, 0] / 2), some).log is False


def test_noise_is_not_explained():
    found = of(np.random.default_rng(5).normal(size=300), rows(300))
    assert found.r2 < 0.1
    assert found.note in (
        "the fit predicts no better than the mean: no shares",
        "the fit misses most of what happens: do not trust these shares",
    )


def test_half_noise_is_marked():
    some = rows(400)
    noise = np.random.default_rng(5).normal(size=400) * some[:, 0].std() * 1.5
    found = of(some[:, 0] + noise, some)
    assert found.note == "the fit misses most of what happens: do not trust these shares"
    assert sum(found.shares.values()) == pytest.approx(1)


def test_few_points_say_nothing():
    found = of(np.arange(24.0), rows(24))
    assert (found.shares, found.r2) == ({}, None)
    assert found.note == f"24 designs are too few to say; it takes {FEWEST}"
    assert of(np.where(np.arange(60) < 24, 1.0, np.nan), rows(60)).designs == 24
    assert of(rows(FEWEST)[:, 0] * 1.0, rows(FEWEST)).r2 is not None


def test_what_does_not_vary_says_so():
    found = of(np.full(100, 7.0), rows(100))
    assert (found.shares, found.note) == ({}, "it is the same in every design")


def test_many_points_are_thinned():
    some = rows(MOST + 500)
    assert of(some[:, 0] * 1.0, some).designs == MOST


def test_the_same_points_and_seed_give_the_same_shares():
    some = rows(100)
    values = some[:, 0] * 1.0 + some[:, 1]
    assert of(values, some, seed=4) == of(values, some, seed=4)
    assert of(values, some, seed=4) != of(values, some, seed=5)


def test_a_knob_is_not_worth_what_the_one_that_it_depends_on_is():
    """That `only_b` is there tells the kind; its values say nothing, so shuffling those costs nothing."""
    some = rows(600)
    found = of((some[:, 3] == 1) + 0.01 * some[:, 0], some)
    assert found.shares["kind"] > 0.9
    assert found.shares["only_b"] < 0.01
