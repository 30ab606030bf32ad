"""Softmax attention with fewer heads of queries, or of keys: what their papers claim of them."""

from __future__ import annotations

import pytest
import torch

from siliform.models.mixers.softmax import SoftmaxMixer
from siliform.models.tracing import trace


def made(**choices: object) -> SoftmaxMixer:
    torch.manual_seed(0)
    return SoftmaxMixer(24, 6, **choices).double().eval()  # type: ignore[arg-type]


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("heads", [{}, {"kv_heads": 2}, {"query_heads": 4, "kv_heads": 2}])
def test_weights_and_forward_agree(causal: bool, heads: dict[str, int]) -> None:
    mixer, x = made(causal=causal, **heads), torch.randn(2, 11, 24, dtype=torch.float64)
    mixed, weights = mixer.with_weights(x)
    torch.testing.assert_close(mixed, mixer(x))
    torch.testing.assert_close(weights.sum(-1), torch.ones_like(weights[..., 0]))


def test_grouped_heads_are_repeated_keys() -> None:
    grouped, full = made(kv_heads=2), made()
    state = grouped.state_dict()
    for name in ("key.weight", "value.weight"):
        state[name] = state[name].view(2, 4, 24).repeat_interleave(3, dim=0).reshape(24, 24)
    full.load_state_dict(state)
    x = torch.randn(1, 7, 24, dtype=torch.float64)
    torch.testing.assert_close(grouped(x), full(x))


@pytest.mark.parametrize(("queries", "groups"), [(6, 6), (6, 2), (6, 1), (3, 1)])
def test_counts_by_hand(queries: int, groups: int) -> None:
    tokens, width, c = 11, 24, 4
    mixer = SoftmaxMixer(width, 6, query_heads=queries, kv_heads=groups)
    graph = trace(mixer, (torch.zeros(1, tokens, width),))
    projections = tokens * width * c * (2 * queries + 2 * groups)
    assert graph.macs == projections + 2 * tokens**2 * queries * c
    assert graph.parameter_count == width * c * (2 * queries + 2 * groups)
