"""Linformer and Synthesizer: layers with numbers for each position, made for one length."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from siliform.graph_ir.graph import Graph
from siliform.models.mixers.linformer import LinformerMixer
from siliform.models.mixers.synthesizer import SynthesizerMixer
from siliform.models.tracing import trace

WIDTH, HEADS, TOKENS = 20, 4, 13
HEAD_WIDTH = WIDTH // HEADS


def made(kind: type, **choices: object) -> torch.nn.Module:
    torch.manual_seed(0)
    mixer: torch.nn.Module = kind(WIDTH, HEADS, sequence=TOKENS, **choices)
    return mixer.double().eval()


def stream() -> torch.Tensor:
    torch.manual_seed(1)
    return torch.randn(2, TOKENS, WIDTH, dtype=torch.float64)


def traced(mixer: torch.nn.Module) -> Graph:
    from siliform.graph_ir.passes import standard_passes

    return standard_passes(trace(mixer.float(), (torch.zeros(1, TOKENS, WIDTH),)))


def heads(x: torch.Tensor) -> torch.Tensor:
    return x.unflatten(2, (HEADS, -1)).transpose(1, 2)


def test_linformer_with_identities_is_softmax_attention() -> None:
    mixer, x = made(LinformerMixer, projected=TOKENS), stream()
    with torch.no_grad():
        for layer in (mixer.along_keys, mixer.along_values):
            layer.weight.copy_(torch.eye(TOKENS))
        q, k, v = (heads(layer(x)) for layer in (mixer.query, mixer.key, mixer.value))
        exact = functional.scaled_dot_product_attention(q, k, v)
        torch.testing.assert_close(mixer(x), mixer.out(exact.transpose(1, 2).flatten(2)))


def test_linformer_keys_are_mixtures_of_tokens() -> None:
    """Any value is one of k mixtures: what is attended to has at most rank k along the tokens."""
    mixer, x = made(LinformerMixer, projected=3), stream()
    v = mixer.along_values(mixer.value(x).transpose(1, 2)).transpose(1, 2)
    assert v.shape == (2, 3, WIDTH)
    mixer.out.weight.data = torch.eye(WIDTH).double()
    head = heads(mixer(x))[0, 0]
    assert torch.linalg.matrix_rank(head, tol=1e-9) <= 3


@pytest.mark.parametrize("projected", [3, TOKENS])
def test_linformer_counts_by_hand(projected: int) -> None:
    graph = traced(made(LinformerMixer, projected=projected))
    along = 2 * projected * TOKENS * WIDTH
    assert graph.macs == TOKENS * 4 * WIDTH**2 + along + 2 * HEADS * TOKENS * projected * HEAD_WIDTH
    assert graph.parameter_count == 4 * WIDTH**2 + 2 * projected * TOKENS


@pytest.mark.parametrize("form", ["random", "factorized"])
def test_random_weights_are_those_of_no_input(form: str) -> None:
    mixer = made(SynthesizerMixer, form=form)
    torch.testing.assert_close(mixer.weights(stream()), mixer.weights(torch.zeros_like(stream())))


def test_a_dense_row_is_made_by_its_token_alone() -> None:
    mixer, x = made(SynthesizerMixer), stream()
    changed = x.clone()
    changed[:, 5] += 1
    before, after = mixer.weights(x), mixer.weights(changed)
    others = [i for i in range(TOKENS) if i != 5]
    torch.testing.assert_close(after[:, :, others], before[:, :, others])
    assert not torch.allclose(after[:, :, 5], before[:, :, 5])


@pytest.mark.parametrize("form", ["dense", "random", "factorized"])
def test_rows_sum_to_one(form: str) -> None:
    weights = made(SynthesizerMixer, form=form).weights(stream())
    torch.testing.assert_close(weights.sum(-1), torch.ones_like(weights[..., 0]))


def test_a_factorized_form_of_full_rank_is_any_random_one() -> None:
    random, factorized = (
        made(SynthesizerMixer, form="random"),
        made(SynthesizerMixer, form="factorized", rank=TOKENS),
    )
    with torch.no_grad():
        factorized.left.copy_(random.scores)
        factorized.columns.copy_(torch.eye(TOKENS).expand(HEADS, -1, -1))
        for name in ("value", "out"):
            getattr(factorized, name).load_state_dict(getattr(random, name).state_dict())
        torch.testing.assert_close(factorized(stream()), random(stream()))


@pytest.mark.parametrize("form", ["dense", "random", "factorized"])
def test_synthesizer_counts_by_hand(form: str) -> None:
    rank = 3
    graph = traced(made(SynthesizerMixer, form=form, rank=rank))
    inner = {"dense": HEAD_WIDTH, "random": 0, "factorized": rank}[form]
    layers = 3 if form == "dense" else 2
    pairs = HEADS * TOKENS**2
    assert graph.macs == TOKENS * layers * WIDTH**2 + pairs * (inner + HEAD_WIDTH)
    own = {"dense": TOKENS * WIDTH, "random": pairs, "factorized": 2 * HEADS * TOKENS * rank}[form]
    assert graph.parameter_count == layers * WIDTH**2 + own
    fused = [node for node in graph.nodes if node.op.kind == "attention"]
    assert len(fused) == (0 if form == "random" else 1)
