"""Hard attention and pruned networks: full attention where all is kept, masked forms, costs."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from siliform.models.build import build_graph
from siliform.models.catalogue import model_named
from siliform.models.mixers.hard_attention import HardAttentionMixer
from siliform.models.mixers.softmax import SoftmaxMixer
from siliform.models.request import Request
from siliform.models.tracing import trace

WIDTH, HEADS = 12, 3


def made(kept: int, query_heads: int | None = None) -> HardAttentionMixer:
    torch.manual_seed(0)
    return HardAttentionMixer(WIDTH, HEADS, query_heads, kept).double().eval()


@pytest.mark.parametrize("heads", [3, 2])
def test_all_keys_kept_is_full_attention(heads: int) -> None:
    mixer, full = made(99, heads), SoftmaxMixer(WIDTH, HEADS, query_heads=heads, bias=True).double()
    full.load_state_dict(mixer.state_dict())
    x = torch.randn(2, 17, WIDTH, dtype=torch.float64)
    torch.testing.assert_close(mixer(x), full(x))


def test_hard_attention_is_its_masked_form() -> None:
    mixer, x = made(4), torch.randn(2, 17, WIDTH, dtype=torch.float64)
    q, k, v = (
        layer(x).unflatten(-1, (HEADS, -1)).transpose(1, 2) for layer in (mixer.query, mixer.key, mixer.value)
    )
    scores = q @ k.transpose(-1, -2)
    mask = scores >= scores.sort(-1, descending=True).values[..., 3:4]
    assert (mask.sum(-1) == 4).all()
    mixed = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    torch.testing.assert_close(mixer(x), mixer.out(mixed.transpose(1, 2).flatten(2)))


def test_counts_by_hand() -> None:
    tokens, kept = 20, 4
    graph = trace(HardAttentionMixer(WIDTH, HEADS, None, kept), (torch.zeros(1, tokens, WIDTH),))
    assert graph.macs == 4 * tokens * WIDTH**2 + tokens**2 * WIDTH + tokens * kept * WIDTH
    assert graph.parameter_count == 4 * (WIDTH**2 + WIDTH)
    (taken,) = [node for node in graph.nodes if node.op.name == "take"]
    assert taken.output.type.bytes == 4 * tokens * kept * WIDTH


def test_what_is_pruned_costs_nothing() -> None:
    spec = model_named("axformer-bert-base")
    graph, tokens, width = build_graph(spec, Request()), 128, 768
    macs, parameters = 0, (30522 + 512 + 2) * width
    for layer in spec.configuration["layers"]:
        heads, inner, kept = layer["heads"] * 64, layer["inner"], layer["kept"]
        macs += tokens * (4 * width * heads + tokens * heads + (kept or tokens) * heads)
        parameters += (4 * width * heads + 3 * heads + 3 * width) * (heads > 0)
        macs += 2 * tokens * width * inner
        parameters += (2 * width * inner + inner + 3 * width) * (inner > 0)
    assert graph.macs == macs
    assert graph.parameter_count == spec.parameters == parameters
    whole = 12 * tokens * (12 * width**2 + 2 * tokens * width)
    assert 1.5 < whole / graph.macs < 3
