"""Which knobs matter: how much worse a fit predicts a quantity when one knob's values are shuffled.

A random forest is fitted to the evaluated designs and judged on designs that it has not seen (five folds).
There each knob is shuffled among the designs in which it is active, all its features together; by how much
the squared error grows is what the knob is worth, and its share of the sum over all knobs is reported beside
the R2 of the fit, since shares of a fit that explains nothing mean nothing. (L. Breiman, "Random Forests",
Machine Learning 45, 2001, section 10.)

The designs are those that a search asked about, which lie close together where it found good ones: the
shares speak of these designs, not of the whole space.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from siliform.dse.space import Space

#: Designs that a fit needs at least: five folds of five.
FEWEST = 25
#: Designs that it takes at most, evenly from first to last asked: more cost minutes and change shares by
#: less than their spread over folds.
MOST = 2000
#: Below this R2 the shares are not to be trusted: most of what happens is not in the fit.
TRUSTED_R2 = 0.5
#: Largest over smallest value from which on a quantity that is always positive is fitted by its logarithm.
_LOG_FROM = 10.0
_FOLDS, _TREES, _SHUFFLES = 5, 60, 3


@dataclass(frozen=True)
class Importance:
    """What each knob is worth for one quantity.

    Attributes
    ----------
    quantity : whose.
    shares : by knob, 0 to 1, their sum 1; empty where there is nothing to say, and `note` says why.
    spread : standard deviation of each share over the folds.
    r2 : of the fit on designs that it has not seen, 1 being perfect; None where there was no fit.
    designs : how many it was made of.
    log : whether the quantity's logarithm was fitted.
    note : what a reader must know before believing it, or "".
    """

    quantity: str
    shares: Mapping[str, float] = field(default_factory=dict)
    spread: Mapping[str, float] = field(default_factory=dict)
    r2: float | None = None
    designs: int = 0
    log: bool = False
    note: str = ""

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "quantity": self.quantity,
            "shares": dict(self.shares),
            "spread": dict(self.spread),
            "r2": self.r2,
            "designs": self.designs,
            "log": self.log,
            "note": self.note,
        }


def importances(
    space: Space, rows: np.ndarray, values: Mapping[str, np.ndarray], *, seed: int = 0
) -> tuple[Importance, ...]:
    """What the knobs are worth for each quantity.

    Parameters
    ----------
    rows : canonical, int64 [designs, knobs].
    values : by quantity, float [designs]; designs without a finite value are left out.
    """
    return tuple(_importance(space, rows, name, np.asarray(v, float), seed) for name, v in values.items())


def _importance(space: Space, rows: np.ndarray, name: str, values: np.ndarray, seed: int) -> Importance:
    known = np.flatnonzero(np.isfinite(values))
    if len(known) < FEWEST:
        return Importance(
            name, designs=len(known), note=f"{len(known)} designs are too few to say; it takes {FEWEST}"
        )
    if len(known) > MOST:
        known = known[np.linspace(0, len(known) - 1, MOST).round().astype(int)]
    rows, values = rows[known], values[known]
    log = bool(values.min() > 0 and values.max() / values.min() >= _LOG_FROM)
    target = np.log(values) if log else values
    if np.ptp(target) <= 1e-9 * np.abs(target).max():
        return Importance(name, designs=len(known), note="it is the same in every design")
    r2, worth = _folds(space, rows, target, seed)
    total = np.maximum(worth.mean(axis=0), 0.0)
    if total.sum() <= 0 or r2 <= 0:
        return Importance(
            name,
            r2=r2,
            designs=len(known),
            log=log,
            note="the fit predicts no better than the mean: no shares",
        )
    shares = total / total.sum()
    each = np.maximum(worth, 0.0)
    spread = (each / np.maximum(each.sum(axis=1, keepdims=True), np.finfo(float).tiny)).std(axis=0)
    note = "" if r2 >= TRUSTED_R2 else "the fit misses most of what happens: do not trust these shares"
    return Importance(
        name,
        dict(zip(space.names, shares.tolist(), strict=True)),
        dict(zip(space.names, spread.tolist(), strict=True)),
        r2,
        len(known),
        log,
        note,
    )


def _folds(space: Space, rows: np.ndarray, target: np.ndarray, seed: int) -> tuple[float, np.ndarray]:
    """R2 on designs not seen, over all folds, and what each knob is worth in each, float [folds, knobs]."""
    from sklearn.ensemble import RandomForestRegressor

    features, owner = space.features(rows), _owners(space)
    active = space.active(rows)
    random = np.random.default_rng(seed)
    fold = random.permutation(len(rows)) % _FOLDS
    missed, worth = 0.0, np.zeros((_FOLDS, len(space.knobs)))
    for number in range(_FOLDS):
        seen, unseen = fold != number, np.flatnonzero(fold == number)
        model = RandomForestRegressor(_TREES, random_state=seed, n_jobs=1).fit(features[seen], target[seen])
        asked, whose = [features[unseen]], [-1]
        for p in np.flatnonzero(active[unseen].any(axis=0)).tolist():
            for _ in range(_SHUFFLES):
                asked.append(_shuffled(features[unseen], active[unseen, p], owner == p, random))
                whose.append(p)
        told = model.predict(np.concatenate(asked)).reshape(len(asked), -1)
        errors = np.mean((told - target[unseen]) ** 2, axis=1)
        missed += errors[0] * len(unseen)
        np.add.at(worth[number], whose[1:], (errors[1:] - errors[0]) / _SHUFFLES)
    return float(1 - missed / len(rows) / np.var(target)), worth


def _shuffled(
    features: np.ndarray, active: np.ndarray, mine: np.ndarray, random: np.random.Generator
) -> np.ndarray:
    """The features with one knob's columns together shuffled among the designs in which it is active."""
    mixed, where, columns = features.copy(), np.flatnonzero(active), np.flatnonzero(mine)
    mixed[np.ix_(where, columns)] = features[np.ix_(random.permutation(where), columns)]
    return mixed


def _owners(space: Space) -> np.ndarray:
    """The knob of each column of `Space.features`."""
    widths = [1 if knob.ordered else len(knob) for knob in space.knobs]
    return np.repeat(np.arange(len(space.knobs)), widths)
