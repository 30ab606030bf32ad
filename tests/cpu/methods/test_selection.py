"""Choosing rows: order, triangles, fixed point, and the units on which choosing and fetching run."""

from __future__ import annotations

import pytest
import torch

import siliform as sf
from siliform.models.blocks.selection import best, best_before, fixed_point, rows_at
from siliform.models.build import build_graph
from siliform.models.request import Request


@pytest.mark.parametrize("bits", [None, 8, 16])
def test_the_best_are_the_largest(bits: int | None) -> None:
    scores = torch.tensor([[0.5, -3.0, 2.0, 1.0], [-9.0, -1.0, -2.0, -30.0]])
    assert best(scores, 3, bits).tolist() == [[2, 3, 0], [1, 2, 0]]


@pytest.mark.parametrize("bits", [None, 8, 16])
def test_a_row_of_a_triangle_chooses_from_the_columns_before_it(bits: int | None) -> None:
    scores = torch.tensor([[5.0, -6.0, 7.0, 1.0], [-15.0, -6.0, 3.0, 2.0], [0.25, 0.75, 0.5, 9.0]])
    index, there = best_before(scores, 2, 0, bits)
    assert there.tolist() == [[True, False], [True, True], [True, True]]
    assert index[there].tolist() == [0, 1, 0, 1, 2]
    assert best_before(scores, 2, -1, bits)[1].sum(-1).tolist() == [0, 1, 2]


def test_fixed_point_rounds_and_saturates() -> None:
    scores = torch.tensor([0.0, 1.0, -1.0, 15.9, 40.0, -40.0, 2.0**-12 * 3])
    assert fixed_point(scores, 16).tolist() == [0, 2048, -2048, 32563, 32767, -32767, 2]
    assert fixed_point(scores, 8).tolist() == [0, 8, -8, 127, 127, -127, 0]
    assert fixed_point(scores, 16).dtype is torch.int16


@pytest.mark.parametrize("lead", [0, 1, 2])
def test_rows_are_those_that_indices_name(lead: int) -> None:
    torch.manual_seed(0)
    shape = (2, 3)[:lead]
    rows, index = torch.randn(*shape, 7, 4, 5), torch.randint(7, (*shape, 2, 6))
    taken = rows_at(rows, index, lead)
    assert taken.shape == (*shape, 2, 6, 4, 5)
    for place in torch.cartesian_prod(*(torch.arange(n) for n in index.shape)).tolist():
        *entry, i, j = place
        assert torch.equal(taken[(*entry, i, j)], rows[(*entry, index[tuple(place)])])


@pytest.mark.parametrize("name", ["biformer", "landmark", "chunkllm", "routing", "axformer"])
def test_choosing_and_fetching_run_on_their_units(name: str) -> None:
    graph = build_graph(f"mixer:{name}", Request(sequence=1024))
    report = sf.estimate(graph, sf.accelerator("routing-edge"))
    units = {op: {part.unit for part in report.parts if part.op == op} for op in ("top_k", "take")}
    # A cluster of the Routing Transformer keeps sqrt(N) tokens, more than the selector has places for.
    chooser = "vector+gather" if name == "routing" else "topk"
    assert units == {"top_k": {chooser}, "take": {"gather"}}
