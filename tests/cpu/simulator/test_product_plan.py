"""Products with a weight for each element of their batch read every weight once where that fits."""

from __future__ import annotations

import pytest

import siliform as sf
from siliform.graph_ir.graph import Builder, Graph
from siliform.graph_ir.ops import OPS
from siliform.graph_ir.types import tensor

EXPERTS, TOKENS, WIDTH, WIDER = 8, 16, 64, 96


def experts() -> Graph:
    b = Builder("experts")
    x = b.input("x", tensor("int8", TOKENS, WIDTH))
    weights = b.parameter("w", tensor("int8", EXPERTS, WIDER, WIDTH))
    counts = b.input("counts", tensor("int32", EXPERTS))
    return b.finish(b(OPS["grouped_matmul"], x, weights, counts))


def grouped_convolution() -> Graph:
    b = Builder("groups")
    x = b.input("x", tensor("int8", 1, EXPERTS * 8, 16))
    return b.finish(b(OPS["conv"], x, b.parameter("w", tensor("int8", EXPERTS * 8, 8, 1)), groups=EXPERTS))


@pytest.mark.parametrize("design", ["edge-32x32", "edge-16x16-gemmini"])
@pytest.mark.parametrize("make", [experts, grouped_convolution])
def test_weights_of_groups_cross_once(make, design: str) -> None:  # type: ignore[no-untyped-def]
    graph = make()
    values = (*graph.inputs, *graph.parameters, *graph.outputs)
    compulsory_bytes = sum(value.type.bytes for value in values if value.name != "counts")
    report = sf.estimate(graph, sf.accelerator(design), bits="traced", objective="traffic")
    assert compulsory_bytes <= report.dram_bytes <= compulsory_bytes + 4 * EXPERTS + 2
