"""Rank correlations, and the program that reports them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from siliform.graph_ir.errors import UserError
from siliform.models.supernet import VitSupernet
from siliform.models.supernet.correlation import (
    agreement,
    kendall_tau,
    main,
    report,
    spearman_rho,
    with_interval,
)


@pytest.mark.parametrize("levels", [3, 1000])
def test_rank_correlations_are_scipys(levels: int) -> None:
    """With many ties and with few."""
    draw = np.random.default_rng(0)
    for _ in range(20):
        a = draw.integers(0, levels, 11)
        b = a + draw.integers(0, levels, 11)
        assert kendall_tau(a, b) == pytest.approx(stats.kendalltau(a, b).statistic)
        assert spearman_rho(a, b) == pytest.approx(stats.spearmanr(a, b).statistic)
    assert np.isnan(kendall_tau(np.ones(3), np.arange(3)))
    assert np.isnan(spearman_rho(np.ones(3), np.arange(3)))


def test_interval_holds_the_value_and_narrows() -> None:
    """With more pairs the bootstrap is surer; the seed alone decides."""
    draw = np.random.default_rng(1)
    widths = []
    for count in (8, 80):
        a = draw.normal(size=count)
        pairs = np.stack([a, a + draw.normal(size=count)], 1)
        value, low, high = with_interval(kendall_tau, pairs, seed=0)
        assert low <= value <= high
        assert with_interval(kendall_tau, pairs, seed=0) == (value, low, high)
        widths.append(high - low)
    assert widths[1] < widths[0] / 2


def test_members_are_judged_both_ways(tmp_path: Path) -> None:
    """Inherited accuracy is `measure`'s; the retrained one is of a network of the same choices."""
    network = VitSupernet(
        depth=(1,), width=(8, 16), heads=(1,), ffn=(16,), epochs=1, batch_images=50, train_images=100
    )
    network.prepare(tmp_path, lambda *_: None)
    told: list[int] = []
    found = agreement(network, 3, 0, lambda what, done, total: told.append(done))
    assert told == [0, 1, 2, 3]
    assert [pair.inherited for pair in found.pairs] == [
        network.measure(pair.choices)["accuracy"] for pair in found.pairs
    ]
    assert len({pair.retrained for pair in found.pairs}) > 1
    assert "Kendall tau" in report(found)


def test_two_members_are_too_few() -> None:
    """No correlation is made up."""
    with pytest.raises(UserError) as caught:
        agreement(VitSupernet(), 2, 0, lambda *_: None)
    assert caught.value.next_step == "give --count 3 or more"


def test_the_program_prints_one_json_object(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Figures on stdout, progress on stderr, a mistake in four parts."""
    given = ["--folder", str(tmp_path), "--count", "3", "--epochs", "1", "--train-images", "64", "--json"]
    assert main(given) == 0
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert len(found["pairs"]) == 3
    assert len(found["kendall"]) == 3
    assert "training members alone: 3 of 3" in err
    assert main(["--folder", str(tmp_path), "--count", "1", "--epochs", "1", "--train-images", "64"]) == 2
    assert "next:  give --count 3 or more" in capsys.readouterr().err
