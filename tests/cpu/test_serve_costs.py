"""Steps costed from traced sizes: exact where they were traced, close in between, and said how close."""

from __future__ import annotations

from pathlib import Path

import pytest

import siliform as sf
from siliform.graph_ir.errors import UserError
from siliform.serving import serve
from siliform.simulator.serving import ServingRequest
from siliform.stepcosts import Costing, Levels, TracedCosts, shape_of

#: A decoder small enough to be traced in a moment.
LLAMA = (
    '{"model_type": "llama", "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, '
    '"num_key_value_heads": 2, "intermediate_size": 128, "vocab_size": 512, "max_position_embeddings": 2048}'
)
#: Caches of LLAMA: keys and values of 2 layers, 2 heads of 16, one byte each in int8, two in fp16.
KV_ELEMENTS = 2 * 2 * 2 * 16

REQUESTS = [ServingRequest(f"r{i}", 0.001 * i, 40 + 37 * i, 3 + 2 * i) for i in range(6)]


@pytest.fixture
def model(tmp_path: Path) -> str:
    (tmp_path / "config.json").write_text(LLAMA)
    return f"hf:{tmp_path / 'config.json'}"


def costs_of(model: str, design: str, ratio: int = 2, law: str = "model") -> TracedCosts:
    return TracedCosts(Costing(model, sf.accelerator(design), law=law), REQUESTS, 4, ratio=ratio)


@pytest.mark.parametrize("design", ["edge-32x32", "nvidia-a100"])
def test_equal_lengths_at_the_ends_of_the_grid_cost_what_estimate_says(model: str, design: str) -> None:
    costs = costs_of(model, design)
    chip = sf.accelerator(design)
    prompt, context = 225, 225 + 13 - 2
    for cost, graph in (
        (costs.prefill([prompt] * 4), sf.trace(model, seq=prompt, batch=4)),
        (costs.decode([context] * 4), sf.trace(model, phase="decode", context=context, batch=4)),
    ):
        report = sf.estimate(graph, chip)
        assert cost.seconds == pytest.approx(report.latency_s)
        assert cost.macs == report.macs
        assert cost.energy_j == (None if report.energy_j is None else pytest.approx(report.energy_j))
    assert costs.held_out_error() is None


@pytest.mark.parametrize(
    ("design", "law", "tolerance"),
    # Seen: at most 4 % on the array (whose tiles make steps of 32 rows), 2 % on the GPU, 7 % of the bound.
    [("edge-32x32", "model", 0.08), ("nvidia-a100", "model", 0.05), ("edge-32x32", "bound", 0.12)],
)
def test_sizes_in_between_are_close_to_a_trace_of_them(
    model: str, design: str, law: str, tolerance: float
) -> None:
    """Held-out sizes, in both phases, none of them on the grid."""
    costs = costs_of(model, design, law=law)
    for phase, batch, tokens in (
        ("prefill", 3, 150),
        ("prefill", 1, 61),
        ("prefill", 2, 199),
        ("decode", 3, 120),
        ("decode", 1, 99),
    ):
        guessed = costs.between(phase, batch, tokens)[0]
        direct = costs.costing.traced(phase, batch, tokens).report.latency_s
        assert guessed == pytest.approx(direct, rel=tolerance), (phase, batch, tokens)


def test_different_lengths_cost_what_as_many_tokens_and_pairs_cost(model: str) -> None:
    """Dearer than equal ones of as many tokens, since attention is quadratic; never than padding them all."""
    costs = costs_of(model, "edge-32x32")
    mixed = costs.prefill([40, 200]).seconds
    assert costs.prefill([120, 120]).seconds < mixed < costs.prefill([200, 200]).seconds
    assert costs.decode([40, 200]).seconds == pytest.approx(costs.decode([120, 120]).seconds)


def test_the_report_says_how_far_it_may_be_off(model: str) -> None:
    report = serve(model, sf.accelerator("edge-32x32"), REQUESTS, max_batch=4)
    error = report.setting.provenance["interpolation"].relative_uncertainty
    assert error is not None
    assert 0 < error < 0.1
    assert report.setting.provenance["latency_s"].relative_uncertainty == pytest.approx(error)
    chip = sf.accelerator("edge-32x32")
    energy = report.setting.provenance["energy_j"].relative_uncertainty
    graphs = [sf.trace(model, seq=225, batch=4), sf.trace(model, phase="decode", context=236, batch=4)]
    spreads = [sf.estimate(graph, chip).provenance["energy_j"].relative_uncertainty for graph in graphs]
    assert energy >= (1 + max(spreads)) * (1 + error) - 1  # type: ignore[operator, type-var]
    assert report.energy_j is not None
    assert 0 < report.utilization < 1
    assert report.run.memory.bytes_per_token == pytest.approx(KV_ELEMENTS, rel=0.15)  # scales beside int8
    assert (
        report.run.memory.capacity_bytes
        == sf.accelerator("edge-32x32").dram.bytes - report.setting.weight_bytes
    )


def test_a_gpu_has_no_energy_and_says_why(model: str) -> None:
    report = serve(model, sf.accelerator("nvidia-a100"), REQUESTS[:2], max_batch=2, grid=4)
    assert report.energy_j is None
    assert "NVIDIA publishes no energy" in report.setting.provenance["energy_j"].source
    assert report.run.memory.bytes_per_token == 2 * KV_ELEMENTS


def test_an_encoder_serves_requests_without_answers() -> None:
    asked = [ServingRequest("a", 0.0, 32, 0), ServingRequest("b", 0.0, 16, 0)]
    report = serve("bert-tiny", sf.accelerator("edge-32x32"), asked, batching="padded")
    assert report.setting.provenance["kv"].kind == "absent"
    assert report.peak_kv_bytes == 0
    assert report.spread("time_to_first_token_s") is None
    assert report.padding_share == pytest.approx(16 / 64)
    direct = sf.estimate(sf.trace("bert-tiny", seq=32, batch=2), sf.accelerator("edge-32x32"))
    assert report.makespan_s == pytest.approx(direct.latency_s)


def test_refuses_a_model_of_one_size() -> None:
    with pytest.raises(UserError) as refused:
        serve("gemm:1,2,3", sf.accelerator("edge-32x32"), REQUESTS)
    assert refused.value.asked == "to serve gemm:1,2,3"
    assert refused.value.next_step == "give a built-in name (siliform models) or hf:<config.json>"


def test_refuses_requests_longer_than_the_model_in_the_words_of_requests() -> None:
    with pytest.raises(UserError) as refused:
        serve("gpt2", sf.accelerator("edge-32x32"), [ServingRequest("a", 0.0, 1100, 3)])
    assert str(refused.value) == (
        "asked: answers behind 1,101 tokens from gpt2\n"
        "found: its position table has 1024 rows, so 1024 tokens are the maximum\n"
        "where: the longest of the requests\n"
        "next:  give shorter prompts or answers, or a model of longer context"
    )


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (100, (100, 100)),
        (99.5, (50, 100)),
        (50, (50, 50)),
        (30, (25, 50)),
        (1, (1, 1)),
        (0.9, (1, 1)),
        (150, (100, 200)),
    ],
)
def test_levels_stand_on_both_sides(size: float, expected: tuple[int, int]) -> None:
    """100, 50, 25, 13, 7, 4, 2, 1, and 200, 400 above."""
    assert Levels(100, 2).around(size) == expected


@pytest.mark.parametrize(
    ("tokens", "expected"), [(64, (1, 64)), (512, (1, 512)), (513, (2, 257)), (4096, (8, 512))]
)
def test_a_level_of_tokens_is_few_long_prompts(tokens: int, expected: tuple[int, int]) -> None:
    assert shape_of(tokens, 512) == expected
