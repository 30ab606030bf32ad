"""How exact the public tables are: what the script computes, on tables made up here."""

from __future__ import annotations

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from benchmarks.gpu_noise import TREES, Noise, between, learnt, lines
from siliform.arch.tech.measured import Rows, held_out


def rows(count: int, factor: float, skip: int = 0) -> Rows:
    """Products of sizes drawn once, whose time is their number of operations."""
    m, n, k = (np.random.default_rng(i).integers(16, 8192, count)[skip:] for i in range(3))
    seconds = factor * (1e-6 + m * n * k / 1e14)
    return Rows(
        "gemm", "nvidia-h100", "vllm", "1", "bf16", {"m": m, "n": n, "k": k}, seconds, held_out(m, n, k)
    )


def test_libraries_are_apart_by_what_they_take_of_the_same_products() -> None:
    assert between(rows(50, 1.0), rows(50, 1.0)) == 0
    assert between(rows(50, 1.1), rows(50, 1.0, skip=20)) == pytest.approx(0.1)


def test_trees_learn_what_follows_from_the_shape(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TREES, "max_iter", 120)
    known = rows(2000, 1.0)
    blurred = Rows(**{**known.__dict__, "seconds": known.seconds * np.tile([0.7, 1.3], 1000)})
    with threadpool_limits(1):  # threads that wait for each other take longer than so small a work
        assert learnt(known, 132) < 0.1
        assert learnt(blurred, 132) > 0.2  # noise is not learnt


def test_a_gpu_is_told_in_two_lines() -> None:
    told = list(lines(Noise("nvidia-h100", {"a/b": 0.1}, {"a": 0.25})))
    assert told == ["nvidia-h100  between libraries: a/b 10.0%", "nvidia-h100  learnt by heart: a 25.0%"]
