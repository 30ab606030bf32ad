"""Landmark attention: the grouped softmax it stands for, what it fetches, and its step."""

from __future__ import annotations

import pytest
import torch

import siliform as sf
from siliform.models.build import build_graph
from siliform.models.mixers.landmark import LandmarkMixer
from siliform.models.request import Request
from siliform.models.tracing import trace

WIDTH, HEADS, BLOCK = 12, 3, 4
STRIDE = BLOCK + 1


def made(chosen: int) -> LandmarkMixer:
    torch.manual_seed(0)
    return LandmarkMixer(WIDTH, HEADS, BLOCK, chosen).double().eval()


def heads(x: torch.Tensor) -> torch.Tensor:
    return x.unflatten(-1, (HEADS, -1)).transpose(1, 2)


def explicit(mixer: LandmarkMixer, x: torch.Tensor, chosen: int) -> torch.Tensor:
    """Query by query: the definition."""
    q, k, v = (heads(layer(x)) for layer in (mixer.query, mixer.key, mixer.value))
    mixed = torch.zeros_like(q)
    for image, head, i in torch.cartesian_prod(*(torch.arange(n) for n in q.shape[:3])).tolist():
        scores = k[image, head] @ q[image, head, i] / 2
        values, own = v[image, head], i // STRIDE
        near = [t for t in range(own * STRIDE, i + 1) if t % STRIDE != BLOCK]
        landmarks = scores[BLOCK : own * STRIDE : STRIDE]
        picked = landmarks.topk(min(chosen, own)).indices.tolist()
        weights = torch.cat([scores[near], landmarks[picked]]).softmax(0)
        total = weights[: len(near)] @ values[near]
        for weight, block in zip(weights[len(near) :], picked, strict=True):
            rows = slice(block * STRIDE, block * STRIDE + BLOCK)
            total = total + weight * (scores[rows].softmax(0) @ values[rows])
        mixed[image, head, i] = total
    return mixer.out(mixed.transpose(1, 2).flatten(2))


@pytest.mark.parametrize("tokens", [3, 5, 22, 25])
def test_all_blocks_chosen_is_the_grouped_softmax(tokens: int) -> None:
    mixer = made(99)
    x = torch.randn(2, tokens, WIDTH, dtype=torch.float64)
    torch.testing.assert_close(mixer(x), explicit(mixer, x, 99))


def test_few_blocks_are_those_with_the_best_landmarks() -> None:
    mixer = made(2)
    x = torch.randn(2, 33, WIDTH, dtype=torch.float64)
    torch.testing.assert_close(mixer(x), explicit(mixer, x, 2))
    assert not torch.allclose(mixer(x), explicit(mixer, x, 1))


def test_no_token_sees_what_is_behind_it() -> None:
    mixer = made(2)
    x = torch.randn(1, 20, WIDTH, dtype=torch.float64)
    other = x.clone()
    other[:, 13:] += 1
    torch.testing.assert_close(mixer(x)[:, :13], mixer(other)[:, :13])


def test_counts_by_hand() -> None:
    blocks, chosen = 7, 2
    tokens = blocks * STRIDE
    graph = trace(LandmarkMixer(WIDTH, HEADS, BLOCK, chosen), (torch.zeros(1, tokens, WIDTH),))
    routing = tokens * blocks * WIDTH
    fetched = (
        tokens * chosen * (2 * BLOCK + 1) * WIDTH
    )  # in a block, and its mean times the landmark's weight
    assert graph.macs == 4 * tokens * WIDTH**2 + routing + fetched + 2 * tokens * BLOCK * WIDTH
    assert graph.parameter_count == 4 * WIDTH**2
    (taken,) = [node for node in graph.nodes if node.op.name == "take"]
    assert taken.output.type.bytes == 4 * tokens * chosen * BLOCK * 2 * WIDTH


def test_a_step_is_the_last_token_of_a_pass() -> None:
    mixer, tokens = made(2), 23
    x = torch.randn(2, tokens, WIDTH, dtype=torch.float64)
    k, v = (heads(layer(x[:, :-1])) for layer in (mixer.key, mixer.value))
    blocks = torch.cat([k, v], dim=-1)[:, :, :20].unflatten(2, (-1, STRIDE))[:, :, :, :-1]
    near = slice(20, 22)
    mixed, keys, values = mixer.advance(
        x[:, -1:], k[:, :, BLOCK:20:STRIDE], blocks, k[:, :, near], v[:, :, near]
    )
    torch.testing.assert_close(mixed, mixer(x)[:, -1:])
    assert keys.shape == values.shape == (2, HEADS, 3, 4)


def test_a_step_reads_landmarks_and_the_chosen_blocks() -> None:
    accelerator = sf.accelerator("edge-32x32")
    read = []
    for context in (10_001, 20_001):
        graph = build_graph("mixer:landmark", Request(phase="decode", context=context))
        blocks = (context - 1) // 50
        held = 4 * 512 * (blocks + 2 * context)  # landmarks beside a cache that holds every token
        assert sum(v.type.bytes for v in graph.states) == held
        report = sf.estimate(graph, accelerator, bits="traced")
        read.append(report.dram_bytes)
        (taken,) = [part for part in report.parts if part.op == "take"]
        assert taken.dram_bytes <= 2 * 4 * 4 * 50 * 2 * 512 + 64
    # Ten thousand tokens more are 200 landmarks more, not 10,000 rows: scores of 8 heads, moved a few times.
    assert read[1] - read[0] < 1.5 * 200 * 4 * 512
