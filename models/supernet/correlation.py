"""How well inherited accuracy tells retrained accuracy: is a search on shared weights a search for networks?

``python -m siliform.models.supernet.correlation --folder DIR`` draws members of a family, judges each with
the shared weights, trains each from scratch for as many steps as the family was trained, judges it again, and
prints rank correlations. Both accuracies are of the validation images, in the member's own formats.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from siliform.graph_ir.errors import UserError
from siliform.graph_ir.knobs import Value
from siliform.models.supernet.data import SOURCES, data_named
from siliform.models.supernet.judging import correct, deployed
from siliform.models.supernet.network import VitSupernet
from siliform.models.supernet.training import Progress, train_alone

RESAMPLES = 2000  # of the bootstrap: its 2.5 % and 97.5 % points then rest on 50 resamples each
LEAST_MEMBERS = 3  # a rank correlation of two says nothing


@dataclass(frozen=True)
class Pair:
    """One member: its choices, and its two accuracies."""

    choices: dict[str, Value]
    inherited: float
    retrained: float


@dataclass(frozen=True)
class Agreement:
    """Rank correlations over the pairs, each with the ends of its 95 % bootstrap interval."""

    pairs: tuple[Pair, ...]
    kendall: tuple[float, float, float]
    spearman: tuple[float, float, float]


def agreement(network: VitSupernet, count: int, seed: int, progress: Progress) -> Agreement:
    """`count` random members of a prepared network, each judged both ways; the seed decides which.

    Raises
    ------
    UserError : fewer than three members.
    """
    if count < LEAST_MEMBERS:
        raise UserError(
            asked=f"a rank correlation over {count} sub-networks",
            found="too few for one",
            where="models/supernet/correlation.py",
            next_step=f"give --count {LEAST_MEMBERS} or more",
        )
    draw = np.random.default_rng([seed, 3])
    members = [network.family.drawn(draw) for _ in range(count)]
    data, pairs = data_named(network.data), []
    for done, member in enumerate(members):
        progress("training members alone", done, count)
        choices = network.family.choices(member)
        own = deployed(train_alone(member, network.recipe, data.train), member, data.train)
        retrained = correct(own, data.validation) / len(data.validation)
        pairs.append(Pair(choices, network.measure(choices)["accuracy"], retrained))
    progress("training members alone", count, count)
    known = np.array([(pair.inherited, pair.retrained) for pair in pairs])
    return Agreement(
        tuple(pairs), with_interval(kendall_tau, known, seed), with_interval(spearman_rho, known, seed)
    )


def kendall_tau(a: np.ndarray, b: np.ndarray) -> float:
    """Kendall's tau-b of two samples, ties corrected; NaN where one does not vary.

    Kendall, The Treatment of Ties in Ranking Problems, Biometrika 33, 1945, section 5.
    """
    first, second = (np.sign(np.subtract.outer(x, x)) for x in (a, b))
    norm = np.sqrt(np.square(first).sum() * np.square(second).sum())
    return float((first * second).sum() / norm) if norm else float("nan")


def spearman_rho(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman's rho of two samples: the correlation of their ranks, ties sharing their mean rank."""
    first, second = (np.sign(np.subtract.outer(x, x)).sum(1) for x in (a, b))
    norm = np.sqrt(np.square(first).sum() * np.square(second).sum())
    return float((first * second).sum() / norm) if norm else float("nan")


def with_interval(
    statistic: Callable[[np.ndarray, np.ndarray], float], pairs: np.ndarray, seed: int
) -> tuple[float, float, float]:
    """A statistic of pairs [n, 2], and its 95 % percentile bootstrap interval (Efron, 1979)."""
    draw = np.random.default_rng([seed, 4])
    chosen = draw.integers(0, len(pairs), (RESAMPLES, len(pairs)))
    found = [statistic(*pairs[rows].T) for rows in chosen]
    low, high = np.nanpercentile(found, [2.5, 97.5])
    return statistic(*pairs.T), float(low), float(high)


def report(found: Agreement) -> str:
    """The figures as lines of text."""
    lines = ["inherited  retrained  depth  width  weights"]
    for pair in sorted(found.pairs, key=lambda pair: pair.retrained):
        weights = " ".join(str(v) for k, v in pair.choices.items() if k.startswith("bits.weight"))
        sizes = f"{pair.choices.get('depth', '-'):>5}  {pair.choices.get('width', '-'):>5}"
        lines.append(f"{pair.inherited:9.3f}  {pair.retrained:9.3f}  {sizes}  {weights}")
    for name, (value, low, high) in (("Kendall tau", found.kendall), ("Spearman rho", found.spearman)):
        lines.append(
            f"{name} {value:.2f} (95 % interval {low:.2f} to {high:.2f}, {len(found.pairs)} sub-networks)"
        )
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line; 2 on a user's mistake."""
    parser = argparse.ArgumentParser(
        prog="python -m siliform.models.supernet.correlation", description=__doc__
    )
    parser.add_argument("--data", default="digits", choices=list(SOURCES))
    parser.add_argument("--folder", type=Path, required=True, help="where trained weights are kept")
    parser.add_argument("--count", type=int, default=12, help="sub-networks to train from scratch")
    parser.add_argument("--seed", type=int, default=0, help="of the sub-networks drawn and of training")
    parser.add_argument("--epochs", type=int, help="of training, both ways; the data set's own otherwise")
    parser.add_argument("--train-images", type=int, help="how many training images to use; all otherwise")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    given = parser.parse_args(arguments)
    try:
        network = VitSupernet(
            given.data, epochs=given.epochs, train_images=given.train_images, seed=given.seed
        )
        network.prepare(given.folder, _told)
        found = agreement(network, given.count, given.seed, _told)
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    told: Callable[[Any], str] = partial(json.dumps, indent=2)
    print(told(asdict(found)) if given.json else report(found))
    return 0


def _told(what: str, done: int, total: int) -> None:
    if done == total or done % max(total // 20, 1) == 0:
        print(f"{what}: {done} of {total}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
