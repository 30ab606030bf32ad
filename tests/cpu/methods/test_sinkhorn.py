"""Sinkhorn attention: full attention for one block, a doubly stochastic order, and what it costs."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from siliform.graph_ir.errors import UserError
from siliform.models.mixers.sinkhorn import SinkhornMixer, balanced, sorted_blocks
from siliform.models.mixers.softmax import SoftmaxMixer
from siliform.models.tracing import trace

WIDTH, HEADS, BLOCK = 12, 3, 4


def made(blocks: int, **choices: float) -> SinkhornMixer:
    torch.manual_seed(0)
    return SinkhornMixer(WIDTH, HEADS, blocks * BLOCK, BLOCK, **choices).double().eval()  # type: ignore[arg-type]


def stream(blocks: int) -> torch.Tensor:
    return torch.randn(2, blocks * BLOCK, WIDTH, dtype=torch.float64)


def test_one_block_is_full_attention() -> None:
    # The sorted block is the own one: each key is there twice, which leaves the softmax's mean as it is.
    mixer, full = made(1), SoftmaxMixer(WIDTH, HEADS, bias=True).double()
    full.load_state_dict({n: t for n, t in mixer.state_dict().items() if "sort" not in n})
    x = stream(1)
    torch.testing.assert_close(mixer(x), full(x))


def test_the_order_is_doubly_stochastic() -> None:
    order = made(6, iterations=200).order(stream(6))
    ones = torch.ones_like(order[..., 0])
    torch.testing.assert_close(order.sum(-1), ones)
    torch.testing.assert_close(order.sum(-2), ones)
    assert (order > 0).all()
    # After seven turns columns sum to one and rows nearly do.
    few = made(6).order(stream(6))
    torch.testing.assert_close(few.sum(-2), ones)
    assert (few.sum(-1) - 1).abs().max() < 0.2


def test_a_sharp_order_permutes_blocks() -> None:
    torch.manual_seed(1)
    places = torch.randperm(5)
    scores = torch.full((5, 5), -50.0, dtype=torch.float64)
    scores[torch.arange(5), places] = 50.0
    x = torch.randn(1, 1, 5, BLOCK, 2, dtype=torch.float64)
    torch.testing.assert_close(sorted_blocks(balanced(scores[None, None], 7).exp(), x), x[:, :, places])


def test_it_is_its_explicit_form() -> None:
    mixer, x = made(5), stream(5)
    q, k, v = (
        layer(x).unflatten(-1, (HEADS, -1)).transpose(1, 2) for layer in (mixer.query, mixer.key, mixer.value)
    )
    order = mixer.order(x)
    mixed = torch.empty_like(q)
    for block in range(5):
        own = slice(block * BLOCK, (block + 1) * BLOCK)
        keys, values = (
            torch.cat(
                [
                    torch.einsum("bhj,bhjtc->bhtc", order[:, :, block], p.unflatten(2, (-1, BLOCK))),
                    p[:, :, own],
                ],
                dim=2,
            )
            for p in (k, v)
        )
        mixed[:, :, own] = functional.scaled_dot_product_attention(q[:, :, own], keys, values)
    torch.testing.assert_close(mixer(x), mixer.out(mixed.transpose(1, 2).flatten(2)))


def test_a_length_of_no_whole_blocks_is_refused() -> None:
    with pytest.raises(UserError) as told:
        SinkhornMixer(WIDTH, HEADS, 30, BLOCK)
    assert "asked: Sinkhorn attention of 30 tokens in blocks of 4" in str(told.value)
    assert "give a multiple of 4" in str(told.value)


def test_counts_by_hand() -> None:
    blocks = 7
    tokens = blocks * BLOCK
    graph = trace(SinkhornMixer(WIDTH, HEADS, tokens, BLOCK), (torch.zeros(1, tokens, WIDTH),))
    sorting = blocks * WIDTH**2 + blocks**2 * WIDTH + 2 * blocks**2 * BLOCK * WIDTH
    assert graph.macs == 4 * tokens * WIDTH**2 + sorting + 2 * tokens * 2 * BLOCK * WIDTH
    assert graph.parameter_count == 5 * (WIDTH**2 + WIDTH) + WIDTH * blocks
