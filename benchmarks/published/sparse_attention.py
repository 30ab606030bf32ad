"""Attention to chosen tokens: BiFormer's multiply-accumulates and parameters, what MASFormer's mixed spans
save, and what core context aware attention leaves of a cache.

One MAC is one FLOP, as BiFormer counts; norms, softmax, pooling and selection are left out. A cache is the
states of the graph of one decoded token.
"""

from __future__ import annotations

import siliform as sf
from benchmarks.published import Row

BIFORMER = "arXiv 2303.08810, BiFormer, table 2"
#: G MAC and M parameters as printed, by size.
PRINTED = {"t": ("2.2", "13.1"), "s": ("4.5", "25.5"), "b": ("9.8", "56.8")}
MASFORMER = "arXiv 2310.12442, Efficient Long-Range Transformers, abstract"
CCA = "arXiv 2412.12465, Core Context Aware Transformers"
RULE = "1 FLOP = 1 MAC; norms, softmax, pooling and selection left out"


def rows() -> list[Row]:
    return [*_biformer(), _masformer(), *_caches()]


def _biformer() -> list[Row]:
    made = []
    for size, (macs, parameters) in PRINTED.items():
        graph = sf.trace(f"biformer-{size}")
        name = f"biformer-{size}"
        made.append(Row(BIFORMER, name, "G MAC", macs, graph.macs / 1e9, 0.015, RULE))
        count = graph.parameter_count / 1e6
        made.append(Row(BIFORMER, name, "M parameters", parameters, count, 0.01, "trained parameters"))
    return made


def _masformer() -> Row:
    graph = sf.trace("masformer-1.3b", seq=8192)
    cost = [node.macs for node in graph.nodes if node.op.kind == "attention"]
    saved = 1 - sum(cost) / (max(cost) * len(cost))
    return Row(
        MASFORMER,
        "24 layers, full attention in 4, blocks of 1024 in 20, 8192 tokens",
        "% of attention saved",
        "<= 75",
        100 * saved,
        0.01,
        "MACs of the products between tokens, pairs that a causal mask hides left out",
        "'up to 75 %'; the four full layers alone are 16.7 % of what full attention costs",
    )


def _caches() -> list[Row]:
    made = []
    for name, printed in (("llama-2-7b", "64"), ("cca-llama-2-7b", "4.5")):
        graph = sf.trace(name, phase="decode", context=1 << 17)
        held = sum(value.type.bytes for value in graph.states) / 2**30
        what = f"{name}, 131,072 tokens, fp16"
        rule = "bytes of the states of one step; GB = 2^30"
        made.append(Row(CCA, what, "GB of keys and values", printed, held, 0.03, rule))
    return made
