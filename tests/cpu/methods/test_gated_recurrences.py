"""Recurrences with gates, sparse ones and none: what their papers claim of them."""

from __future__ import annotations

import pytest
import torch

from siliform.models.blocks.gated_linear import gated_linear_attention, gated_steps
from siliform.models.blocks.ssd import ssd_steps
from siliform.models.mixers.associative import AssociativeMixer
from siliform.models.mixers.lawcat import LawcatMixer
from siliform.models.mixers.sse import SparseStateMixer
from siliform.models.tracing import trace

TOKENS = 23


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def drawn(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64)


@pytest.mark.parametrize("chunk", [1, 5, 23, 40])
@pytest.mark.parametrize("normalised", [False, True])
def test_gated_chunks_equal_the_recurrence(chunk: int, normalised: bool) -> None:
    q, k = drawn(2, 3, TOKENS, 4).abs(), drawn(2, 3, TOKENS, 4).abs()
    v, log_gate = drawn(2, 3, TOKENS, 5), -drawn(2, 3, TOKENS, 4).abs()
    found = gated_linear_attention(q, k, v, log_gate, chunk, normalised)
    torch.testing.assert_close(found, gated_steps(q, k, v, log_gate, normalised))


def test_normalised_weights_are_an_average() -> None:
    """Of values that are all 1 the average is 1, but for what keeps the division from 0 / 0."""
    mixer, x = LawcatMixer(24, 4, chunk=5).double(), drawn(2, TOKENS, 24)
    q, k, _, gate = mixer.parts(x)
    assert (q > 0).all()
    assert (k > 0).all()
    found = gated_linear_attention(q, k, torch.ones_like(q), gate, 5, normalised=True)
    torch.testing.assert_close(found, torch.ones_like(found), atol=1e-5, rtol=0)
    changed = x.clone()
    changed[:, 11:] += 1
    torch.testing.assert_close(mixer(changed)[:, :11], mixer(x)[:, :11])  # causal, convolutions too


@pytest.mark.parametrize("selected", [1, 2, 4])
@pytest.mark.parametrize("chunk", [1, 6, 64])
def test_sorted_partitions_equal_explicit_states(selected: int, chunk: int) -> None:
    mixer = SparseStateMixer(24, 4, partitions=4, selected=selected, chunk=chunk).double()
    x = drawn(2, TOKENS, 24)
    torch.testing.assert_close(mixer(x), mixer.explicit(x))


def test_one_partition_is_gated_linear_attention() -> None:
    mixer, x = SparseStateMixer(24, 4, partitions=1, chunk=6).double(), drawn(2, TOKENS, 24)
    q, k, v, decay = mixer.parts(x)
    torch.testing.assert_close(mixer(x), mixer.out(ssd_steps(v, decay, k, q).flatten(2)))
    torch.testing.assert_close(k.sum(-1), torch.ones_like(k[..., 0]))  # a key is a classification


def test_partitions_do_not_mix() -> None:
    """A token whose partition is another's alone is not seen by it."""
    mixer, x = SparseStateMixer(24, 4, chunk=6).double(), drawn(1, TOKENS, 24)
    _, partition = mixer.routed(x)
    last = partition[0, -1, 0]
    other = int((partition[0, :-1, 0] != last).nonzero()[0])
    changed = x.clone()
    changed[:, other] *= 2  # in the same direction, so that it is routed alike
    assert torch.equal(mixer.routed(changed)[1], partition)
    torch.testing.assert_close(mixer(changed)[:, -1], mixer(x)[:, -1])


def test_memory_is_an_average_of_slots_by_token() -> None:
    mixer, x = AssociativeMixer(24, 4, slots=7).double(), drawn(2, TOKENS, 24)
    order = torch.randperm(TOKENS)
    torch.testing.assert_close(mixer.recalled(x)[:, order], mixer.recalled(x[:, order]))
    with torch.no_grad():
        mixer.memory.copy_(mixer.memory[:1].expand(7, -1))
    torch.testing.assert_close(mixer.recalled(x), mixer.memory[0].expand_as(x))
    changed = x.clone()
    changed[:, 11:] += 1
    torch.testing.assert_close(mixer(changed)[:, :11], mixer(x)[:, :11])
    torch.testing.assert_close(mixer(changed)[:, 14:], mixer(x + 1)[:, 14:])  # three taps, no more


def test_counts_of_lawcat_by_hand() -> None:
    width, heads, c, chunk, chunks = 24, 4, 6, 5, 5
    graph = trace(LawcatMixer(width, heads, chunk=chunk), (torch.zeros(1, TOKENS, width),))
    linears = 4 * width * width + 2 * 16 * width
    within = chunks * heads * 2 * chunk * chunk * c
    states = (chunks - 1) * heads * chunk * c * c
    across = chunks * heads * chunk * (c * c + c)
    convolutions = 2 * TOKENS * width * 4
    assert graph.macs == TOKENS * linears + convolutions + within + states + across
    assert graph.parameter_count == linears + width + 2 * 5 * width


@pytest.mark.parametrize("partitions", [4, 8])
def test_counts_of_sse_by_hand(partitions: int) -> None:
    """The number of partitions tells in the router alone."""
    width, heads, c, selected, chunk = 24, 4, 6, 2, 8
    mixer = SparseStateMixer(width, heads, partitions, selected, chunk)
    graph = trace(mixer, (torch.zeros(1, TOKENS, width),))
    chunks = -(-TOKENS * selected // chunk)
    linears = 4 * width * width + width * heads + width * partitions
    scan = chunks * heads * 2 * chunk * chunk * c + (2 * chunks - 1) * heads * chunk * c * c
    assert graph.macs == TOKENS * linears + scan
    assert graph.parameter_count == linears + heads


def test_counts_of_gam_by_hand() -> None:
    width, slots, taps = 24, 7, 3
    graph = trace(AssociativeMixer(width, 4, slots=slots), (torch.zeros(1, TOKENS, width),))
    assert graph.macs == TOKENS * (2 * slots * width + 2 * width * width) + TOKENS * width * taps
    assert graph.parameter_count == slots * width + 2 * width * (width + 1) + width * (taps + 1)
