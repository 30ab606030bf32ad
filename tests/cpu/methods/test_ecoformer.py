"""EcoFormer: code attention equals that of explicit similarities, and its counts are those of its lines."""

from __future__ import annotations

import pytest
import torch

from benchmarks.published.ecoformer import operations
from siliform.models.build import build_graph, model_named
from siliform.models.mixers.ecoformer import EcoFormerMixer
from siliform.models.tracing import trace

HEADS, WIDTH, TOKENS, ANCHORS, BITS = 3, 15, 11, 7, 9
HEAD_WIDTH = WIDTH // HEADS


def made() -> EcoFormerMixer:
    torch.manual_seed(0)
    return EcoFormerMixer(WIDTH, HEADS, anchors=ANCHORS, bits=BITS).eval()


def test_sums_by_code_are_the_similarity_of_all_pairs() -> None:
    mixer, x = made().double(), torch.randn(2, TOKENS, WIDTH, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(mixer(x), mixer.explicit(x))


def test_similarities_are_at_least_one() -> None:
    codes = torch.where(torch.randn(5, BITS) >= 0, 1, -1)
    similarity = codes @ codes.T + BITS + 1
    assert similarity.min() >= 1
    assert similarity.diagonal().eq(2 * BITS + 1).all()


def test_counts_by_hand() -> None:
    graph = trace(made(), (torch.zeros(1, TOKENS, WIDTH),))
    assert graph.macs == TOKENS * 3 * WIDTH**2  # Q and K share one projection
    assert graph.parameter_count == 3 * (WIDTH**2 + WIDTH)
    rows = HEADS * TOKENS
    (codes,) = [node for node in graph.nodes if node.op.name == "hash_codes"]
    mul, add = (sum(space.count(what) for space in codes.spaces) for what in ("mul", "add"))
    # Differences and squares of c elements to each anchor, the rate, then bits of all anchors.
    assert mul == rows * (ANCHORS * HEAD_WIDTH + ANCHORS + ANCHORS * BITS)
    assert add == rows * (2 * ANCHORS * HEAD_WIDTH + ANCHORS + ANCHORS * BITS)
    (sums,) = [node for node in graph.nodes if node.op.name == "hash_attention"]
    mul, add, div = (sum(space.count(what) for space in sums.spaces) for what in ("mul", "add", "div"))
    assert sums.macs == 0
    assert mul == WIDTH  # of the sum of values, once a head
    assert add == rows * (2 * BITS * HEAD_WIDTH + HEAD_WIDTH + 2 * BITS)
    assert div == rows * HEAD_WIDTH
    # What a hash engine reads beside the stream: anchors, rate, means and weights of each head.
    held = [value.type.elements for value in codes.operands[1:]]
    assert held == [HEADS * ANCHORS * HEAD_WIDTH, HEADS, HEADS * ANCHORS, HEADS * BITS * ANCHORS]


def test_published_rule_on_a_layer_by_hand() -> None:
    rows, projections = HEADS * TOKENS, TOKENS * 3 * WIDTH**2
    mul, add = operations(trace(made(), (torch.zeros(1, TOKENS, WIDTH),)))
    assert mul == projections + rows * (2 * ANCHORS + ANCHORS * BITS + BITS + 1 + HEAD_WIDTH)
    kernel = 2 * ANCHORS * HEAD_WIDTH + ANCHORS * BITS
    assert add == projections + rows * (kernel + 2 * BITS + 2 * BITS * HEAD_WIDTH + HEAD_WIDTH)


@pytest.mark.parametrize("name", ["pvtv2-b1-ecoformer", "pvtv2-b1-full-attention"])
def test_the_last_stage_keeps_softmax_attention(name: str) -> None:
    spec = model_named(name).tiny()
    nodes = [n.op.name for n in build_graph(spec).nodes if n.op.name in ("attention", "hash_attention")]
    first = "hash_attention" if name.endswith("ecoformer") else "attention"
    assert nodes == [first, first, first, "attention"]


def test_pvtv2_by_hand() -> None:
    """Multiply-accumulates of PVT v2-B0 without spatial reduction, stage by stage."""
    macs, inputs = 256 * 1000, 3
    for side, width, ratio, patch in ((56, 32, 8, 7), (28, 64, 8, 3), (14, 160, 4, 3), (7, 256, 4, 3)):
        tokens, inner = side**2, ratio * width
        layer = (
            4 * tokens * width**2 + 2 * tokens**2 * width + 2 * tokens * width * inner + 9 * tokens * inner
        )
        macs += tokens * width * inputs * patch**2 + 2 * layer
        inputs = width
    assert build_graph("pvtv2-b0-full-attention").macs == macs
