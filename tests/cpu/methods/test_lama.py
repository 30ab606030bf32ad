"""LAMA: its two projections are bilinear forms of rank one, and its cost grows with the tokens alone."""

from __future__ import annotations

import torch

from siliform.models.build import build_graph
from siliform.models.networks.lama import LowRankPooling
from siliform.models.request import Request


def test_two_projections_are_a_bilinear_form_of_rank_one_a_head() -> None:
    torch.manual_seed(0)
    pooling, x = LowRankPooling(7, 3).double(), torch.randn(2, 11, 7, dtype=torch.float64)
    pooled = pooling(x)
    for head in range(3):
        form = torch.outer(pooling.of_context.weight[head], pooling.of_tokens.weight[head])
        weights = torch.stack([x[:, n] @ form.T @ pooling.context for n in range(11)], 1).softmax(1)
        torch.testing.assert_close(pooled[:, head], (weights.unsqueeze(-1) * x).sum(1))


def test_counts_by_hand() -> None:
    width, heads, classes = 300, 15, 5
    for tokens in (100, 200):
        graph = build_graph("lama-yelp", Request(sequence=tokens))
        assert graph.macs == 2 * tokens * width * heads + width * heads + heads * width * classes
    trained = 2 * width * heads + width + heads * width * classes + classes
    assert graph.parameter_count == trained + 30_000 * width + 200 * width
