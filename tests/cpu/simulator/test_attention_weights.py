"""Attention whose weights are not softmax's: fused on every design, without the work of rows."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

import siliform as sf
from siliform.graph_ir.errors import UserError
from siliform.graph_ir.graph import Builder, Graph
from siliform.graph_ir.ops import op_named
from siliform.graph_ir.types import tensor
from siliform.simulator.cluster.attention import Attention
from siliform.simulator.population import estimate_population

TOKENS = 512


@cache
def graph(weights: str) -> Graph:
    b = Builder("attention")
    q, k, v = (b.input(name, tensor("bf16", 1, 4, TOKENS, 64)) for name in "qkv")
    return b.finish(b(op_named("attention"), q, k, v, weights=weights))


@pytest.mark.parametrize("design", ["edge-32x32", "server-128x128", "nvidia-h100"])
@pytest.mark.parametrize("weights", ["sigmoid", "softplus"])
def test_scores_never_leave_the_chip(design: str, weights: str) -> None:
    report = sf.estimate(graph(weights), sf.accelerator(design))
    assert sum("attention" in part.op for part in report.parts) == 1
    assert not [part.op for part in report.parts if "matmul" in part.op or weights in part.op]
    assert report.dram_bytes == sf.estimate(graph("softmax"), sf.accelerator(design)).dram_bytes
    assert report.dram_bytes < 2 * 4 * TOKENS**2  # of scores alone, a byte each, out and in


@pytest.mark.parametrize("design", ["edge-32x32", "server-128x128"])
def test_sigmoid_is_faster_than_softmax(design: str) -> None:
    cycles = {w: sf.estimate(graph(w), sf.accelerator(design)).cycles for w in ("softmax", "sigmoid")}
    assert cycles["sigmoid"] < cycles["softmax"]


def accumulated(weights: str) -> float:
    """Joules of partial sums where an array of 16 x 16 takes 16 keys at a time, whatever the weights."""
    small = {"accumulator.bytes": "16 KiB", "array.rows": 16, "array.columns": 16}
    report = sf.estimate(graph(weights), sf.accelerator("edge-32x32", **small))
    (part,) = (part for part in report.parts if "attention" in part.op)
    assert (part.mapping["row_tile"], part.mapping["key_tile"]) == (16, 16)
    assert part.energy_by_cause_j is not None
    return part.energy_by_cause_j["accumulator"]


def test_weights_that_seek_no_maximum_rescale_no_sums() -> None:
    """By hand, accesses of a row: 512 scores in 4 folds of 16 of the width, 64 outputs in 32 key tiles, each
    read and written; softmax rescales the outputs behind each tile but the first."""
    scores, outputs, rescaled = 512 * 2 * 4, 64 * 2 * 32, 64 * 2 * 31
    found = {weights: accumulated(weights) for weights in ("softmax", "softplus", "sigmoid")}
    assert found["sigmoid"] == found["softplus"]
    by_hand = (scores + outputs + rescaled) / (scores + outputs)
    assert found["softmax"] / found["sigmoid"] == pytest.approx(by_hand, rel=1e-9)


@pytest.mark.parametrize("weights", ["softmax", "softplus", "sigmoid"])
def test_a_population_says_the_same(weights: str) -> None:
    kib = np.array([16, 32, 128]) * 1024
    together = estimate_population(graph(weights), sf.accelerator("edge-32x32"), {"accumulator.bytes": kib})
    for row, size in enumerate(kib):
        alone = sf.estimate(graph(weights), sf.accelerator("edge-32x32", **{"accumulator.bytes": int(size)}))
        assert together.cycles[row] == alone.cycles
        assert together.energy_j[row] == pytest.approx(alone.energy_j, rel=1e-9)


def test_events_agree_that_it_runs() -> None:
    events = sf.simulate(graph("sigmoid"), sf.accelerator("edge-32x32"))
    estimate = sf.estimate(graph("sigmoid"), sf.accelerator("edge-32x32"))
    assert events.cycles == pytest.approx(estimate.cycles, rel=0.1)


def test_it_is_not_cut_over_devices() -> None:
    (node,) = graph("sigmoid").nodes
    with pytest.raises(UserError) as caught:
        Attention.of(node)
    text = str(caught.value)
    assert "asked: sigmoid attention cut over devices" in text
    assert "found: exchanges that merge parts of softmax attention alone" in text
    assert "next:  use tensor or pipeline parallelism" in text


@pytest.mark.parametrize(
    ("weights", "each"),
    [("softmax", {"compare": 1, "exp": 1, "mul": 65, "add": 2}), ("softplus", {"add": 1}), ("sigmoid", {})],
)
def test_joining_parts_of_rows_takes_energy(weights: str, each: dict[str, int]) -> None:
    """Of a softmax a comparison, an exponential, 65 products and 2 additions for each row and each of its key
    tiles but the first; of softplus an addition; of sigmoids nothing."""
    told = []
    for kib in (16, 64):
        chip = sf.accelerator("edge-32x32", **{"accumulator.bytes": f"{kib} KiB"})
        (part,) = (p for p in sf.estimate(graph(weights), chip).parts if "attention" in p.op)
        assert part.energy_by_cause_j is not None
        merges = 4 * TOKENS * (-(-TOKENS // part.mapping["key_tile"]) - 1)
        told.append((part.energy_by_cause_j["compute"] * 1e12, merges))
    (many_pj, many), (few_pj, few) = told
    assert many != few or not each
    price = sum(count * chip.scalar_energy_pj(op, "fp32").number for op, count in each.items())
    assert many_pj - few_pj == pytest.approx((many - few) * price, rel=1e-6, abs=1.0)
