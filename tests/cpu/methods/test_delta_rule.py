"""The delta rule: chunks equal the rule token by token, and cost what they are made of."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from siliform.models.blocks.delta import delta_rule, delta_steps, unit_lower_inverse
from siliform.models.build import build_graph
from siliform.models.mixers.deltanet import DeltaNetMixer
from siliform.models.request import Request
from siliform.models.tracing import trace

TOKENS = 23


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def drawn(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64)


@pytest.mark.parametrize("chunk", [1, 2, 5, 7, 23, 64])
def test_chunks_equal_the_rule_token_by_token(chunk: int) -> None:
    q, k, v = drawn(2, 3, TOKENS, 4), drawn(2, 3, TOKENS, 4), drawn(2, 3, TOKENS, 5)
    k, beta = functional.normalize(k, dim=-1), 2 * torch.rand(2, 3, TOKENS, dtype=torch.float64)
    torch.testing.assert_close(delta_rule(q, k, v, beta, chunk), delta_steps(q, k, v, beta))


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8, 13])
def test_the_inverse_by_doubling(size: int) -> None:
    strict = drawn(3, size, size).tril(-1)
    wanted = torch.linalg.inv(strict + torch.eye(size, dtype=torch.float64))
    torch.testing.assert_close(unit_lower_inverse(strict), wanted, rtol=1e-9, atol=1e-9)


def test_the_inverse_does_not_cancel_where_keys_repeat() -> None:
    strict = torch.ones(64, 64).tril(-1)  # 64 equal keys, beta = 1
    wanted = torch.linalg.inv(strict.double() + torch.eye(64, dtype=torch.float64))
    torch.testing.assert_close(unit_lower_inverse(strict).double(), wanted, rtol=0, atol=1e-5)


def test_a_key_seen_again_is_corrected() -> None:
    """With beta = 1 a state gives back the last value written at a key; linear attention their sum."""
    key = functional.normalize(drawn(1, 1, 1, 4), dim=-1)
    v = drawn(1, 1, 3, 5)
    k = key.expand(1, 1, 3, 4)
    found = delta_rule(k, k, v, torch.ones(1, 1, 3, dtype=torch.float64), 2)
    torch.testing.assert_close(found, v)


@pytest.mark.parametrize("chunk", [5, 64])
def test_counts_by_hand(chunk: int) -> None:
    width, heads, c, taps = 24, 4, 6, 4
    graph = trace(DeltaNetMixer(width, heads, chunk=chunk), (torch.zeros(1, TOKENS, width),))
    size = min(chunk, TOKENS)
    chunks, square = -(-TOKENS // size), size * size
    whole = 1 << (size - 1).bit_length()  # 8 or 32 rows, of blocks that double from 2 on
    inverse = sum(whole * half * half for half in (2, 4, 8, 16) if half < whole)
    within = heads * (inverse + 3 * square * c)  # inverse; K Kᵀ, T V, Q Kᵀ
    last = heads * square * c  # of the scores with what is written
    count = chunks * (within + last)
    if chunks > 1:
        count += chunks * heads * square * c  # T K
        count += (chunks - 1) * heads * 2 * c * size * c  # transitions and drives
        count += (chunks - 2) * heads * c**3  # the recurrence, whose first state is its drive
        count += chunks * heads * 2 * size * c * c  # Q S and W S
    linears = 4 * width * width + width * heads
    assert graph.macs == TOKENS * (linears + 3 * width * taps) + count
    assert graph.parameter_count == linears + 3 * width * taps + c


def test_a_million_tokens_are_a_small_graph() -> None:
    graph = build_graph("mixer:deltanet", Request(sequence=1 << 20))
    short = build_graph("mixer:deltanet", Request(sequence=1 << 12))
    assert len(graph.nodes) == len(short.nodes) < 200
    assert graph.macs / short.macs == pytest.approx(256, rel=0.02)
