"""Published long-context figures from first principles: trace, count, bound.

Source: arXiv 2405.08944, "Challenges in Deploying Long-Context Transformers: A Theoretical Peak
Performance Analysis". Yi-34B (60 layers, 8 key-value heads of 128, width 7168, bf16) on one A100-80
(312 TFLOP/s, 2 TB/s); K means 1000 tokens, a decode is 250 tokens, memory is in GiB. The paper
rounds P to 34 G and its own figures to two digits, hence 3 %.
"""

from __future__ import annotations

from functools import cache

import pytest

import siliform as sf
from siliform.simulator.report import Report

TOLERANCE = 0.03
DECODED_TOKENS = 250
LAYERS, WIDTH, PARAMETERS, WEIGHT_BYTES = 60, 7168, 34e9, 68e9
FLOPS, BYTES_PER_SECOND = 312e12, 2e12

pytestmark = pytest.mark.slow


@cache
def bound(phase: str, tokens: int) -> Report:
    sizes = {"seq": tokens} if phase == "prefill" else {"context": tokens}
    chip = sf.accelerator("nvidia-a100", **{"dram.bandwidth_bytes_per_second": "2 TB/s"})
    return sf.estimate(sf.trace("yi-34b", phase=phase, **sizes), chip, law="bound")


def cache_bytes(tokens: int) -> int:
    graph = sf.trace("yi-34b", phase="decode", context=tokens)
    return sum(v.type.bytes for v in graph.states)


def test_prefill_at_4k_takes_0_89_s() -> None:
    report = bound("prefill", 4000)
    assert report.latency_s == pytest.approx(0.89, rel=TOLERANCE)
    assert report.bottleneck == "compute"


def test_decode_of_250_tokens_at_4k_takes_8_5_s() -> None:
    report = bound("decode", 4000)
    assert report.latency_s * DECODED_TOKENS == pytest.approx(8.5, rel=TOLERANCE)
    assert report.bottleneck == "memory"


def test_the_cache_of_4k_takes_0_91_gib() -> None:
    assert cache_bytes(4000) / 2**30 == pytest.approx(0.91, rel=TOLERANCE)


@pytest.mark.parametrize("tokens", [16000])
def test_other_lengths_follow_the_papers_rule(tokens: int) -> None:
    """Prefill FLOP = n (2 P + causal attention); decode = (weights + cache) / bandwidth per token."""
    attention = 2 * LAYERS * tokens * WIDTH  # per token: two products over half of n keys, 2 FLOP a MAC
    prefill_s = tokens * (2 * PARAMETERS + attention) / FLOPS
    assert bound("prefill", tokens).latency_s == pytest.approx(prefill_s, rel=TOLERANCE)
    decode_s = (WEIGHT_BYTES + cache_bytes(tokens)) / BYTES_PER_SECOND
    assert bound("decode", tokens).latency_s == pytest.approx(decode_s, rel=TOLERANCE)
