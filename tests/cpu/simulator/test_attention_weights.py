"""Attention whose weights are not softmax's: fused on every design, without the work of rows."""

from __future__ import annotations

from functools import cache

import pytest

import siliform as sf
from siliform.graph_ir.errors import UserError
from siliform.graph_ir.graph import Builder, Graph
from siliform.graph_ir.ops import op_named
from siliform.graph_ir.types import tensor
from siliform.simulator.cluster.attention import Attention

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
