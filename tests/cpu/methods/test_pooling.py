"""Pooling in place of attention: what its paper says it computes, and what a PoolFormer costs."""

from __future__ import annotations

import pytest
import torch

from siliform.graph_ir.errors import UserError
from siliform.models.build import build_graph
from siliform.models.catalogue import model_named
from siliform.models.mixers.pooling import Pooling, PoolingMixer
from siliform.models.request import Request


def test_pooling_is_the_mean_of_the_neighbours_less_itself() -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 25, 3, dtype=torch.float64)
    mixed = PoolingMixer(3, 1)(x)
    grid = x.view(2, 5, 5, 3)
    for row, column in ((0, 0), (0, 3), (2, 2), (4, 4)):
        near = grid[:, max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2]
        expected = near.mean((1, 2)) - grid[:, row, column]
        torch.testing.assert_close(mixed[:, 5 * row + column], expected)


def test_a_constant_map_is_mixed_to_nothing() -> None:
    x = torch.full((1, 4, 7, 7), 3.0, dtype=torch.float64)
    torch.testing.assert_close(Pooling()(x), torch.zeros_like(x))


def test_a_length_that_is_no_square_is_refused() -> None:
    with pytest.raises(UserError) as told:
        PoolingMixer(4, 1)(torch.zeros(1, 24, 4))
    assert "asked: 24 tokens on a square map" in str(told.value)
    assert "give a square number such as 16 or 25" in str(told.value)


@pytest.mark.parametrize("size", ["s12", "m36"])
def test_counts_by_hand(size: str) -> None:
    spec = model_named(f"poolformer-{size}")
    widths, depths = spec.configuration["widths"], spec.configuration["depths"]
    graph = build_graph(spec, Request())
    side, inputs, patch, macs, parameters = 56, 3, 7, 0, 0
    for width, depth in zip(widths, depths, strict=True):
        macs += side**2 * (patch**2 * inputs * width + depth * 8 * width**2)
        parameters += patch**2 * inputs * width + width
        # A block: two norms of 2 W, two scales of W, 4 W² + 4 W up, 4 W² + W down.
        parameters += depth * (4 * width + 2 * width + 8 * width**2 + 5 * width)
        side, inputs, patch = side // 2, width, 3
    assert graph.macs == macs + widths[-1] * 1000
    assert graph.parameter_count == parameters + 2 * widths[-1] + widths[-1] * 1000 + 1000
    assert graph.parameter_count == spec.parameters
