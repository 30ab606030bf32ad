"""Series as tokens: variates have neither order nor scale, gates open either way, work is counted by hand."""

from __future__ import annotations

import pytest
import torch

from siliform.models.networks.forecasters import Forecaster, Gate, Gateformer, ITransformer
from siliform.models.tracing import trace

V, L, F, W, INNER = 5, 24, 7, 12, 20


def made(cls: type[Forecaster]) -> Forecaster:
    torch.manual_seed(0)
    return cls(V, L, F, W, 3, 2, INNER).double().eval()


@pytest.mark.parametrize("cls", [ITransformer, Gateformer])
def test_variates_have_no_order_and_a_future_of_their_own_scale(cls: type[Forecaster]) -> None:
    model, past = made(cls), torch.randn(2, L, V, dtype=torch.float64)
    order = torch.randperm(V)
    torch.testing.assert_close(model(past[..., order]), model(past)[..., order])
    scale = torch.tensor([1.0, 3, 10, 100, 0.5], dtype=torch.float64)
    torch.testing.assert_close(model(past * scale + 4), model(past) * scale + 4, rtol=1e-3, atol=1e-3)


def test_a_gate_lets_through_one_or_the_other() -> None:
    gate, a, b = Gate(W), torch.randn(3, W), torch.randn(3, W)
    for bias, expected in ((100.0, a), (-100.0, b)):
        torch.nn.init.constant_(gate.weigh.bias, bias)
        torch.testing.assert_close(gate(a, b), expected)


def layer(tokens: int) -> int:
    """Multiply-accumulates of an encoder layer."""
    return tokens * (4 * W**2 + 2 * W * INNER) + 2 * tokens**2 * W


def test_itransformer_counts_by_hand() -> None:
    model = ITransformer(V, L, F, W, 3, 2, INNER).to("meta")
    graph = trace(model, (torch.empty(1, L, V, device="meta"),))
    assert graph.macs == V * (L * W + W * F) + 2 * layer(V)
    encoder = 4 * (W**2 + W) + 2 * W * INNER + INNER + W + 4 * W
    assert graph.parameter_count == (L + 1) * W + 2 * encoder + 2 * W + (W + 1) * F


def test_gateformer_counts_by_hand() -> None:
    model = Gateformer(V, L, F, W, 3, 2, INNER, patch=8, stride=4).to("meta")
    graph = trace(model, (torch.empty(1, L, V, device="meta"),))
    patches = (L - 8) // 4 + 2
    of_a_variate = patches * 8 * W + layer(patches) + patches * W * W + (L + W) * W + 2 * 2 * W * W + W * F
    assert graph.macs == V * of_a_variate + 2 * layer(V)
