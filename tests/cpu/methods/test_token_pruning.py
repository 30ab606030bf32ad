"""Token Transforming, Zero-TPrune and IA-RED²: which tokens stay, and what of the others is kept."""

from __future__ import annotations

from math import ceil

import pytest
import torch

from siliform.models.build import build_graph
from siliform.models.catalogue import model_named
from siliform.models.networks.deit import IARed2DeiT
from siliform.models.reducers.ia_red2 import PatchPolicy
from siliform.models.reducers.token_transforming import TokenTransforming, assignment
from siliform.models.reducers.zero_tprune import ObservedAttention, ZeroTPrune, importance, survivors

BATCH, TOKENS, WIDTH = 3, 17, 6


def test_transformed_tokens_keep_weighted_sums() -> None:
    torch.manual_seed(0)
    x, keys = (torch.randn(BATCH, *shape, dtype=torch.float64) for shape in ((TOKENS, WIDTH), (2, TOKENS, 4)))
    size, attention = torch.rand(BATCH, TOKENS, 1).double() + 1, torch.rand(BATCH, TOKENS).double()
    out, total = TokenTransforming(0.6)(x, (keys, attention), size)
    assert out.shape == (BATCH, ceil(0.6 * TOKENS), WIDTH)
    torch.testing.assert_close((out * total).sum(1), (x * size).sum(1))
    torch.testing.assert_close(total.sum(1), size.sum(1))


def test_cold_assignment_is_merging_into_the_most_similar() -> None:
    torch.manual_seed(0)
    metric = torch.randn(1, 9, 4, dtype=torch.float64)
    chosen = torch.tensor([[0, 4, 7]])
    unit = metric[0] / metric[0].norm(dim=-1, keepdim=True)
    nearest = (unit[chosen[0]] @ unit.T).argmax(dim=0)
    expected = torch.nn.functional.one_hot(nearest, 3).T.double().unsqueeze(0)
    torch.testing.assert_close(assignment(metric, chosen, 1e-4), expected)


def test_page_rank_is_where_attention_ends() -> None:
    torch.manual_seed(0)
    weights = torch.randn(1, 1, 7, 7, dtype=torch.float64).softmax(-1)
    rank = importance(weights, 60)
    torch.testing.assert_close(rank @ weights[0, 0], rank)
    assert rank.sum().item() == pytest.approx(1)
    even = torch.full((1, 2, 7, 7), 1 / 7, dtype=torch.float64)
    torch.testing.assert_close(importance(even, 3), even[:, 0, 0])


def test_copies_of_important_tokens_go_first_then_the_least_important() -> None:
    torch.manual_seed(0)
    metric = torch.eye(9, dtype=torch.float64).unsqueeze(0).clone()
    metric[0, 6] = metric[0, 2] * 2
    ranked = torch.tensor([[3, 2, 1, 8, 4, 6, 5, 7]])
    assert survivors(metric, ranked, alike=1, least=0).tolist() == [[3, 2, 1, 8, 4, 5, 7]]
    assert survivors(metric, ranked, alike=1, least=2).tolist() == [[3, 2, 1, 8, 4]]
    assert survivors(metric, ranked, alike=0, least=3).tolist() == [[3, 2, 1, 8, 4]]


def test_observed_attention_is_attention() -> None:
    torch.manual_seed(0)
    mixer, x = ObservedAttention(12, 3, bias=True).double(), torch.randn(2, 7, 12, dtype=torch.float64)
    mixed, (keys, weights) = mixer.with_keys_and_weights(x)
    torch.testing.assert_close(mixed, mixer(x))
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 3, 7, dtype=torch.float64))
    assert ZeroTPrune(0.7, 4)(x, (keys, weights)).shape == (2, 5, 12)


def test_a_policy_keeps_the_best_patches_in_their_order() -> None:
    torch.manual_seed(0)
    policy, x = PatchPolicy(12, 3, 0.5).double(), torch.randn(2, 11, 12, dtype=torch.float64)
    kept, scores = policy(x), policy.scores(x[:, 1:])
    for b in range(2):
        best = sorted(scores[b].topk(5).indices.tolist())
        torch.testing.assert_close(kept[b], x[b, [0, *(1 + i for i in best)]])
    one = torch.sigmoid((policy.query(x) * policy.key(policy.policy)).view(2, 11, 3, 4).sum(-1)).mean(-1)
    torch.testing.assert_close(policy.scores(x), one)


def test_policies_that_keep_all_change_nothing() -> None:
    torch.manual_seed(0)
    sizes = {"image_pixels": 32, "patch": 8, "width": 12, "layers": 4, "heads": 3, "classes": 5}
    net, image = IARed2DeiT(1.0, 2, **sizes).double(), torch.randn(2, 3, 32, 32, dtype=torch.float64)
    expected = net(image)
    net.blocks = torch.nn.ModuleList(b for b in net.blocks if not isinstance(b, PatchPolicy))
    assert len(net.blocks) == 4
    torch.testing.assert_close(net(image), expected)


@pytest.mark.parametrize("method", ["token-transforming", "zero-tprune", "ia-red2"])
def test_counts_by_hand(method: str) -> None:
    graph = build_graph(model_named(f"deit-small-{method}").tiny())
    tokens, width, c, heads, classes = 17, 32, 8, 4, 10
    macs = 16 * 3 * 16**2 * width + width * classes
    for layer in range(2):
        before = tokens
        if method == "ia-red2":
            # The policy token's key is a vector's product, as is every patch's score.
            macs += (before - 1) * width**2 + width**2
            tokens = before = ceil(0.8 * tokens)
        macs += 4 * before * width**2 + 2 * before**2 * width
        if method == "token-transforming":
            tokens = ceil(0.64 * tokens)
            # The class token's attention, similarities, and two products with them.
            macs += heads * before * c + tokens * before * (c + width + 1)
        if method == "zero-tprune":
            tokens = ceil(0.82 * tokens)
            half = (before - 1) // 2
            macs += heads * before**2 * (3, 1)[layer] + half * (before - 1 - half) * c
        macs += 8 * tokens * width**2
    assert graph.macs == macs

    block = 12 * width**2 + 13 * width
    policies = 2 * (2 * width**2 + 3 * width) if method == "ia-red2" else 0
    ends = 3 * 16**2 * width + width + 17 * width + width + 2 * width + width * classes + classes
    assert graph.parameter_count == 2 * block + policies + ends
