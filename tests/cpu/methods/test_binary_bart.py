"""BART in 8 to 1 bits: which product has which, what that costs, and what the decoder keeps."""

from __future__ import annotations

from fractions import Fraction

import pytest

from benchmarks.published.bit_operations import macs_by_formats, product_flops
from siliform.graph_ir.graph import Graph
from siliform.graph_ir.passes.assign_formats import assign_formats, parse_bits
from siliform.models.build import build_graph, spec_named
from siliform.models.request import Request

#: Bits of weights, tables and activations, and the formats that they are.
POLICIES = [
    ("w8e8a8", "int8", "int8"),
    ("w2e2a8", "ternary", "int8"),
    ("w2e2a2", "ternary", "ternary"),
    ("w1e1a8", "binary", "int8"),
    ("w1e1a1", "binary", "binary"),
]


def tiny(name: str, **request: object) -> Graph:
    return build_graph(spec_named(name).tiny(), Request(**request))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["bart-base", "mbart-large"])
@pytest.mark.parametrize(("bits", "weight", "active"), POLICIES)
def test_bits_of_every_product(name: str, bits: str, weight: str, active: str) -> None:
    graph = assign_formats(tiny(name), parse_bits(bits))
    probabilities = "binary01" if active == "binary" else active
    assert set(macs_by_formats(graph)) == {(active, weight), (active, active), (probabilities, active)}
    matrices = [v.type.format.name for v in graph.parameters if v.type.rank == 2]
    assert set(matrices) == {f"{weight}@channel0"}


@pytest.mark.parametrize(("bits", "weight", "active"), POLICIES)
def test_cost_by_hand(bits: str, weight: str, active: str) -> None:
    width, inner, layers, tokens, words = 32, 64, 2, 12, 101
    wide = tiny("bart-base")
    # Encoder and decoder: self-attention and FFN in both, attention across and the words in the decoder.
    linears = layers * tokens * (12 * width**2 + 4 * width * inner) + tokens * width * words
    attention = layers * width * (4 * tokens**2 + tokens * (tokens + 1))  # the decoder's own is causal
    assert wide.macs == linears + attention
    w, a = ({"int8": 8, "ternary": 2, "binary": 1}[name] for name in (weight, active))
    found = product_flops(assign_formats(wide, parse_bits(bits)))
    assert found == 2 * (linears * Fraction(w * a, 64) + attention * Fraction(a * a, 64))


def test_a_step_of_the_decoder_reads_a_narrow_cache() -> None:
    graph = assign_formats(tiny("bart-base", phase="decode", context=9), parse_bits("w1e1a1"))
    assert set(macs_by_formats(graph)) == {("binary", "binary"), ("binary01", "binary")}
    grown = [v.type.format.name for v in graph.states]
    assert grown
    assert any(name.startswith("binary@channel") for name in grown)
