"""Labelled texts, as the packages hold them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from siliform.models.data.folder import held


@dataclass(frozen=True)
class Labelled:
    """Texts, each with one label; `classes` are the labels' names, by number.

    Attributes
    ----------
    texts : in a fixed order.
    labels : int64 [texts], places in `classes`.
    """

    texts: tuple[str, ...]
    labels: np.ndarray
    classes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.texts)

    def take(self, places: np.ndarray) -> Labelled:
        """Those at `places`, in that order."""
        return Labelled(tuple(self.texts[i] for i in places), self.labels[places], self.classes)


#: Seed of the one shuffle that parts movie snippets into a training and a test split.
_SPLIT_SEED = 20_140_601  # Hutto and Gilbert, ICWSM, June 2014; any number would do

#: Test examples of the movie snippets, taken first from the shuffle.
_MOVIE_TESTS = 2_000


def movie_sentiment() -> tuple[Labelled, Labelled]:
    """Movie review snippets as (training, test): is the mean human rating above or below zero?

    Twenty people rated each snippet from -4 to 4. Snippets rated exactly zero have no side and are left
    out; a snippet that stands twice is kept once, so that none is in both splits. The file has no splits
    of its own: ours is one shuffle with a fixed seed.
    Source: Hutto and Gilbert, "VADER", ICWSM 2014; the snippets are Pang and Lee's, ACL 2005.
    """
    rated: dict[str, float] = {}
    for line in (held("movies") / "movies.tsv").read_text(encoding="utf-8").splitlines():
        _, rating, text = line.split("\t", 2)
        rated.setdefault(text.strip(), float(rating))
    pairs = [(text, rating) for text, rating in rated.items() if rating != 0]
    order = np.random.default_rng(_SPLIT_SEED).permutation(len(pairs))
    labels = np.array([int(pairs[i][1] > 0) for i in order], np.int64)
    everything = Labelled(tuple(pairs[i][0] for i in order), labels, ("negative", "positive"))
    places = np.arange(len(everything))
    return everything.take(places[_MOVIE_TESTS:]), everything.take(places[:_MOVIE_TESTS])


def reuters_r8() -> tuple[Labelled, Labelled]:
    """Reuters R8 as (training, test), its own splits, each in an order shuffled once.

    News of 1987 in the eight most frequent topics of those with a single one.
    Source: Reuters-21578, the "modified Apte" split; prepared by Cardoso-Cachopo, 2007.
    """
    folder = held("reuters")
    rows = {split: _rows(folder / f"{split}.tab") for split in ("train", "test")}
    classes = tuple(sorted({label for label, _ in rows["train"]}))
    made = []
    for split in ("train", "test"):
        labels = np.array([classes.index(label) for label, _ in rows[split]], np.int64)
        all_of_it = Labelled(tuple(text for _, text in rows[split]), labels, classes)
        made.append(all_of_it.take(np.random.default_rng(_SPLIT_SEED).permutation(len(labels))))
    return made[0], made[1]


def _rows(path: Path) -> list[tuple[str, str]]:
    """(label, text) of a file in Orange's format: three lines of header, then a row a line."""
    lines = path.read_text(encoding="utf-8").split("\n")[3:]
    return [(label, text) for label, _, text in (line.partition("\t") for line in lines) if text]
