"""Softmax attention with fewer heads of queries, or of keys: what their papers claim of them."""

from __future__ import annotations

import pytest
import torch

from siliform.models.catalogue import model_named
from siliform.models.drawing import Draw
from siliform.models.mixers.softmax import SoftmaxMixer
from siliform.models.networks.language import LanguageModel
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


def test_fewer_query_heads_are_attention_of_a_narrower_stream() -> None:
    """With H' of the H query heads, an SQA layer is a multi-head layer whose other heads are zero."""
    sparse, full = made(query_share=2), made()
    state = {name: torch.zeros_like(value) for name, value in full.state_dict().items()}
    for name, value in sparse.state_dict().items():
        if name == "out.weight":
            state[name][:, :12] = value
        else:
            state[name][:12] = value
    full.load_state_dict(state)
    x = torch.randn(2, 7, 24, dtype=torch.float64)
    torch.testing.assert_close(sparse(x), full(x))


def test_shares_are_numbers_of_heads() -> None:
    mixer = made(query_share=2, kv_share=6)
    assert (mixer.query_heads, mixer.kv_heads) == (3, 1)


def test_scores_of_rotary_positions_know_distances_alone() -> None:
    mixer = made(rotary_base=100.0)
    x = torch.randn(1, 5, 24, dtype=torch.float64)
    (q, k, _), (later_q, later_k, _) = mixer.projected(x), mixer.projected(x, first=37)
    torch.testing.assert_close(q @ k.transpose(-1, -2), later_q @ later_k.transpose(-1, -2))


@pytest.mark.parametrize("heads", [{}, {"kv_share": 6}, {"query_share": 2, "kv_share": 6}])
def test_a_step_behind_a_cache_is_the_last_token_of_the_whole(heads: dict[str, int]) -> None:
    mixer = made(causal=True, rotary_base=100.0, **heads)
    x = torch.randn(2, 9, 24, dtype=torch.float64)
    _, keys, values = mixer.projected(x[:, :-1])
    step, longer_keys, longer_values = mixer.advance(x[:, -1:], keys, values)
    torch.testing.assert_close(step, mixer(x)[:, -1:])
    torch.testing.assert_close((longer_keys, longer_values), mixer.projected(x)[1:])


def test_a_step_of_the_network_is_its_last_token() -> None:
    torch.manual_seed(0)
    model = LanguageModel(31, 16, 4, 2, 24, choices={"causal": True, "rotary_base": 100.0}).double().eval()
    tokens = torch.randint(31, (2, 6))
    step, _, _ = model.decoding(2, 5, Draw(0))
    x, held = model.embedding(tokens[:, :-1]), []
    for block in model.blocks:
        held.append(list(block.mixer.projected(block.mixer_norm(x))[1:]))
        x = block(x)
    torch.testing.assert_close(step(tokens[:, -1:], held)[0], model(tokens)[:, -1:])


def test_decoding_counts_by_hand() -> None:
    mixer = made(query_share=2, kv_share=6).float().to("meta")
    step, inputs, states = mixer.decoding(1, 10, Draw(None))
    graph = trace(step, inputs, states=states)
    assert graph.macs == 24 * 4 * (2 * 3 + 2) + 2 * 11 * 3 * 4
    assert sum(state.type.bytes for state in graph.states) == 2 * 10 * 4 * 4


@pytest.mark.parametrize("name", ["sqat-m-mha", "sqat-m-gqa", "sqat-m", "xsmqat-m"])
def test_parameters_of_the_published_models(name: str) -> None:
    spec = model_named(name)
    queries, groups = (spec.configuration["choices"][key] for key in ("query_heads", "kv_heads"))
    layer = 256 * 16 * (2 * queries + 2 * groups) + 3 * 256 * 768 + 2 * 256
    assert spec.parameters == 2 * 10_000 * 256 + 8 * layer + 256
