"""Long-context serving of Yi-34B (60 layers, 8 key-value heads of 128, bf16) on one A100-80 with 312 TFLOP/s
and 2 TB/s, by the law `bound` of the traced graph.

The paper rounds the parameters to 34 G and its own figures to two digits; K is 1000 tokens. Prefill, users
and switches are in tests/golden, as they take longer.
"""

from __future__ import annotations

import siliform as sf
from benchmarks.published import Row

SOURCE = "arXiv 2405.08944, Challenges in Deploying Long-Context Transformers"
TOKENS, DECODED_TOKENS = 4000, 250
TOLERANCE = 0.03


def rows() -> list[Row]:
    graph = sf.trace("yi-34b", phase="decode", context=TOKENS)
    chip = sf.accelerator("nvidia-a100", **{"dram.bandwidth_bytes_per_second": "2 TB/s"})
    answer_s = sf.estimate(graph, chip, law="bound").latency_s * DECODED_TOKENS
    cache_gib = sum(state.type.bytes for state in graph.states) / 2**30
    told = (
        (f"decode of {DECODED_TOKENS} tokens", "s", "8.5", answer_s, "(weights + cache) / bandwidth a token"),
        ("KV cache", "GiB", "0.91", cache_gib, "bytes of the graph's states"),
    )
    return [
        Row(SOURCE, f"yi-34b, {TOKENS} tokens, {what}", unit, published, ours, TOLERANCE, rule)
        for what, unit, published, ours, rule in told
    ]
