"""Sigmoid, softplus and Gaussian attention: what their papers claim of their weights, and hand counts."""

from __future__ import annotations

from math import log

import pytest
import torch

from siliform.graph_ir.graph import Graph
from siliform.models.mixers.sigmoid import SigmoidMixer
from siliform.models.mixers.soft import RIDGE, SoftMixer, gaussian, inverse
from siliform.models.mixers.softplus import SoftplusMixer
from siliform.models.tracing import trace

WIDTH, HEADS, TOKENS = 20, 4, 13
HEAD_WIDTH = WIDTH // HEADS


def made(kind: type, **choices: object) -> torch.nn.Module:
    torch.manual_seed(0)
    mixer: torch.nn.Module = kind(WIDTH, HEADS, **choices)
    return mixer.double().eval()


def stream(tokens: int = TOKENS) -> torch.Tensor:
    torch.manual_seed(1)
    return torch.randn(2, tokens, WIDTH, dtype=torch.float64)


def traced(mixer: torch.nn.Module, tokens: int = TOKENS) -> Graph:
    from siliform.graph_ir.passes import standard_passes

    return standard_passes(trace(mixer.float(), (torch.zeros(1, tokens, WIDTH),)))


def test_a_sigmoid_weight_depends_on_its_pair_alone() -> None:
    mixer, x = made(SigmoidMixer), stream()
    changed = x.clone()
    changed[:, 5] += 1
    _, before = mixer.with_weights(x)
    _, after = mixer.with_weights(changed)
    others = [i for i in range(TOKENS) if i != 5]
    torch.testing.assert_close(after[:, :, others][..., others], before[:, :, others][..., others])
    assert not torch.allclose(after[:, :, 5], before[:, :, 5])


@pytest.mark.parametrize("tokens", [64, 1024])
def test_the_bias_keeps_rows_near_a_sum_of_one(tokens: int) -> None:
    """At scores of zero a weight is 1 / (1 + N), so that a row sums to N / (N + 1)."""
    mixer, x = made(SigmoidMixer), stream(tokens)
    with torch.no_grad():
        mixer.query.weight.zero_()
        _, weights = mixer.with_weights(x)
    torch.testing.assert_close(weights.sum(-1), torch.full_like(weights[..., 0], tokens / (tokens + 1)))


@pytest.mark.parametrize("causal", [False, True])
def test_sigmoid_attention_is_one_node(causal: bool) -> None:
    graph = traced(made(SigmoidMixer, causal=causal))
    (node,) = [n for n in graph.nodes if n.op.kind == "attention"]
    assert node.attributes["weights"] == "sigmoid"
    assert node.attributes["bias"] == pytest.approx(-log(TOKENS))
    assert node.attributes["pattern"] == ("causal" if causal else "full")
    pairs = HEADS * (TOKENS * (TOKENS + 1) // 2 if causal else TOKENS**2)
    assert graph.macs == TOKENS * 4 * WIDTH**2 + pairs * 2 * HEAD_WIDTH
    told = {what: sum(space.count(what) for space in node.spaces) for what in ("sigmoid", "exp", "compare")}
    assert told == {"sigmoid": pairs, "exp": 0, "compare": 0}
    assert graph.parameter_count == 4 * WIDTH**2


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("power", [1, 2, 5])
def test_two_stages_of_softplus_are_one(power: int, causal: bool) -> None:
    mixer, x = made(SoftplusMixer, power=power, causal=causal), stream()
    with torch.no_grad():
        staged, weights = mixer.two_stages(x)
        torch.testing.assert_close(mixer(x), staged)
    torch.testing.assert_close(weights.sum(-1), torch.ones_like(weights[..., 0]))


def test_a_power_sharpens() -> None:
    x = stream()
    with torch.no_grad():
        largest = [made(SoftplusMixer, power=p).two_stages(x)[1].amax(-1) for p in (1, 3)]
    assert (largest[1] > largest[0]).all()


def test_softplus_attention_counts_by_hand() -> None:
    power, pairs, rows = 3, HEADS * TOKENS**2, HEADS * TOKENS
    graph = traced(made(SoftplusMixer, power=power))
    (node,) = [n for n in graph.nodes if n.op.kind == "attention"]
    assert graph.macs == TOKENS * 4 * WIDTH**2 + pairs * 2 * HEAD_WIDTH
    told = {
        w: sum(s.count(w) for s in node.spaces) for w in ("mul", "add", "exp", "log", "compare", "reciprocal")
    }
    assert told == {
        "mul": rows * HEAD_WIDTH + pairs * (power - 1) + pairs,  # the scale, the power, the reciprocal
        "add": 2 * pairs,
        "exp": pairs,
        "log": pairs,
        "compare": 0,
        "reciprocal": rows,
    }


def test_a_gaussian_of_distances() -> None:
    torch.manual_seed(0)
    a, b = torch.randn(3, 7, 5).double(), torch.randn(3, 4, 5).double()
    torch.testing.assert_close(gaussian(a, b), torch.exp(-torch.cdist(a, b).square() / 2))


def test_twenty_steps_of_newton_invert_the_landmarks() -> None:
    torch.manual_seed(0)
    points = 2 * torch.randn(2, 9, 4).double()
    core = gaussian(points, points)
    exact = torch.linalg.inv(core + RIDGE * torch.eye(9).double())
    torch.testing.assert_close(inverse(core, 20), exact, atol=1e-6, rtol=1e-6)


def test_landmarks_that_are_all_tokens_leave_the_whole_kernel() -> None:
    """P A⁻¹ Pᵀ = A where P = A, to what the ridge moves."""
    torch.manual_seed(0)
    points = 2 * torch.randn(9, 4).double()
    whole = gaussian(points, points)
    torch.testing.assert_close(whole @ inverse(whole, 40) @ whole, whole, atol=2 * RIDGE, rtol=0)


def test_soft_counts_by_hand() -> None:
    tokens, side, steps = 49, 2, 3
    graph = traced(made(SoftMixer, sequence=tokens, landmark_side=side, steps=steps), tokens)
    m, stride = side**2, 3
    landmarks = HEADS * m * stride**2 * HEAD_WIDTH**2
    kernels = HEADS * (tokens * m * HEAD_WIDTH + m * m * HEAD_WIDTH)
    products = HEADS * (2 * steps * m**3 + 2 * tokens * m * HEAD_WIDTH + m * m * HEAD_WIDTH)
    assert graph.macs == tokens * 3 * WIDTH**2 + landmarks + kernels + products
    own = stride**2 * HEAD_WIDTH**2 + 2 * HEAD_WIDTH
    assert graph.parameter_count == 3 * (WIDTH**2 + WIDTH) + own
