"""Products whose operands run sign-extended on wider cells spend the energy of those cells."""

from __future__ import annotations

import pytest

import siliform as sf
from siliform.graph_ir.graph import Builder, Graph
from siliform.graph_ir.ops import OPS
from siliform.graph_ir.types import tensor
from siliform.simulator.report import Part

M, N, K = 24, 40, 56


def product(first: str, second: str) -> Graph:
    b = Builder("product")
    x, w = b.input("x", tensor(first, 1, M, K)), b.parameter("w", tensor(second, N, K))
    return b.finish(b(OPS["linear"], x, w))


def multiplied(graph: Graph, design: str, kind: str = "linear") -> Part:
    (part,) = (p for p in sf.estimate(graph, sf.accelerator(design), bits="traced").parts if p.op == kind)
    return part


def multiplying_pj(first: str, second: str, design: str) -> float:
    """Picojoules of the multiply-accumulates, without the scales that are applied behind them."""
    part = multiplied(product(first, second), design)
    assert part.energy_by_cause_j is not None
    return part.energy_by_cause_j["compute"] * 1e12


def test_a_product_of_bits_on_int8_cells_costs_what_one_of_int8_does() -> None:
    """By hand at 45 nm: 0.2 pJ a multiplication and 0.1 pJ an addition into int32 (Horowitz 2014)."""
    by_hand = M * N * K * (0.2 + 0.1)
    twin = "binary-edge-systolic"
    for first, second in (
        ("int8", "int8"),
        ("binary", "binary"),
        ("binary01", "binary"),
        ("int4", "ternary"),
    ):
        assert multiplying_pj(first, second, twin) == pytest.approx(by_hand, rel=1e-9), (first, second)


def test_the_unit_of_bits_spends_a_gate_and_a_full_adder_for_each_product() -> None:
    by_hand = M * N * K * (0.2 / 64 + 0.03 / 8)
    assert multiplying_pj("binary", "binary", "binary-edge") == pytest.approx(by_hand, rel=1e-9)


def test_what_is_stored_stays_narrow_on_the_twin() -> None:
    bits, bytes_ = (
        multiplied(product(name, name), "binary-edge-systolic").dram_bytes for name in ("binary", "int8")
    )
    assert bytes_ - bits == (M * K + N * K) * 7 // 8


def test_attention_of_bits_on_int8_cells_costs_what_one_of_int8_does() -> None:
    def compute(name: str) -> float:
        b = Builder("attention")
        q, k, v = (b.input(n, tensor(name, 1, 2, 32, 16)) for n in "qkv")
        part = multiplied(b.finish(b(OPS["attention"], q, k, v)), "binary-edge-systolic", "attention")
        assert part.energy_by_cause_j is not None
        return part.energy_by_cause_j["compute"]

    assert compute("binary@tensor") == pytest.approx(compute("int8@tensor"), rel=1e-9)


def test_the_price_names_the_cells_that_ask_it() -> None:
    report = sf.estimate(product("binary", "binary"), sf.accelerator("binary-edge-systolic"), bits="traced")
    assert "XNOR" not in report.provenance["energy_j"].source
    report = sf.estimate(product("binary", "binary"), sf.accelerator("binary-edge"), bits="traced")
    assert "XNOR" in report.provenance["energy_j"].source
