"""Predictors: what a design will probably cost, learnt from the designs that were evaluated.

One predictor for each quantity, of the kind that ranks held-out designs best: ridge regression on features
and their products, a support vector machine, or gradient boosting, each of the quantity or of its logarithm.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

#: Held-out parts of the cross-validation, and the most points that it looks at: it is asked which kind of
#: predictor is best, not how good exactly, and costs dozens of fits.
FOLDS, POINTS = 3, 300
#: Products of features are fitted on where there are at most so many; beyond they outnumber the designs.
MOST_PRODUCTS = 1000


def ridge(features: int) -> Any:
    """Ridge regression on features and their products, the penalty chosen by leaving one out."""
    from sklearn.linear_model import RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import PolynomialFeatures, StandardScaler

    degree = 2 if features * (features + 3) // 2 <= MOST_PRODUCTS else 1
    return make_pipeline(
        PolynomialFeatures(degree, include_bias=False), StandardScaler(), RidgeCV(np.logspace(-3, 4, 15))
    )


def support_vectors(features: int) -> Any:
    """A support vector machine with a Gaussian kernel on features of unit variance."""
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVR

    return make_pipeline(StandardScaler(), SVR(C=10.0, gamma=0.3 / features, epsilon=0.02))


def boosting(features: int) -> Any:
    """Gradient-boosted trees, each split choosing among some of the features."""
    from sklearn.ensemble import GradientBoostingRegressor

    # Not the variant on histograms: its threads wait busily, which multiplies its time on a machine in use.
    return GradientBoostingRegressor(n_estimators=100, max_depth=4, max_features=0.4, random_state=0)


#: Maker of each kind of predictor, given the number of features. The settings rank best on dse.testing's
#: example at 200 to 1000 designs.
KINDS: Mapping[str, Callable[[int], Any]] = MappingProxyType(
    {"ridge": ridge, "support vectors": support_vectors, "gradient boosting": boosting}
)


@dataclass(frozen=True)
class Choice:
    """A kind of predictor, and how well it did.

    Attributes
    ----------
    kind : one of `KINDS`.
    logarithm : whether it predicts the logarithm of the quantity.
    tau : Kendall's rank correlation of predictions and truth on held-out designs, -1 to 1.
    points : designs that it was judged on.
    """

    kind: str
    logarithm: bool
    tau: float
    points: int


@dataclass(frozen=True, eq=False)
class Predictor:
    """A fitted predictor of one quantity; `predict` takes features as `Space.features` gives them."""

    choice: Choice
    model: Any
    mean: float
    deviation: float

    def predict(self, features: np.ndarray) -> np.ndarray:
        """The quantity for each design, float64 [designs]; `features` is float64 [designs, features]."""
        found = self.model.predict(features) * self.deviation + self.mean
        return np.exp(np.minimum(found, 700.0)) if self.choice.logarithm else np.asarray(found)


def fit(choice: Choice, features: np.ndarray, targets: np.ndarray) -> Predictor:
    """Learn from `features`, float64 [designs, features], and finite `targets`, float64 [designs]."""
    scaled = np.log(targets) if choice.logarithm else targets
    mean, deviation = float(scaled.mean()), float(scaled.std()) or 1.0
    model = KINDS[choice.kind](features.shape[1])
    model.fit(features, (scaled - mean) / deviation)
    return Predictor(choice, model, mean, deviation)


def choose(features: np.ndarray, targets: np.ndarray, random: np.random.Generator) -> Choice:
    """The kind of predictor that ranks held-out designs best; of equals the first in the order of `KINDS`.

    `features` is float64 [designs, features], `targets` float64 [designs], finite. Fewer than 4 `FOLDS`
    designs are too few to tell: ridge then, with an unknown (NaN) correlation.
    """
    count = min(len(targets), POINTS)
    positive = bool((targets > 0).all())
    if count < 4 * FOLDS:
        return Choice("ridge", positive, float("nan"), count)
    from scipy.stats import kendalltau

    picked = random.permutation(len(targets))[:count]
    features, targets = features[picked], targets[picked]
    best = Choice("ridge", positive, -2.0, count)
    for kind in KINDS:
        for logarithm in (True, False) if positive else (False,):
            held = Choice(kind, logarithm, 0.0, count)
            found = np.empty(count)
            for fold in range(FOLDS):
                out = np.arange(count) % FOLDS == fold
                found[out] = fit(held, features[~out], targets[~out]).predict(features[out])
            # Predictions that are all alike have no rank correlation: as good as chance, which is 0.
            tau = float(kendalltau(found, targets).statistic) if np.ptp(found) > 0 < np.ptp(targets) else 0.0
            if tau > best.tau:
                best = Choice(kind, logarithm, tau, count)
    return best


def one_thread() -> AbstractContextManager[Any]:
    """Keeps numerical libraries to one thread: with several, sums round differently from machine to machine.

    Only those that are loaded by then, so callers import theirs first.
    """
    from threadpoolctl import threadpool_limits

    return threadpool_limits(1)
