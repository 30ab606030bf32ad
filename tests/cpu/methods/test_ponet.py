"""PoNet: its equations token by token, and a cost that grows with the tokens alone."""

from __future__ import annotations

import pytest
import torch

from siliform.models.mixers.ponet import PoNetMixer
from siliform.models.tracing import trace


@pytest.mark.parametrize("tokens", [3, 12, 13])
def test_each_token_is_the_fusion_of_three_ranges(tokens: int) -> None:
    torch.manual_seed(0)
    mixer, x = PoNetMixer(8, 2, segment=4).double(), torch.randn(2, tokens, 8, dtype=torch.float64)
    query = mixer.query(x).mean(1)
    heads = []
    for head in (slice(0, 4), slice(4, 8)):
        scores = (mixer.key(x)[..., head] * query[:, None, head]).sum(-1) / 2
        heads.append((scores.softmax(1).unsqueeze(-1) * mixer.value(x)[..., head]).sum(1))
    whole, segment, near = torch.cat(heads, -1), mixer.of_segment(x), mixer.of_near(x)
    for n in range(tokens):
        largest = segment[:, n // 4 * 4 : n // 4 * 4 + 4].amax(1)
        expected = (whole + largest) * mixer.out(x)[:, n] + near[:, max(n - 1, 0) : n + 2].amax(1)
        torch.testing.assert_close(mixer(x)[:, n], expected)


@pytest.mark.parametrize("tokens", [11, 110])
def test_counts_by_hand(tokens: int) -> None:
    mixer = PoNetMixer(24, 3).to("meta")
    graph = trace(mixer, (torch.empty(1, tokens, 24, device="meta"),))
    assert graph.macs == 6 * tokens * 24**2 + 2 * tokens * 24
    assert graph.parameter_count == 6 * (24**2 + 24)
    compared = sum(space.count("compare") for node in graph.nodes for space in node.spaces)
    assert compared >= 24 * (tokens - 1 + 2 * tokens)  # a segment's largest, and the largest of three
