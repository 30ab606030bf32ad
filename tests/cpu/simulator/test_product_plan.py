"""Products with a weight for each element of their batch read every weight once where that fits."""

from __future__ import annotations

import pytest

import siliform as sf
from siliform.graph_ir.graph import Builder, Graph
from siliform.graph_ir.ops import OPS
from siliform.graph_ir.types import tensor

EXPERTS, TOKENS, WIDTH, WIDER = 8, 16, 64, 96


def experts(rows: int = TOKENS) -> Graph:
    b = Builder("experts")
    x = b.input("x", tensor("int8", rows, WIDTH))
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


@pytest.mark.parametrize("law", ["model", "bound"])
@pytest.mark.parametrize("design", ["edge-32x32", "nvidia-a100"])
@pytest.mark.parametrize("rows", [1, 2, 7, 8, 10])
def test_experts_without_a_row_are_not_fetched(rows: int, design: str, law: str) -> None:
    report = sf.estimate(experts(rows), sf.accelerator(design), bits="traced", law=law, objective="traffic")
    assert report.macs == rows * WIDTH * WIDER
    fetched = min(rows, EXPERTS) * WIDTH * WIDER
    beside = rows * WIDTH + 4 * EXPERTS + 4 * rows * WIDER
    assert fetched <= report.dram_bytes <= fetched + beside + 8  # each operand rounded up to whole bytes


@pytest.mark.parametrize("design", ["edge-32x32", "server-128x128", "nvidia-a100"])
def test_rows_that_do_not_divide_among_experts_are_all_computed(design: str) -> None:
    """Ten rows on eight experts take no less than eight, and no longer than two on every expert."""
    chip = sf.accelerator(design)
    eight, ten, sixteen = (
        sf.estimate(experts(rows), chip, bits="traced").parts[0].compute_cycles for rows in (8, 10, 16)
    )
    assert eight <= ten <= sixteen


def test_an_item_of_several_products_is_never_planned_as_one() -> None:
    from dataclasses import replace

    from siliform.simulator.product_plan import plan_product
    from siliform.simulator.work import work_of
    from siliform.simulator.workload import workload

    item = workload(experts()).items[0]
    work = work_of(item)
    twice = replace(work, products=(work.products[0], work.products[0]))
    with pytest.raises(ValueError, match="asks 2 products of one plan"):
        plan_product(item, twice, None)  # type: ignore[arg-type]
