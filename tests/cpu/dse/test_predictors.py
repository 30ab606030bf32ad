"""Predictors: the kind is chosen by what ranks held-out designs, and predictions are in its unit."""

from __future__ import annotations

import numpy as np
import pytest

from siliform.dse.predictors import KINDS, Choice, choose, fit, one_thread


def data(count: int = 120, features: int = 5) -> np.ndarray:
    return np.random.default_rng(7).random((count, features))


def test_a_product_is_learnt_by_its_logarithm() -> None:
    inputs = data()
    targets = np.exp(3 * inputs[:, 0] + 4 * inputs[:, 1] * inputs[:, 2]) * 1e-6
    choice = choose(inputs, targets, np.random.default_rng(0))
    assert choice.logarithm
    assert choice.tau > 0.98
    assert choice.points == 120
    predicted = fit(choice, inputs, targets).predict(inputs)
    assert np.abs(np.log(predicted / targets)).max() < 0.2


def test_steps_are_learnt_by_trees() -> None:
    inputs = data(300)
    targets = np.floor(inputs[:, 0] * 4) * 10 + np.floor(inputs[:, 1] * 6) - 20
    choice = choose(inputs, targets, np.random.default_rng(0))
    assert (choice.kind, choice.logarithm) == ("gradient boosting", False)


def test_negative_quantities_have_no_logarithm() -> None:
    inputs = data(60)
    assert not choose(inputs, inputs[:, 0] - 0.5, np.random.default_rng(0)).logarithm


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("logarithm", [False, True])
def test_every_kind_predicts_in_the_unit_of_its_targets(kind: str, logarithm: bool) -> None:
    inputs = data()
    targets = 1e9 * (1 + inputs[:, 0])
    predictor = fit(Choice(kind, logarithm, 0.0, 0), inputs, targets)
    assert np.abs(predictor.predict(inputs) / targets - 1).max() < 0.05


def test_too_few_designs_to_tell() -> None:
    inputs = data(8)
    choice = choose(inputs, inputs[:, 0] + 1, np.random.default_rng(0))
    assert choice.kind == "ridge"
    assert np.isnan(choice.tau)
    assert np.isfinite(fit(choice, inputs, inputs[:, 0] + 1).predict(inputs)).all()


def test_what_never_changes_is_predicted() -> None:
    inputs = data(60)
    choice = choose(inputs, np.full(60, 4.0), np.random.default_rng(0))
    assert choice.tau == 0.0
    assert np.allclose(fit(choice, inputs, np.full(60, 4.0)).predict(inputs), 4.0)


def test_many_features_are_fitted_without_their_products() -> None:
    inputs = data(80, 100)
    model = fit(Choice("ridge", False, 0.0, 0), inputs, inputs @ np.arange(100.0)).model
    assert model[0].n_output_features_ == 100


def test_threads_are_as_before_afterwards() -> None:
    import sklearn.linear_model  # noqa: F401 - its libraries are the ones to keep
    from threadpoolctl import threadpool_info

    before = [each["num_threads"] for each in threadpool_info()]
    with one_thread():
        assert {each["num_threads"] for each in threadpool_info()} == {1}
    assert [each["num_threads"] for each in threadpool_info()][: len(before)] == before
