"""How sure a measured accuracy is, and whether two of them differ: from right or wrong per example."""

from __future__ import annotations

from dataclasses import dataclass
from math import comb, sqrt

import numpy as np

#: Normal quantile of a two-sided 95 % interval.
_Z95 = 1.959964


@dataclass(frozen=True)
class Interval:
    """An estimate with its bounds."""

    value: float
    low: float
    high: float


def wilson(right: int, examples: int, z: float = _Z95) -> Interval:
    """The share `right` / `examples` with Wilson's score interval, 95 % by default.

    It stays within [0, 1] and holds its level for shares near both, where the usual one does not.
    ValueError where `right` does not lie in 0 to `examples`, or there are no examples.
    Source: Wilson, "Probable inference", JASA 1927.
    """
    if not 0 <= right <= examples or examples < 1:
        raise ValueError(f"{right} right of {examples} examples")
    share = right / examples
    shrunk = 1 + z * z / examples
    middle = (share + z * z / (2 * examples)) / shrunk
    half = z / shrunk * sqrt(share * (1 - share) / examples + z * z / (4 * examples**2))
    return Interval(share, max(0.0, middle - half), min(1.0, middle + half))


def accuracy(correct: np.ndarray) -> Interval:
    """The share of true ones among `correct`, bool [examples], with its 95 % interval."""
    known = _checked(correct)
    return wilson(int(known.sum()), known.size)


def mcnemar(first: np.ndarray, second: np.ndarray) -> float:
    """Two-sided exact p-value of "both are right equally often", for two models on the same examples.

    Only examples that one has right and the other wrong count; under the hypothesis each is a fair coin.

    Parameters
    ----------
    first, second : bool [examples], right or wrong, in the same order.

    Source: McNemar, Psychometrika 1947; the exact binomial form.
    """
    a, b = _pair(first, second)
    only_first, only_second = int((a & ~b).sum()), int((~a & b).sum())
    differing, fewer = only_first + only_second, min(only_first, only_second)
    if only_first == only_second:
        return 1.0
    tail = sum(comb(differing, k) for k in range(fewer + 1))
    return min(1.0, 2 * tail / 2**differing)


def difference(first: np.ndarray, second: np.ndarray, draws: int = 10_000, seed: int = 0) -> Interval:
    """Accuracy of `second` less that of `first`, with a paired bootstrap interval of 95 %.

    Examples are drawn with replacement, both models' answers together. A draw of n examples is a
    multinomial of how many are won, lost and alike, so a draw costs the same for any n.

    Source: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13 (percentiles).
    """
    a, b = _pair(first, second)
    won, lost = int((~a & b).sum()), int((a & ~b).sum())
    shares = np.array([won, lost, a.size - won - lost]) / a.size
    drawn = np.random.default_rng(seed).multinomial(a.size, shares, size=draws)
    low, high = np.quantile((drawn[:, 0] - drawn[:, 1]) / a.size, (0.025, 0.975))
    return Interval((won - lost) / a.size, float(low), float(high))


def _pair(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    a, b = _checked(first), _checked(second)
    if a.shape != b.shape:
        raise ValueError(f"{a.size} and {b.size} examples; a paired test needs the same ones")
    return a, b


def _checked(correct: np.ndarray) -> np.ndarray:
    known = np.asarray(correct)
    if known.dtype != np.dtype(bool) or known.ndim != 1 or not known.size:
        raise ValueError(f"{known.dtype} {list(known.shape)}; right or wrong is a list of true and false")
    return known
