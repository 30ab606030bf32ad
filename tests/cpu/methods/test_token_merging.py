"""ToMe and PiToMe: merged tokens keep weighted sums, and attention sees them as the copies they stand for."""

from __future__ import annotations

import pytest
import torch

from siliform.graph_ir.errors import UserError
from siliform.models.blocks.merging import ProportionalAttention
from siliform.models.build import build_graph
from siliform.models.catalogue import model_named
from siliform.models.networks.deit import ToMeDeiT
from siliform.models.networks.plain_vit import PatchTokens
from siliform.models.reducers.merging import Pairing, bipartite
from siliform.models.reducers.pitome import energetic, energies
from siliform.models.request import Request

BATCH, TOKENS, WIDTH, MERGED = 3, 17, 6, 5


def pairing(kind: str, metric: torch.Tensor, merged: int = MERGED) -> Pairing:
    return bipartite(metric, merged) if kind == "tome" else energetic(metric, merged, 0.5)


def drawn() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    x = torch.randn(BATCH, TOKENS, WIDTH, dtype=torch.float64)
    size = torch.randint(1, 5, (BATCH, TOKENS, 1)).double()
    return x, size, torch.randn(BATCH, TOKENS, 4, dtype=torch.float64)


@pytest.mark.parametrize("kind", ["tome", "pitome"])
def test_merged_tokens_keep_weighted_sums(kind: str) -> None:
    x, size, metric = drawn()
    merged, total = pairing(kind, metric).merged(x, size)
    assert merged.shape == (BATCH, TOKENS - MERGED, WIDTH)
    torch.testing.assert_close((merged * total).sum(1), (x * size).sum(1))
    torch.testing.assert_close(total.sum(1), size.sum(1))


@pytest.mark.parametrize("kind", ["tome", "pitome"])
def test_the_class_token_stays_first_and_alone(kind: str) -> None:
    found = pairing(kind, drawn()[2])
    assert bool((found.kept[:, 0] == 0).all())
    assert bool((found.into > 0).all())
    assert bool((torch.cat((found.kept, found.gone), 1).sort(1).values == torch.arange(TOKENS)).all())


@pytest.mark.parametrize("kind", ["tome", "pitome"])
def test_unmerged_tokens_have_the_state_of_what_they_went_into(kind: str) -> None:
    x, size, metric = drawn()
    found = pairing(kind, metric)
    merged, _ = found.merged(x, size)
    back = found.unmerged(merged)
    for b in range(BATCH):
        torch.testing.assert_close(back[b, found.kept[b]], merged[b])
        torch.testing.assert_close(back[b, found.gone[b]], merged[b, found.into[b]])


def test_tome_joins_the_most_similar_pairs() -> None:
    _, _, metric = drawn()
    found, unit = bipartite(metric, MERGED), metric / metric.norm(dim=-1, keepdim=True)
    for b in range(BATCH):
        similarity = unit[b] @ unit[b].T
        best = {i: max(similarity[i, j].item() for j in range(1, TOKENS, 2)) for i in range(2, TOKENS, 2)}
        expected = sorted(best, key=lambda i: -best[i])[:MERGED]
        assert found.gone[b].tolist() == expected
        joined = [
            similarity[i, found.kept[b, k]].item() for i, k in zip(expected, found.into[b], strict=True)
        ]
        assert joined == pytest.approx([best[i] for i in expected])


def test_pitome_spares_the_tokens_of_least_energy() -> None:
    torch.manual_seed(0)
    near = torch.tensor([1.0, 0, 0, 0]) + 0.01 * torch.randn(8, 4)
    metric = torch.cat((torch.randn(1, 4), near, 3 * torch.eye(4)[1:])).double().unsqueeze(0)
    unit = metric / metric.norm(dim=-1, keepdim=True)
    energy = energies(unit @ unit.transpose(1, 2), 0.9)[0]
    assert energy[1:9].min() > energy[9:].max()
    found = energetic(metric, 4, 0.9)
    joined = torch.cat((found.gone[0], found.kept[0, found.into[0]]))
    assert set(joined.tolist()) <= set(range(1, 9))


def test_attention_counts_a_token_as_often_as_it_stands_for_one() -> None:
    torch.manual_seed(0)
    attention, x = ProportionalAttention(12, 3).double(), torch.randn(1, 5, 12, dtype=torch.float64)
    size = torch.tensor([1, 3, 1, 2, 4])
    copies = x.repeat_interleave(size, dim=1)
    mixed, _ = attention(x, size.double().view(1, -1, 1))
    expected, _ = attention(copies, torch.ones(1, 11, 1, dtype=torch.float64))
    torch.testing.assert_close(mixed.repeat_interleave(size, dim=1), expected)


def test_nothing_merged_is_the_dense_network() -> None:
    torch.manual_seed(0)
    net = ToMeDeiT(0, image_pixels=32, patch=8, width=12, layers=2, heads=3, classes=5).double().eval()
    image = torch.randn(2, 3, 32, 32, dtype=torch.float64)
    x = torch.cat((net.class_token.expand(2, -1, -1), net.embed(image)), 1) + net.positions
    for block in net.blocks:
        ones = torch.ones_like(x[..., :1])
        x = x + block.mixer(block.mixer_norm(x), ones)[0]
        x = x + block.channel(block.channel_norm(x))
    torch.testing.assert_close(net(image), net.head(net.norm(x[:, 0])))
    assert isinstance(net.embed, PatchTokens)


def test_a_model_that_merges_nothing_refuses_a_number_of_merged_tokens() -> None:
    with pytest.raises(UserError) as refused:
        build_graph("deit-small", Request(tokens_merged=13))
    assert str(refused.value) == (
        "asked: deit-small with 13 tokens merged in each layer\n"
        "found: a model that merges no tokens, or not a number of them in each layer\n"
        "where: --tokens-merged\n"
        "next:  leave --tokens-merged out, or choose a model that merges, such as deit-small-tome"
    )


@pytest.mark.parametrize(("name", "merged"), [("deit-small-tome", 3), ("deit-small-pitome", 2)])
def test_counts_by_hand(name: str, merged: int) -> None:
    spec, heads = model_named(name).tiny(), 4
    tokens, width, c, classes = 17, 32, 8, 10
    if name == "deit-small-tome":
        graph = build_graph(spec, Request(tokens_merged=merged))
    else:
        # Shares are floored: 17 -> 15 -> 13 tokens.
        graph = build_graph(spec)
    macs = 16 * 3 * 16**2 * width + width * classes
    for _ in range(2):
        macs += 4 * tokens * width**2 + 2 * tokens**2 * (width // heads) * heads
        firsts = -(-tokens // 2)
        macs += (firsts * (tokens - firsts) if name == "deit-small-tome" else tokens**2) * c
        tokens -= merged
        macs += 8 * tokens * width**2
    assert graph.macs == macs
    mlp_and_attention = 12 * width**2 + 9 * width + 4 * width
    ends = 3 * 16**2 * width + width + 17 * width + width + 2 * width + width * classes + classes
    assert graph.parameter_count == 2 * mlp_and_attention + ends
