"""LSH attention: full attention for one bucket, its explicit form, its hashes, and what it costs."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from siliform.graph_ir.errors import UserError
from siliform.models.mixers.reformer import SELF, ReformerMixer
from siliform.models.tracing import trace

WIDTH, HEADS = 12, 3


def made(tokens: int, rounds: int, chunk: int, buckets: int | None = None) -> ReformerMixer:
    torch.manual_seed(0)
    return ReformerMixer(WIDTH, HEADS, tokens, rounds, chunk, buckets).double().eval()


def heads(x: torch.Tensor) -> torch.Tensor:
    return x.unflatten(-1, (HEADS, -1)).transpose(1, 2)


@pytest.mark.parametrize("rounds", [1, 3])
def test_one_bucket_and_chunk_is_full_attention_without_itself(rounds: int) -> None:
    mixer, x = made(17, rounds, 17, 1), torch.randn(2, 17, WIDTH, dtype=torch.float64)
    q, v = heads(mixer.query(x)), heads(mixer.value(x))
    mask = -SELF * torch.eye(17, dtype=torch.float64)
    mixed = functional.scaled_dot_product_attention(q, functional.normalize(q, dim=-1), v, attn_mask=mask)
    torch.testing.assert_close(mixer(x), mixer.out(mixed.transpose(1, 2).flatten(2)))


def test_a_token_alone_in_its_bucket_sees_itself() -> None:
    mixer, x = made(1, 1, 1, 1), torch.randn(1, 1, WIDTH, dtype=torch.float64)
    torch.testing.assert_close(mixer(x), mixer.out(mixer.value(x)))


def test_it_is_its_explicit_form() -> None:
    tokens, rounds, chunk = 24, 2, 4
    mixer = made(tokens, rounds, chunk, 6)
    x = torch.randn(1, tokens, WIDTH, dtype=torch.float64)
    q, v = heads(mixer.query(x))[0], heads(mixer.value(x))[0]
    bucket = mixer.hashes(q[None])[0]
    mixed = torch.zeros_like(q)
    for head in range(HEADS):
        scores = q[head] @ functional.normalize(q[head], dim=-1).T / 2
        scores = scores - SELF * torch.eye(tokens, dtype=torch.float64)
        grown = torch.zeros_like(scores)
        for turn in range(rounds):
            of = bucket[head, turn].tolist()
            order = sorted(range(tokens), key=lambda t: (of[t], t))
            spot = {token: place // chunk for place, token in enumerate(order)}
            for i in range(tokens):
                for j in range(tokens):
                    before = (spot[i] - 1) % (tokens // chunk)
                    if of[i] == of[j] and spot[j] in (spot[i], before):
                        grown[i, j] += scores[i, j].exp()
        alone = grown.sum(-1) == 0
        grown[alone] = torch.eye(tokens, dtype=torch.float64)[alone]
        mixed[head] = grown / grown.sum(-1, keepdim=True) @ v[head]
    torch.testing.assert_close(mixer(x), mixer.out(mixed.transpose(0, 1).flatten(1)[None]))


@pytest.mark.parametrize("buckets", [8, 256])
def test_hashes_are_the_nearest_axes(buckets: int) -> None:
    mixer = made(9, 2, 3, buckets)
    q = torch.randn(1, HEADS, 9, 4, dtype=torch.float64)
    found = torch.zeros(1, HEADS, 2, 9, dtype=torch.int64)
    for number, factor in enumerate(mixer.factors):
        axes = getattr(mixer, f"rotation{number}")
        both = torch.cat([axes, -axes], dim=-1)
        assert both.shape == (2, 4, factor)
        found = found * factor + (q.unsqueeze(2) @ both).argmax(-1)
    assert torch.equal(mixer.hashes(q), found)
    assert len(mixer.factors) == (1 if buckets == 8 else 2)
    # Angles decide, lengths do not; opposite vectors never meet.
    assert torch.equal(mixer.hashes(3 * q), found)
    assert (mixer.hashes(-q) != found).all()


def test_a_length_of_no_whole_chunks_is_refused() -> None:
    with pytest.raises(UserError) as told:
        made(20, 1, 8)(torch.zeros(1, 20, WIDTH, dtype=torch.float64))
    assert "asked: LSH attention of 20 tokens in chunks of 8" in str(told.value)
    assert "give a multiple of 8" in str(told.value)


@pytest.mark.parametrize("rounds", [1, 4])
def test_counts_by_hand(rounds: int) -> None:
    tokens, chunk, buckets = 40, 4, 10
    graph = trace(
        ReformerMixer(WIDTH, HEADS, tokens, rounds, chunk, buckets), (torch.zeros(1, tokens, WIDTH),)
    )
    hashing = tokens * buckets // 2 * WIDTH
    attention = 2 * tokens * 2 * chunk * WIDTH
    assert graph.macs == 3 * tokens * WIDTH**2 + rounds * (hashing + attention)
    assert graph.parameter_count == 3 * WIDTH**2
    sorts = [n for n in graph.nodes if n.op.name == "sort" or n.op.name == "argsort"]
    assert [n.operands[0].type.shape for n in sorts] == [(1, HEADS, rounds, tokens)]
