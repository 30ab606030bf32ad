"""LeanAttention: keys in pieces give softmax attention, however the pieces are joined."""

from __future__ import annotations

import pytest
import torch

from siliform.models.drawing import Draw
from siliform.models.mixers.lean import LeanMixer, all_joined, joined, partial
from siliform.models.mixers.softmax import SoftmaxMixer
from siliform.models.tracing import trace


def operands(*shape: int) -> list[torch.Tensor]:
    torch.manual_seed(0)
    return [torch.randn(*shape, dtype=torch.float64) for _ in range(3)]


def test_joining_is_associative_and_commutative() -> None:
    q, k, v = operands(2, 19, 5)
    k = k * 30  # scores far apart, so that a sum without its largest score would overflow or vanish
    a, b, c = (partial(q, k[:, s], v[:, s]) for s in (slice(0, 3), slice(3, 4), slice(4, 19)))
    left, right, turned = joined(joined(a, b), c), joined(a, joined(b, c)), joined(c, joined(b, a))
    torch.testing.assert_close(left, right)
    torch.testing.assert_close(left, turned)
    torch.testing.assert_close(left, partial(q, k, v))
    together = all_joined(tuple(torch.stack(x, 1) for x in zip(a, b, c, strict=True)), 1)
    torch.testing.assert_close(together, left)


@pytest.mark.parametrize("workers", [1, 5, 14, 1000])
@pytest.mark.parametrize("tokens", [11, 37])
def test_pieces_give_softmax_attention(workers: int, tokens: int) -> None:
    torch.manual_seed(0)
    lean = LeanMixer(24, 6, kv_share=3, rotary_base=100.0, workers=workers, tile=2).double()
    plain = SoftmaxMixer(24, 6, kv_share=3, rotary_base=100.0).double()
    plain.load_state_dict(lean.state_dict())
    x = torch.randn(2, tokens, 24, dtype=torch.float64)
    torch.testing.assert_close(lean(x), plain(x))
    _, keys, values = plain.projected(x[:, :-1])
    torch.testing.assert_close(lean.advance(x[:, -1:], keys, values), plain.advance(x[:, -1:], keys, values))


def test_a_step_counts_by_hand() -> None:
    context, heads, groups, c = 50, 6, 2, 4
    mixer = LeanMixer(24, heads, kv_share=3, workers=10, tile=7).to("meta")
    step, inputs, states = mixer.decoding(1, context, Draw(None))
    graph = trace(step, inputs, states=states)
    assert mixer.pieces(1, context + 1) == 5  # of 10 keys each, and one key more
    assert graph.macs == 24 * c * (2 * heads + 2 * groups) + 2 * (context + 1) * heads * c
    exponentials = sum(space.count("exp") for node in graph.nodes for space in node.spaces)
    # One a score, one a piece and head to join the even ones, two a head to join the odd one.
    assert exponentials == heads * (context + 1) + heads * 5 + heads * 2


def test_pieces_are_at_least_a_tile() -> None:
    assert LeanMixer(24, 6, workers=216).pieces(1, 512) == 2
    assert LeanMixer(24, 6, workers=216).pieces(1, 100_000) == 36
    assert LeanMixer(24, 6, workers=216).pieces(72, 100_000) == 1
