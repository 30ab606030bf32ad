"""BERT in one and two bits: what binary products are, what estimators estimate, what formats cost."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import siliform as sf
from benchmarks.published.bit_operations import cost, macs_by_formats, product_flops
from siliform.graph_ir.formats import format_named, quantise
from siliform.graph_ir.graph import Builder, Graph
from siliform.graph_ir.ops import OPS
from siliform.graph_ir.passes.assign_formats import assign_formats, parse_bits
from siliform.graph_ir.types import tensor
from siliform.models.build import build_graph, spec_named
from siliform.models.mixers.softmax import SoftmaxMixer
from siliform.models.networks.binary_bert import EstimatedMixer, Residuals, residual_polynomial
from siliform.models.quantise.weights import quantise_weight
from siliform.models.request import Request

TOKENS, WIDTH, LAYERS, HEADS, INNER = 12, 32, 2, 4, 64  # of the tiny networks


def tiny(name: str) -> Graph:
    return build_graph(spec_named(name).tiny(), Request())


def packed(levels: np.ndarray) -> np.ndarray:
    return np.packbits(levels > 0, axis=-1)


def test_rows_are_centred_signs_by_their_mean_magnitude() -> None:
    weight = np.random.default_rng(0).normal(0.3, 1, (7, 45))
    made = quantise_weight(weight, "binary")
    signs = np.where(weight >= weight.mean(axis=1, keepdims=True), 1, -1)
    assert (made.levels == signs).all()
    np.testing.assert_allclose(made.scale, np.abs(weight).mean(axis=1), rtol=1e-6)


def test_a_binary_product_counts_equal_bits() -> None:
    rng, k = np.random.default_rng(1), 45
    weight = quantise_weight(rng.normal(0.2, 1, (7, k)), "binary")
    signs = quantise(rng.normal(size=(5, k)), format_named("binary@tensor"))
    ones = quantise(rng.random((5, k)), format_named("binary01@tensor"))
    equal = 8 * -(-k // 8) - np.bitwise_count(packed(signs.levels)[:, None] ^ packed(weight.levels)).sum(-1)
    equal -= 8 * -(-k // 8) - k  # padding is equal
    scale = weight.scale * signs.scale
    np.testing.assert_allclose(OPS["linear"].reference(signs, weight), (2.0 * equal - k) * scale, rtol=1e-6)
    both = np.bitwise_count(packed(ones.levels)[:, None] & packed(weight.levels)).sum(-1)
    sums = 2.0 * both - ones.levels.sum(-1, keepdims=True)
    scale = weight.scale * ones.scale
    np.testing.assert_allclose(OPS["linear"].reference(ones, weight), sums * scale, rtol=1e-6)


def test_the_polynomial_is_what_signs_leave() -> None:
    torch.manual_seed(0)
    q, k = (torch.randn(2, 11, 7, dtype=torch.float64) for _ in "qk")
    q_p, k_p = q - q.sign(), k - k.sign()
    # Wide estimators, one number for each element, would give the whole residual.
    left = q.sign() @ k_p.mT + q_p @ k.sign().mT + q_p @ k_p.mT
    torch.testing.assert_close(q.sign() @ k.sign().mT + left, q @ k.mT)
    torch.testing.assert_close(residual_polynomial(q.sign(), q_p, k.sign(), k_p), left)
    layer = Residuals(7).double()
    polynomial, v_p = layer(q)
    estimates = layer.estimate(q).split(1, dim=-1)
    torch.testing.assert_close(polynomial[:, 0], residual_polynomial(*estimates[:4]))
    torch.testing.assert_close(v_p[:, 0], estimates[4])
    assert torch.linalg.matrix_rank(polynomial).max() <= 2


def test_without_estimates_it_is_softmax_attention() -> None:
    torch.manual_seed(0)
    mixer, plain = EstimatedMixer(24, 6).double(), SoftmaxMixer(24, 6, bias=True).double()
    kept = {name: value for name, value in mixer.state_dict().items() if "residuals" not in name}
    plain.load_state_dict(kept)
    x = torch.randn(2, 11, 24, dtype=torch.float64)
    assert not torch.allclose(mixer(x), plain(x))
    for parameter in mixer.residuals.parameters():
        torch.nn.init.zeros_(parameter)
    torch.testing.assert_close(mixer(x), plain(x))


def test_bit_takes_one_bit_everywhere() -> None:
    graph = assign_formats(tiny("bert-base-bit"), parse_bits("w1e1a1"))
    pairs = macs_by_formats(graph)
    assert set(pairs) == {("binary", "binary"), ("binary01", "binary")}
    behind_relu = LAYERS * TOKENS * INNER * WIDTH
    probabilities = LAYERS * TOKENS**2 * WIDTH
    assert pairs["binary01", "binary"] == behind_relu + probabilities
    formats = {v.type.format.name for v in graph.parameters if v.type.rank == 2 and v.type.shape[1] > 2}
    assert formats == {"binary@channel0", "fp32"}
    wide = [v.type.shape for v in graph.parameters if v.type.format.name == "fp32" and v.type.rank == 2]
    assert wide == [(40, WIDTH), (2, WIDTH)]  # positions and segments


def test_bipft_keeps_its_estimators_wide() -> None:
    pairs = macs_by_formats(tiny("bert-base-bipft"))
    assert pairs["fp32", "fp32"] == LAYERS * (5 * TOKENS * WIDTH + 3 * TOKENS**2)
    assert pairs["binary01", "fp32"] == LAYERS * HEADS * TOKENS**2
    assert pairs["binary01", "binary"] == LAYERS * TOKENS**2 * WIDTH
    linears = LAYERS * TOKENS * (4 * WIDTH**2 + 2 * WIDTH * INNER) + WIDTH**2
    assert pairs["binary", "binary"] == linears + LAYERS * TOKENS**2 * WIDTH
    assert set(pairs) == {
        ("binary", "binary"),
        ("binary01", "binary"),
        ("binary01", "fp32"),
        ("fp32", "fp32"),
    }


def test_bit_operations_by_hand() -> None:
    assert [cost(*pair) * 64 for pair in (("binary", "binary"), ("int8", "ternary"), ("int8", "int8"))] == [
        1,
        16,
        64,
    ]
    wide = tiny("bert-base-bit")
    macs = LAYERS * (TOKENS * (4 * WIDTH**2 + 2 * WIDTH * INNER) + 2 * TOKENS**2 * WIDTH) + WIDTH**2
    assert product_flops(wide) == 2 * macs
    assert 64 * product_flops(assign_formats(wide, parse_bits("w1e1a1"))) == 2 * macs
    # Weights of a row and a row's scale; biases, norms, positions and segments stay.
    rows = LAYERS * (5 * WIDTH + INNER) + WIDTH
    bits = LAYERS * (4 * WIDTH**2 + 2 * WIDTH * INNER) + WIDTH**2 + 101 * WIDTH
    kept = rows + 2 * (2 * LAYERS + 1) * WIDTH + 42 * WIDTH
    stored = assign_formats(wide, parse_bits("w1e1a1")).weight_bytes
    assert stored == bits // 8 + 4 * (rows + 101) + 4 * kept


@pytest.mark.parametrize(("bits", "active"), [("w2e2a8", 8), ("w2e2a4", 4), ("w2e2a2", 2)])
def test_two_bits_of_weight_by_every_activation(bits: str, active: int) -> None:
    graph = assign_formats(tiny("bert-base"), parse_bits(bits))
    name = {8: "int8", 4: "int4", 2: "ternary"}[active]
    pairs = macs_by_formats(graph)
    assert set(pairs) == {(name, "ternary"), (name, name)}
    attention = 2 * 2 * TOKENS**2 * WIDTH
    weights = graph.macs - attention
    assert product_flops(graph) * 64 == 2 * (weights * 2 * active + attention * active**2)


BINARY_DESIGN = """
name = "signs"
clock_hz = "1 GHz"
[technology]
node_nm = 28
[units.binary]
rows = 4
columns = 16
width = 64
[units.array]
rows = 16
columns = 16
formats = ["int8", "bf16"]
[units.vector]
lanes = 64
[units.special]
lanes = 16
[units.gather]
bytes_per_cycle = 64
[units.dma]
bytes_per_cycle = 64
[memories.scratchpad]
bytes = "256 KiB"
banks = 16
word_bytes = 64
[memories.dram]
type = "LPDDR4"
bandwidth_bytes_per_second = "25.6 GB/s"
"""


@pytest.mark.parametrize(("name", "bits"), [("bert-base-bit", "w1e1a1"), ("bert-base-bipft", "traced")])
def test_binary_products_run_on_a_binary_unit(tmp_path: Path, name: str, bits: str) -> None:
    (tmp_path / "signs.toml").write_text(BINARY_DESIGN)
    report = sf.estimate(tiny(name), sf.accelerator(str(tmp_path / "signs.toml")), bits=bits)
    on_it = sum(part.macs for part in report.parts if part.unit.startswith("binary"))
    pairs = macs_by_formats(tiny(name) if bits == "traced" else assign_formats(tiny(name), parse_bits(bits)))
    assert on_it == pairs["binary", "binary"] + pairs["binary01", "binary"]
    assert on_it > 0.8 * report.macs


def test_attention_of_signs_in_simpler_ops_has_probabilities_of_zero_and_one() -> None:
    b = Builder("signs")
    q, k, v = (b.input(name, tensor("binary@tensor", 1, 2, 5, 8)) for name in "qkv")
    attention = OPS["attention"]
    assert attention.expansion is not None
    graph = b.finish(attention.expansion(b, q, k, v, None, **attention.complete({})))
    rounded = [node.output.type.format.name for node in graph.nodes if node.op.name == "quantize"]
    assert rounded == ["binary01@tensor"]
