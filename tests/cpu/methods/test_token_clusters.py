"""Expedit, BUS and MAELRE: few tokens stand for many, and what they stand for is kept or rebuilt."""

from __future__ import annotations

from math import ceil

import pytest
import torch

from siliform.graph_ir.errors import UserError
from siliform.models.blocks.merging import ProportionalAttention
from siliform.models.build import build_graph
from siliform.models.catalogue import model_named
from siliform.models.networks.bus import PatchScores, selected
from siliform.models.networks.maelre import CheapThenExact
from siliform.models.reducers.clustering import TokenClustering, reconstructed
from siliform.models.reducers.halving import Halving, halved
from siliform.models.request import Request


def cell_of(token: int, side: int, across: int) -> tuple[int, int]:
    """Row and column of a token's cell: `side` cells across a map of `across` tokens."""
    p = across // side
    return token // across // p, token % across // p


def test_centres_are_means_weighted_by_shares_of_near_tokens() -> None:
    torch.manual_seed(0)
    side, across, window, tau = 3, 6, 3, 2.0
    x = torch.randn(2, across**2, 5, dtype=torch.float64)
    made = TokenClustering(side, window, 1, tau)(x)
    begun = TokenClustering(side, window, 0, tau)(x)
    scores = -(x.unsqueeze(2) - begun.unsqueeze(1)).square().sum(-1) / tau
    for token in range(across**2):
        row, column = cell_of(token, side, across)
        for centre in range(side**2):
            if max(abs(row - centre // side), abs(column - centre % side)) > window // 2:
                scores[:, token, centre] = float("-inf")
    share = scores.softmax(-1)
    torch.testing.assert_close(made, share.transpose(1, 2) @ x / share.sum(1).unsqueeze(-1))


def test_begun_centres_are_means_of_cells() -> None:
    x = torch.randn(1, 36, 4, dtype=torch.float64)
    centres = TokenClustering(3, 3, 0)(x)
    cells = [[t for t in range(36) if cell_of(t, 3, 6) == divmod(cell, 3)] for cell in range(9)]
    torch.testing.assert_close(centres, torch.stack([x[:, cell].mean(1) for cell in cells], dim=1))


def test_tokens_that_are_their_own_clusters_come_back() -> None:
    torch.manual_seed(0)
    x, after = torch.randn(2, 2, 16, 6, dtype=torch.float64)
    torch.testing.assert_close(reconstructed(x, x, after, 3, 1e-3), after)
    weights = (-(x.unsqueeze(2) - x.unsqueeze(1)).square().sum(-1)).softmax(-1)
    torch.testing.assert_close(reconstructed(x, x, after, 16, 1.0), weights @ after)


def test_halved_tokens_keep_weighted_sums_and_their_order() -> None:
    torch.manual_seed(0)
    x, keys = torch.randn(2, 24, 5, dtype=torch.float64), torch.randn(2, 3, 24, 4, dtype=torch.float64)
    size = torch.rand(2, 24, 1, dtype=torch.float64) + 1
    out, total = Halving(8)(x, keys, size)
    assert out.shape == (2, 12, 5)
    weighted = (x * size).view(2, 3, 8, 5).sum(2)
    torch.testing.assert_close((out * total).view(2, 3, 4, 5).sum(2), weighted)
    whole, sizes = halved(keys.mean(1)).merged(x, size)
    one, _ = Halving(24)(x, keys, size)
    torch.testing.assert_close(one, whole)
    assert bool((sizes >= size[:, 1::2]).all())


def test_cheap_and_exact_attention_count_copies() -> None:
    torch.manual_seed(0)
    cheap, x = CheapThenExact(12, 3, 0).double(), torch.randn(1, 5, 12, dtype=torch.float64)
    size = torch.tensor([1, 3, 1, 2, 4])
    copies, ones = x.repeat_interleave(size, dim=1), torch.ones(1, 11, 1, dtype=torch.float64)
    mixed, _ = cheap(x, size.double().view(1, -1, 1))
    torch.testing.assert_close(
        mixed.repeat_interleave(size, dim=1), cheap(copies, ones)[0], atol=1e-6, rtol=0
    )
    exact, plain = CheapThenExact(12, 3, 5).double(), ProportionalAttention(12, 3).double()
    plain.load_state_dict(exact.state_dict())
    torch.testing.assert_close(
        exact(x, size.double().view(1, -1, 1))[0], plain(x, size.double().view(1, -1, 1))[0]
    )


def test_a_length_that_windows_do_not_divide_is_refused() -> None:
    with pytest.raises(UserError) as refused:
        build_graph(model_named("maelre-base").tiny(), Request(sequence=60))
    assert refused.value.found == "windows that are halved together need a multiple of 8"
    assert refused.value.next_step == "give 56"


def test_the_fused_token_is_the_mean_of_what_was_not_selected() -> None:
    torch.manual_seed(0)
    x, scores = torch.randn(2, 8, 5, dtype=torch.float64), torch.rand(2, 7, dtype=torch.float64)
    out = selected(x, scores, 3)
    for b in range(2):
        order = scores[b].argsort(descending=True)
        torch.testing.assert_close(out[b, :4], torch.cat((x[b, :1], x[b, 1:][order[:3]])))
        share = scores[b, order[3:], None]
        torch.testing.assert_close(out[b, 4], (x[b, 1:][order[3:]] * share).sum(0) / share.sum())


def test_scores_are_those_of_one_layer_over_patch_and_text() -> None:
    torch.manual_seed(0)
    made = PatchScores(6).double()
    x, text = torch.randn(2, 5, 6, dtype=torch.float64), torch.randn(2, 6, dtype=torch.float64)
    both = torch.cat((x, text.unsqueeze(1).expand_as(x)), dim=-1)
    hidden = both @ torch.cat((made.patch.weight, made.text.weight), dim=1).T + made.patch.bias
    expected = torch.sigmoid(made.score(torch.nn.functional.gelu(hidden))).squeeze(-1)
    torch.testing.assert_close(made(x, text), expected)


def dense_layer(tokens: int, d: int) -> int:
    return 12 * tokens * d**2 + 2 * tokens**2 * d


def test_counts_of_expedit_by_hand() -> None:
    graph = build_graph(model_named("vit-large-expedit").tiny())
    d, tokens, clusters, near, iterations, neighbours = 32, 64, 16, 9, 2, 4
    macs = tokens * 3 * 16**2 * d + dense_layer(tokens, d) + 2 * dense_layer(clusters, d)
    macs += iterations * 2 * tokens * near * d + tokens * clusters * d + tokens * neighbours * d
    assert graph.macs == macs
    assert graph.parameter_count == 3 * (12 * d**2 + 13 * d) + 3 * 16**2 * d + d + tokens * d + 2 * d


def test_counts_of_bus_by_hand() -> None:
    graph = build_graph(model_named("bus-vit-base").tiny())
    d, patches, summaries = 32, 16, 3
    left = ceil(patches * 0.5) + 2
    scores = [n * d**2 + d**2 + n * d for n in (patches, left)]
    macs = patches * 3 * 16**2 * d + dense_layer(patches + 1, d) + dense_layer(left, d) + sum(scores)
    macs += 4 * summaries * d**2 + 2 * summaries**2 * d
    macs += 2 * (summaries + left) * d**2 + 2 * summaries * left * d + 8 * summaries * d**2
    assert graph.macs == macs
    layer = 12 * d**2 + 13 * d
    scorer = 2 * d**2 + d + d + 1
    ends = 3 * 16**2 * d + d + (patches + 1) * d + d + 2 * d
    assert graph.parameter_count == 3 * layer + 4 * d**2 + 6 * d + 2 * scorer + ends


def test_counts_of_maelre_by_hand() -> None:
    graph = build_graph(model_named("maelre-base").tiny())
    d, heads, c, tokens, window = 32, 4, 8, 64, 8
    macs = 4 * tokens * d**2 + 2 * tokens * d * c + tokens * d
    macs += tokens // window * (window // 2) ** 2 * c
    macs += 8 * tokens // 2 * d**2 + dense_layer(tokens // 2, d)
    assert graph.macs == macs
    assert graph.parameter_count == 2 * (12 * d**2 + 13 * d) + 2 * d
    assert heads * c == d
