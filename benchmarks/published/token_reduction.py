"""DeiT-S at 224 x 224 pixels with fewer tokens from layer to layer, against DeiT-S: multiply-accumulates of
the traced graphs, and time by the estimate of an A100 where the paper prints one, of another GPU.

Only ToMe prints how many tokens go where. For the others the share that is kept is an assumption, chosen so
that the saving of multiplications is the printed one: what such a row, told as fitted, holds is that the
method's own work is counted with it, not that the saving was predicted.
"""

from __future__ import annotations

import siliform as sf
from benchmarks.published import Row

TOME = "arXiv 2210.09461, ToMe, table 4 (V100)"
PITOME = "arXiv 2405.16148, PiToMe, abstract"
TRANSFORMING = "arXiv 2506.05709, Token Transforming, abstract"
TPRUNE = "arXiv 2305.17328, Zero-TPrune, abstract"
RULE = "1 FLOP = 1 MAC, the method's own products among them"
RATIO = "ratio of MACs: time follows work"
ESTIMATED = "estimate on nvidia-a100, fp32, batch 256"
BATCH = 256
#: A throughput of another machine.
FASTER = 0.06
#: What was chosen where a paper prints none.
SHARE = "the share kept in each layer, chosen inside the printed range"
LAYERS = "the layers and the share kept, chosen by the printed saving"


def rows() -> list[Row]:
    dense = sf.trace("deit-small")
    graphs = {
        "tome, r = 13 in every layer": sf.trace("deit-small-tome", tokens_merged=13),
        "pitome, 90 % kept in every layer": sf.trace("deit-small-pitome"),
        "token transforming, 64 % kept in layers 4, 7, 10": sf.trace("deit-small-token-transforming"),
        "zero-tprune, 82 % kept in layers 2, 4, 7, 10, 12": sf.trace("deit-small-zero-tprune"),
    }
    tome, pitome, transforming, tprune = graphs
    work = {what: graph.macs / dense.macs for what, graph in graphs.items()}
    saved = {what: 100 * (1 - share) for what, share in work.items()}
    late = "the ratio leaves out softmax, norms and the transformation, which the estimate above counts"
    tome_s, transformed_s = (latency_s(f"deit-small-{name}") for name in ("tome", "token-transforming"))
    dense_s = latency_s("deit-small")
    return [
        Row("arXiv 2012.12877, DeiT, table 1", "deit-small", "G MAC", "4.6", dense.macs / 1e9, 0.01, RULE),
        Row(TOME, tome, "x throughput", "1.67", 1 / work[tome], FASTER, RATIO),
        Row(TOME, tome, "x throughput", "1.67", dense_s / tome_s, FASTER, ESTIMATED),
        Row(PITOME, pitome, "% saved", "40..60", saved[pitome], 0.01, RULE, fitted=SHARE),
        Row(TRANSFORMING, transforming, "% saved", "40", saved[transforming], 0.01, RULE, fitted=LAYERS),
        Row(
            TRANSFORMING,
            transforming,
            "x throughput",
            "1.5",
            dense_s / transformed_s,
            0.1,
            ESTIMATED,
            fitted=LAYERS,
        ),
        Row(
            TRANSFORMING,
            transforming,
            "x throughput",
            "1.5",
            1 / work[transforming],
            0.1,
            RATIO,
            late,
            fitted=LAYERS,
        ),
        Row(TPRUNE, tprune, "% saved", "34.7", saved[tprune], 0.01, RULE, fitted=LAYERS),
    ]


def latency_s(name: str) -> float:
    """Of a batch."""
    graph = sf.trace(name, batch=BATCH)
    return sf.estimate(graph, sf.accelerator("nvidia-a100"), bits="fp32").latency_s
