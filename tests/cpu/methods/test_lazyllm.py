"""LazyLLM: with all tokens kept it is the dense model; tokens that come back are as if never gone."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from siliform.graph_ir.errors import UserError
from siliform.models.blocks.llama import angles_at
from siliform.models.build import build_graph, prepare
from siliform.models.catalogue import model_named
from siliform.models.networks.lazyllm import Front, LazyLLM, LazyStep, Shelf
from siliform.models.request import Request

SIZES: dict[str, Any] = {"vocabulary": 31, "width": 24, "heads": 6, "kv_heads": 2, "inner": 20}
TOKENS = 9


def made(layers: int, prune_at: tuple[int, ...], kept: float, revived: int) -> LazyLLM:
    torch.manual_seed(0)
    return LazyLLM(layers=layers, prune_at=prune_at, kept=kept, revived=revived, **SIZES).double().eval()


def drawn(tokens: int = TOKENS) -> torch.Tensor:
    return torch.randint(31, (2, tokens), generator=torch.Generator().manual_seed(0))


def states_in(model: LazyLLM, tokens: torch.Tensor) -> list[torch.Tensor]:
    """The stream [B, N, W] in front of each layer of the dense model, and behind the last."""
    states = [model.embedding(tokens)]
    angle = angles_at(torch.arange(tokens.shape[1]).expand_as(tokens), model.head_width, states[0])
    for block in model.blocks:
        states.append(block(states[-1], angle))
    return states


def logits_of(model: LazyLLM, state: torch.Tensor) -> torch.Tensor:
    return model.head(model.norm(state[:, -1:]))


def test_a_prompt_of_which_all_is_kept_gives_the_dense_model() -> None:
    model, tokens = made(3, (1, 2), 1.0, 1), drawn()
    torch.testing.assert_close(model(tokens), logits_of(model, states_in(model, tokens)[-1]))


def test_a_prompt_loses_the_tokens_that_the_last_one_attends_to_least() -> None:
    model, tokens = made(2, (1,), 0.5, 1), drawn()
    states = states_in(model, tokens)
    first, second = model.blocks
    places = torch.arange(TOKENS).expand_as(tokens)
    q, keys, _ = first.seen(states[0], angles_at(places, model.head_width, states[0]))
    k = keys.view(2, TOKENS, 2, 4).transpose(1, 2).repeat_interleave(3, dim=1)
    weights = (q[:, :, -1:] @ k.transpose(2, 3) / 4**0.5).softmax(-1).mean(1).squeeze(1)
    torch.testing.assert_close(first.attention.last_weights(q, keys), weights)
    expected = []
    for b in range(2):
        kept = sorted([*weights[b, :-1].topk(4).indices.tolist(), TOKENS - 1])
        angle = angles_at(torch.tensor([kept]), model.head_width, states[1])
        expected.append(logits_of(model, second(states[1][b : b + 1, kept], angle)))
    torch.testing.assert_close(model(tokens), torch.cat(expected))


def test_a_step_with_revived_tokens_is_the_dense_model() -> None:
    """The last tokens never went through the second stage; what was cached there does not depend on them."""
    model, tokens, gone = made(3, (1,), 1.0, 3), drawn(TOKENS + 1), 3
    prompt = tokens[:, :-1]
    states = states_in(model, prompt)
    place = torch.arange(TOKENS).expand_as(prompt)
    angle = angles_at(place, model.head_width, states[0])
    rows = [block.seen(x, angle)[1:] for block, x in zip(model.blocks, states, strict=False)]
    left = TOKENS - gone
    cached = [part if layer == 0 else part[:, :left] for layer, pair in enumerate(rows) for part in pair]
    out = LazyStep(model)(
        tokens[:, -1:], cached[::2], cached[1::2], [place[:, :left]], [states[1][:, left:]], [place[:, left:]]
    )
    dense = states_in(model, tokens)
    torch.testing.assert_close(out[0], logits_of(model, dense[-1]))
    # The cache of the second stage now holds every token, the revived ones in the order of their weights.
    order = out[7][0]
    assert sorted(order.tolist()) == list(range(TOKENS + 1))
    full = model.blocks[2].seen(dense[2], angles_at(torch.arange(TOKENS + 1)[None], 4, dense[2]))[1]
    torch.testing.assert_close(out[3][0], full[0, order])


def test_revived_tokens_stop_on_the_shelf_of_the_next_stage() -> None:
    torch.manual_seed(0)
    x, own = torch.randn(1, 3, 4), torch.tensor([[2, 5, 8]])
    front = Front(x, own, torch.tensor([[0, 1, 4]]), tokens=8)
    shelf = Shelf(torch.randn(1, 3, 4), torch.tensor([[1, 6, 4]]))
    weights = torch.tensor([[0.1, 0.3, 0.2, 0.15, 0.05, 0.2]])
    after, left = front.onward(weights, torch.tensor([[0, 2, 5]]), shelf, kept=2, revived=2)
    assert after.seen.tolist() == [[2, 0]]
    assert after.own.tolist() == [[1, 4, 8]]
    torch.testing.assert_close(after.x[0], torch.stack((shelf.states[0, 0], shelf.states[0, 2], x[0, 2])))
    assert left.places.tolist() == [[2, 6, 5]]
    torch.testing.assert_close(left.states[0], torch.stack((x[0, 0], shelf.states[0, 1], x[0, 1])))


def test_a_context_of_revived_tokens_alone_is_refused() -> None:
    with pytest.raises(UserError) as refused:
        build_graph(model_named("llama-2-7b-lazyllm").tiny(), Request(phase="decode", context=4))
    assert str(refused.value) == (
        "asked: one new token behind 4 cached ones\n"
        "found: 2 of them go through the last layers, of which 2 are revived ones\n"
        "where: --context\n"
        "next:  give 9 or more"
    )


def layer(tokens: int, keys: int, pairs: int) -> int:
    """MACs of a layer of the small model in the catalogue whose attention computes so many pairs."""
    assert pairs <= tokens * keys
    return tokens * (2 * 32 * 32 + 2 * 32 * 16 + 3 * 32 * 48) + 2 * pairs * 32


def test_counts_by_hand() -> None:
    spec = model_named("llama-2-7b-lazyllm").tiny()
    graph = build_graph(spec)
    macs = 32 * 101
    for tokens, last in ((16, False), (10, False), (6, True)):
        macs += layer(tokens, tokens, tokens * (tokens + 1) // 2) + (0 if last else tokens * 32)
    assert graph.macs == macs
    assert graph.parameter_count == 3 * (2 * 32 * 32 + 2 * 32 * 16 + 3 * 32 * 48 + 64) + 32 + 2 * 101 * 32


def test_counts_of_a_step_by_hand() -> None:
    spec = model_named("llama-2-7b-lazyllm").tiny()
    graph = build_graph(spec, Request(phase="decode", context=16))
    macs = 32 * 101 + layer(1, 17, 17) + 17 * 32
    # Two tokens come back in each stage; one more is the new one.
    macs += layer(3, 11, 3 * 11) + 11 * 32 + layer(3, 7, 3 * 7)
    assert graph.macs == macs
    ready = prepare(spec, Request(phase="decode", context=16), seed=0)
    assert [tuple(part.shape) for part in ready.inputs[3]] == [(1, 10), (1, 6)]
    assert [tuple(part.shape) for part in ready.inputs[4]] == [(1, 6, 32), (1, 4, 32)]
