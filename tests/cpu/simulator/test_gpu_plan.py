"""Attention as one kernel of a GPU's plan: its softmax costs what its scores do, however few they are."""

from __future__ import annotations

import pytest

import siliform as sf
from siliform.graph_ir.graph import Builder
from siliform.graph_ir.ops import OPS
from siliform.graph_ir.types import tensor

H100 = "nvidia-h100"


def latency_s(tokens: int, heads: int = 12) -> float:
    b = Builder("attention")
    q, k, v = (b.input(name, tensor("bf16", 1, heads, tokens, 64)) for name in "qkv")
    graph = b.finish(b(OPS["attention"], q, k, v))
    return sf.estimate(graph, sf.accelerator(H100), bits="traced").latency_s


@pytest.mark.parametrize("tokens", [1, 2, 9, 40, 100])
def test_fewer_tokens_never_take_longer(tokens: int) -> None:
    """All of these are one tile of keys: no filling of the lanes' pipeline is counted for each score."""
    assert latency_s(tokens) <= 1.01 * latency_s(128)


def test_a_few_tokens_of_bert_take_no_longer_than_many() -> None:
    """Kernels are launched alike, and every one of them has less to do."""
    few, many = (sf.trace("bert-base", seq=tokens) for tokens in (9, 128))
    chip = sf.accelerator(H100)
    assert sf.estimate(few, chip).latency_s <= sf.estimate(many, chip).latency_s
