"""Routed experts, features with weights of their own, and the networks of both."""

from __future__ import annotations

import pytest
import torch

from siliform.models.blocks.channels import MLP
from siliform.models.blocks.experts import RoutedExperts, one_by_one
from siliform.models.blocks.heads import merge_heads, split_heads
from siliform.models.networks.hiformer import HeterogeneousLayer, Hiformer
from siliform.models.networks.hyperformer import HyperFormer
from siliform.models.tracing import trace


def experts(count: int, active: int, width: int = 6, inner: int = 9) -> RoutedExperts:
    torch.manual_seed(0)
    return RoutedExperts(width, inner, count, active).double().eval()


@pytest.mark.parametrize(("count", "active"), [(1, 1), (5, 1), (5, 2), (3, 3)])
def test_sorted_rows_are_every_expert_on_every_token(count: int, active: int) -> None:
    mixture, x = experts(count, active), torch.randn(2, 7, 6, dtype=torch.float64)
    torch.testing.assert_close(mixture(x), one_by_one(mixture, x))


def test_equal_experts_are_one_layer() -> None:
    """Gates sum to one."""
    mixture = experts(4, 2)
    plain = MLP(6, 9, bias=False).double()
    with torch.no_grad():
        mixture.up[:], mixture.down[:] = plain.up.weight, plain.down.weight
    x = torch.randn(1, 7, 6, dtype=torch.float64)
    torch.testing.assert_close(mixture(x), plain(x))


@pytest.mark.parametrize(("count", "active"), [(4, 1), (4, 2), (16, 2)])
def test_work_follows_active_experts(count: int, active: int) -> None:
    """And weights follow all of them."""
    tokens, width, inner = 12, 6, 9
    graph = trace(RoutedExperts(width, inner, count, active), (torch.zeros(1, tokens, width),))
    assert graph.macs == tokens * (active * 2 * width * inner + width * count)
    assert graph.parameter_count == count * (2 * width * inner + width)


# -- Hiformer ----------------------------------------------------------------------------------------------


def test_equal_features_are_ordinary_attention() -> None:
    torch.manual_seed(0)
    layer = HeterogeneousLayer(5, 8, 2, 12, rank=None, last=5).double().eval()
    with torch.no_grad():
        for part in (layer.query, layer.key, layer.value, layer.out):
            part.weight[:] = part.weight[0]  # type: ignore[union-attr, operator]
    x = torch.randn(2, 5, 8, dtype=torch.float64)
    q, k, v = (split_heads(x @ p.weight[0], 2) for p in (layer.query, layer.key, layer.value))  # type: ignore
    mixed = merge_heads((q @ k.transpose(-1, -2) / 4**0.5).softmax(-1) @ v) @ layer.out.weight[0]
    y = layer.mixer_norm(x + mixed)
    hidden = torch.nn.functional.gelu(layer.up(y))
    torch.testing.assert_close(layer(x), layer.channel_norm(y + layer.down(hidden)))


def test_a_composite_of_blocks_is_a_layer_a_feature() -> None:
    """A composite projection of full rank whose matrix is block diagonal is the heterogeneous projection."""
    torch.manual_seed(0)
    features, width = 3, 4
    alone = HeterogeneousLayer(features, width, 2, 6, rank=None, last=2).double().eval()
    whole = HeterogeneousLayer(features, width, 2, 6, rank=features * width, last=2).double().eval()
    state = dict(alone.state_dict())
    for name in ("query", "key", "value"):
        blocks = torch.block_diag(*(w.T for w in state.pop(f"{name}.weight")))
        assert not state.pop(f"{name}.bias").any()
        state[f"{name}.factors.v.weight"] = torch.eye(features * width, dtype=torch.float64)
        state[f"{name}.factors.u.weight"] = blocks
    whole.load_state_dict(state)
    x = torch.randn(2, features, width, dtype=torch.float64)
    torch.testing.assert_close(whole(x), alone(x))


@pytest.mark.parametrize("last", [1, 7])
def test_counts_of_a_heterogeneous_layer_by_hand(last: int) -> None:
    features, width, inner, rank = 7, 8, 12, 5
    layer = HeterogeneousLayer(features, width, 2, inner, rank, last)
    graph = trace(layer, (torch.zeros(1, features, width),))
    behind = last * (width**2 + 2 * width * inner) + 2 * last * features * width
    assert graph.macs == 3 * 2 * features * width * rank + behind


def test_the_last_layer_gives_the_score_of_the_task() -> None:
    """Features computed beside the task's token change nothing of what it reads."""
    torch.manual_seed(0)
    model = Hiformer(5, 8, 2, 2, 12, 6).double().eval()
    x = torch.randn(3, 5, 8, dtype=torch.float64)
    assert model.layers[-1].first == 4
    y = model.layers[0](x)
    model.layers[-1].first = 0
    torch.testing.assert_close(model.score(model.layers[-1](y)[:, -1]).squeeze(-1), _scored(model, y))


def _scored(model: Hiformer, y: torch.Tensor) -> torch.Tensor:
    model.layers[-1].first = 4  # type: ignore[assignment]
    scored: torch.Tensor = model.score(model.layers[-1](y)[:, -1]).squeeze(-1)
    return scored


# -- HyperFormer -------------------------------------------------------------------------------------------

SIZES = {
    "entities": 11,
    "neighbours": 3,
    "width": 12,
    "heads": 2,
    "layers": 1,
    "inner": 10,
    "experts": 4,
    "active": 2,
    "rows": 3,
    "channels": 5,
}


def test_hyperformer_does_not_ask_for_the_order_of_neighbours() -> None:
    """Neighbours are a set, and so are qualifiers; the entity and the relation are not among them."""
    torch.manual_seed(0)
    model = HyperFormer(**SIZES).double().eval()
    x = torch.randn(2, 8, 12, dtype=torch.float64)
    shuffled = x[:, [0, 3, 1, 2, 4, 7, 5, 6]]
    torch.testing.assert_close(model(shuffled), model(x))
    assert not torch.allclose(model(x[:, [1, 0, 2, 3, 4, 5, 6, 7]]), model(x))


def test_counts_of_hyperformer_by_hand() -> None:
    tokens, width = (4, 4), 12
    graph = trace(HyperFormer(**SIZES), (torch.zeros(1, sum(tokens), width),))
    encoders = sum(n * (4 * width**2 + 2 * 2 * width * 10 + width * 4) + 2 * n**2 * width for n in tokens)
    pair = 2 * width * 9 * 5 + 5 * 2 * width * width
    assert graph.macs == encoders + 3 * pair + width * 11
