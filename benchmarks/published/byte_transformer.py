"""ByteTransformer and PyTorch on BERT-base, 16 sequences whose lengths are 0.6 of the longest on average,
fp16, A100: the estimate on nvidia-a100 times one constant, the geometric mean of what the four rows need.

PyTorch pads all sequences to the longest and writes its scores out; ByteTransformer's attention runs inside
each sequence. The four lengths 0.9, 0.7, 0.5 and 0.3 of the longest are an assumption. As the constant is
chosen by all four rows, they are told as fitted: what they hold is how the four times relate.
"""

from __future__ import annotations

from math import prod

import torch

import siliform as sf
from benchmarks.published import Row
from siliform.graph_ir.graph import Graph
from siliform.graph_ir.passes import composites, constant_folding, dead_code
from siliform.models.catalogue import model_named
from siliform.models.networks.packed_bert import ByteTransformer
from siliform.models.tracing import trace

SOURCE = "arXiv 2210.03052, ByteTransformer, section IV"
#: Longest sequence, ms of ByteTransformer, ms of PyTorch.
PRINTED = ((256, "6.85", "9.56"), (512, "9.22", "21"))
SEQUENCES = 16
TOLERANCE = 0.2


class Padded(ByteTransformer):
    """All sequences as long as the longest, scores and weights as tensors of their own."""

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        def attend(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
            q, k, v = (x.unflatten(0, tuple(tokens.shape)).transpose(1, 2) for x in (q, k, v))
            weights = (q @ k.transpose(2, 3) * q.shape[-1] ** -0.5).softmax(dim=-1)
            return (weights @ v).transpose(1, 2).flatten(0, 1)

        return self.through(tokens, self.packing(*tokens.shape), attend)


def padded_graph(longest: int) -> Graph:
    """The graph of the padded network, whose attention no pass joins to one op."""
    sizes = {**model_named("bert-base-bytetransformer").configuration, "shares": (1.0,)}
    with torch.device("meta"):
        module = Padded(**sizes).half().eval()
        tokens = torch.empty(SEQUENCES, longest, dtype=torch.int64)
    graph = trace(module, (tokens,), name=f"bert-base padded to {longest}")
    for simpler in (composites, constant_folding, dead_code):
        graph = simpler(graph)
    return graph


def rows() -> list[Row]:
    chip = sf.accelerator("nvidia-a100")
    told = []
    for longest, packed, padded in PRINTED:
        graphs = (sf.trace("bert-base-bytetransformer", seq=longest), padded_graph(longest))
        for what, graph, printed in zip(
            ("ByteTransformer", "PyTorch"), graphs, (packed, padded), strict=True
        ):
            estimated_ms = 1e3 * sf.estimate(graph, chip).latency_s
            told.append((f"{what}, longest {longest}", printed, estimated_ms))
    constant = prod(float(printed) / estimated for _, printed, estimated in told) ** (1 / len(told))
    rule = f"estimate x {constant:.2f}, one constant for all four"
    fitted = "one constant of time, by all four rows"
    return [
        Row(SOURCE, what, "ms", printed, estimated_ms * constant, TOLERANCE, rule, fitted=fitted)
        for what, printed, estimated_ms in told
    ]
