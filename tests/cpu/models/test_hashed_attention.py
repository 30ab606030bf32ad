"""The hash-attention layer for inference: the trained layer's function, in ops that an engine does whole."""

from __future__ import annotations

import torch

from siliform.models.blocks.hash_attention import HashAttention, HashedAttention
from siliform.models.tracing import trace


def test_it_is_the_function_of_the_layer_that_was_trained() -> None:
    torch.manual_seed(0)
    trained = HashAttention(24, heads=3, head_width=5, anchors=7, bits=9).eval()
    with torch.no_grad():
        trained.hash.rate.mul_(torch.tensor([0.5, 1.0, 1.5]).view(3, 1, 1))
        trained.hash.means.add_(0.1 * torch.randn_like(trained.hash.means))
    x = torch.randn(2, 11, 24)
    for joint in (False, True):
        torch.testing.assert_close(HashedAttention.of(trained, joint)(x), trained(x))


def test_a_trace_has_one_node_for_each_of_its_two_ops() -> None:
    made = HashedAttention.of(HashAttention(16, heads=2, head_width=4, anchors=3, bits=8))
    graph = trace(made, (torch.zeros(1, 6, 16),))
    computed = [node.op.name for node in graph.nodes if node.op.movement != "view"]
    assert [name for name in computed if name != "contiguous"] == [
        "linear",
        "linear",
        "hash_codes",
        "hash_attention",
        "linear",
    ]
