"""The program that prints accuracies of a supernet's members."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from siliform.models.supernet import VitSupernet
from siliform.models.supernet.__main__ import VARIANTS, main


def test_it_prints_the_accuracies_of_variants_and_members(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--folder", str(tmp_path), "--epochs", "1", "--train-images", "64", "--members", "2"]
    assert main([*given, "--json"]) == 0
    out, err = capsys.readouterr()
    assert "training the supernet: 1 of 1" in err
    found = json.loads(out)["judged"]
    assert [one["network"] for one in found] == [*VARIANTS, "random 0", "random 1"]
    network = VitSupernet(epochs=1, train_images=64)
    network.prepare(tmp_path, lambda what, done, total: None)
    assert found[0]["validation"] == network.measure(network.full())
    assert found[0]["test"] == network.test_accuracy(network.full())
    hashed = network.full() | {f"attention[{layer}]": "hash" for layer in range(4)}
    assert found[2]["test"] == network.test_accuracy(hashed)
    assert found[-1]["validation"] == network.measure(found[-1]["choices"])
    assert main(given) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["network", "validation", "test"]
    share = found[0]["validation"]
    told = [f"{100 * share[name]:.1f}" for name in ("accuracy", "accuracy_low", "accuracy_high")]
    assert f"{told[0]} % ({told[1]} to {told[2]})" in lines[1]
    assert lines[-1].startswith("2 random members")


def test_a_mistake_is_told_in_four_parts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--folder", str(tmp_path), "--epochs", "0"]) == 2
    assert "next:  give a whole number of 1 or more" in capsys.readouterr().err
