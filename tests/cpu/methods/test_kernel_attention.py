"""Attention by features: sums over keys are taken once and yet equal those of all pairs."""

from __future__ import annotations

from math import cos, exp, pi

import numpy as np
import pytest
import torch

from siliform.graph_ir.graph import Graph
from siliform.models.mixers import performer
from siliform.models.mixers.cosformer import CosFormerMixer
from siliform.models.mixers.hedgehog import HedgehogMixer
from siliform.models.mixers.inline import InLineMixer
from siliform.models.mixers.kernel import KernelMixer
from siliform.models.mixers.kernel_rpe import KernelRPEMixer, toeplitz_product
from siliform.models.mixers.linear_transformer import LinearTransformerMixer
from siliform.models.mixers.performer import PerformerMixer, orthogonal_rows
from siliform.models.tracing import trace

WIDTH, HEADS, TOKENS = 20, 4, 21
HEAD_WIDTH = WIDTH // HEADS
FAMILY = (LinearTransformerMixer, PerformerMixer, CosFormerMixer, HedgehogMixer)
#: Features of a head, with 7 random ones for the Performer.
FEATURES = {
    LinearTransformerMixer: HEAD_WIDTH,
    PerformerMixer: 7,
    CosFormerMixer: 2 * HEAD_WIDTH,
    HedgehogMixer: 2 * HEAD_WIDTH,
}


def made(kind: type, **choices: object) -> torch.nn.Module:
    torch.manual_seed(0)
    if kind is PerformerMixer:
        choices.setdefault("features", 7)
    mixer: torch.nn.Module = kind(WIDTH, HEADS, **choices)
    return mixer.double().eval()


def stream(tokens: int = TOKENS) -> torch.Tensor:
    torch.manual_seed(1)
    return torch.randn(2, tokens, WIDTH, dtype=torch.float64)


def traced(mixer: torch.nn.Module, tokens: int) -> Graph:
    return trace(mixer.float(), (torch.zeros(1, tokens, WIDTH),))


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("kind", FAMILY)
def test_sums_taken_once_equal_all_pairs(kind: type, causal: bool) -> None:
    mixer = made(kind, causal=causal, chunk=7)
    torch.testing.assert_close(mixer(stream()), mixer.explicit(stream()))


@pytest.mark.parametrize("kind", FAMILY)
def test_similarities_are_not_negative(kind: type) -> None:
    q, k, _ = made(kind).projected(stream())
    assert (q @ k.transpose(-1, -2)).min() >= 0


@pytest.mark.parametrize("kind", [LinearTransformerMixer, HedgehogMixer])
def test_a_causal_token_sees_none_behind_it(kind: type[KernelMixer]) -> None:
    mixer, x = made(kind, causal=True, chunk=3), stream()
    later = x.clone()
    later[:, 10:] += 1
    torch.testing.assert_close(mixer(later)[:, :10], mixer(x)[:, :10])
    assert not torch.allclose(mixer(later)[:, 10:], mixer(x)[:, 10:])


def test_random_features_tend_to_softmax(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(performer, "EPSILON", 0.0)  # which pulls all weights towards equal ones
    mixer, x = made(PerformerMixer, features=20_000), stream()
    q, k, v = (
        part.unflatten(2, (HEADS, -1)).transpose(1, 2)
        for part in (mixer.query(x), mixer.key(x), mixer.value(x))
    )
    exact = torch.nn.functional.scaled_dot_product_attention(q, k, v)
    near = mixer.out(exact.transpose(1, 2).flatten(2))
    torch.testing.assert_close(mixer(x), near, atol=0.1 * near.abs().max().item(), rtol=0)


def test_directions_of_a_block_are_orthogonal() -> None:
    torch.manual_seed(0)
    rows = orthogonal_rows(7, 5)
    angles = rows / rows.norm(dim=-1, keepdim=True)
    torch.testing.assert_close(angles[:5] @ angles[:5].T, torch.eye(5))


def test_cosformer_weighs_by_the_cosine_of_the_distance() -> None:
    mixer = made(CosFormerMixer)
    one = torch.ones(1, 1, 9, HEAD_WIDTH, dtype=torch.float64)
    q, k = mixer.features(one, one)
    weights = (q @ k.transpose(-1, -2))[0, 0] / HEAD_WIDTH
    expected = [[cos(pi * (i - j) / 18) for j in range(9)] for i in range(9)]
    np.testing.assert_allclose(weights.numpy(), expected, atol=1e-12)


def test_hedgehog_features_are_two_distributions() -> None:
    q, _, _ = made(HedgehogMixer).projected(stream())
    torch.testing.assert_close(q.unflatten(-1, (2, -1)).sum(-1), torch.ones(2, HEADS, TOKENS, 2).double())


@pytest.mark.parametrize("kind", FAMILY)
def test_counts_by_hand(kind: type) -> None:
    mixer = made(kind)
    graph = traced(mixer, TOKENS)
    f = FEATURES[kind]
    own = {PerformerMixer: 2 * HEAD_WIDTH * f, HedgehogMixer: 2 * HEAD_WIDTH**2}.get(kind, 0)
    # Four projections; then a head's features, its context, what is read of it, and the divisor.
    heads = HEADS * TOKENS * (own + 2 * f * HEAD_WIDTH + f)
    assert graph.macs == TOKENS * 4 * WIDTH**2 + heads
    trained = 4 * WIDTH**2 + (2 * HEADS * HEAD_WIDTH**2 if kind is HedgehogMixer else 0)
    assert graph.parameter_count == trained
    held = sum(value.type.elements for value in graph.constants)
    assert held >= (7 * HEAD_WIDTH if kind is PerformerMixer else 0)


@pytest.mark.parametrize("kind", [LinearTransformerMixer, CosFormerMixer])
def test_a_causal_count_grows_with_the_chunk(kind: type) -> None:
    chunk, f = 7, FEATURES[kind]
    graph = traced(made(kind, causal=True, chunk=chunk), TOKENS)
    within = chunk * (f + HEAD_WIDTH)
    assert graph.macs == TOKENS * 4 * WIDTH**2 + HEADS * TOKENS * (within + 2 * f * HEAD_WIDTH + f)


def test_inline_weights_sum_to_one_and_equal_the_linear_form() -> None:
    mixer, x = made(InLineMixer), stream(25)
    torch.testing.assert_close(mixer.weights(x).sum(-1), torch.ones(2, HEADS, 25).double())
    torch.testing.assert_close(mixer(x), mixer.explicit(x))


def test_inline_tells_queries_apart_that_linear_attention_confuses() -> None:
    """Queries of one direction and two lengths: a quotient cancels the length, a difference does not."""
    mixer, x = made(InLineMixer), stream(25)
    with torch.no_grad():
        before = mixer.weights(x)
        mixer.query.weight.mul_(2)
        assert not torch.allclose(mixer.weights(x), before)
        linear = made(KernelMixer)
        linear.features = lambda q, k: (torch.relu(q), torch.relu(k))
        once = linear(x)
        linear.query.weight.mul_(2)
        torch.testing.assert_close(linear(x), once, atol=1e-4, rtol=1e-4)


def test_inline_counts_by_hand() -> None:
    tokens = 25
    graph = traced(made(InLineMixer), tokens)
    inner = HEADS * (HEAD_WIDTH**2 + 9 * HEAD_WIDTH**2)  # of the network for the neighbours' weights
    pairs = HEADS * tokens * (2 * HEAD_WIDTH**2 + HEAD_WIDTH)
    # A convolution's taps on the border fall on padding, which is multiplied as the rest is.
    assert graph.macs == tokens * 4 * WIDTH**2 + pairs + inner + 9 * WIDTH * tokens
    assert graph.parameter_count == 4 * WIDTH**2 + WIDTH + inner + 10 * WIDTH


def test_a_toeplitz_product_equals_the_matrix() -> None:
    torch.manual_seed(0)
    row, x = torch.randn(3, 2 * 7 - 1).double(), torch.randn(2, 3, 7, 4).double()
    distance = torch.arange(7)[None, :] - torch.arange(7)[:, None] + 6
    torch.testing.assert_close(toeplitz_product(row, x), row[:, distance] @ x)


@pytest.mark.parametrize("tokens", [TOKENS, 13])
def test_relative_positions_by_fourier_transform_equal_all_pairs(tokens: int) -> None:
    mixer, x = made(KernelRPEMixer, sequence=TOKENS, features=3), stream(tokens)
    torch.nn.init.normal_(mixer.distance)
    torch.testing.assert_close(mixer(x), mixer.explicit(x))


def test_relative_positions_of_zero_leave_the_performer() -> None:
    """e^0 = 1 of each distance: the sums are those over all keys."""
    mixer, x = made(KernelRPEMixer, sequence=TOKENS, features=3), stream()
    q, k, v = mixer.projected(x)
    plain = q @ (k.transpose(-1, -2) @ v) / (q @ k.sum(-2).unsqueeze(-1) + 1e-6)
    torch.testing.assert_close(mixer(x), mixer.out(plain.transpose(1, 2).flatten(2)))
    assert q.max() <= exp(mixer.directions.norm(dim=-1).max().item())


def test_relative_positions_count_by_hand() -> None:
    f, sequence = 3, TOKENS
    graph = traced(made(KernelRPEMixer, sequence=sequence, features=f), sequence)
    columns = HEADS * f * (HEAD_WIDTH + 1)
    transforms = [node for node in graph.nodes if node.op.name == "dft"]
    results = [node.outputs[0].type.elements for node in transforms]
    assert sorted(results) == [HEADS * 22, 22 * columns, 42 * columns]  # half spectra, and a signal
    butterflies = 21 * 6  # of a row of 42; two real rows share them
    pairs = -(-HEADS // 2) + 2 * -(-columns // 2)
    scaled = 42 * columns
    assert sum(s.count("mul") for n in transforms for s in n.spaces) == 4 * butterflies * pairs + scaled
    products = [node for node in graph.nodes if node.op.name in ("matmul", "linear")]
    reads = HEADS * TOKENS * f * HEAD_WIDTH
    assert sum(node.macs for node in products) == TOKENS * (4 * WIDTH**2 + 2 * HEADS * HEAD_WIDTH * f) + reads
    assert graph.parameter_count == 4 * WIDTH**2 + HEADS * (2 * sequence - 1)
