"""Accelerators: rates against data sheets, figures with sources, parts that sum."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from math import fsum

import pytest

from siliform.arch.accelerator import Accelerator
from siliform.arch.design import design_names, load_design
from siliform.arch.memory import Dram, Scratchpad
from siliform.arch.sourced import Sourced
from siliform.graph_ir.errors import UserError
from siliform.graph_ir.passes.policy import parse_bits
from siliform.graph_ir.space import SCALAR_OPS


@pytest.fixture(scope="module")
def edge() -> Accelerator:
    return load_design("edge-32x32")


@pytest.mark.parametrize(
    ("name", "format_name", "tera_macs", "gigabytes"),
    [
        ("edge-32x32", "int8", 1.024, 25.6),
        ("edge-16x16-gemmini", "int8", 0.256, 16),
        ("nvidia-a100", "fp16", 156, 2039),  # data sheet: 312 TFLOP/s
        ("nvidia-a100", "int8", 312, 2039),
        ("nvidia-h100", "bf16", 494.7, 3350),  # data sheet: 989.4 TFLOP/s
        ("nvidia-h100", "fp8_e4m3", 989.4, 3350),
        ("nvidia-h200", "fp16", 494.7, 4800),
        ("acceltran-edge", "int20", 11.4688, 25.6),  # 16,384 multipliers at 700 MHz
        ("server-128x128", "bf16", 11.4688, 700),
    ],
)
def test_peaks_are_those_of_the_data_sheets(name, format_name, tera_macs, gigabytes) -> None:
    design = load_design(name)
    peak = design.peak_macs_per_cycle(format_name) * design.clock_hz / 1e12
    assert peak == pytest.approx(tera_macs, rel=1e-3)
    assert design.dram.bandwidth_bytes_per_second == gigabytes * 1e9
    assert design.dram.bytes_per_cycle(design.clock_hz, peak=True) * design.clock_hz == gigabytes * 10**9


def test_bandwidth_per_cycle_is_exact(edge: Accelerator) -> None:
    assert edge.dram_bytes_per_cycle == Fraction(128, 5)
    assert load_design("nvidia-h100").dram_bytes_per_cycle == Fraction(3350, 1830) * 1000 * Fraction(88, 100)
    assert edge.seconds(2_000_000) == 0.002


def test_area_is_the_sum_of_its_parts(edge: Accelerator) -> None:
    parts = edge.area_parts_mm2
    assert list(parts) == ["array", "vector", "special", "gather", "dma", "scratchpad", "accumulator"]
    assert edge.area_mm2.value == pytest.approx(fsum(p.value or 0.0 for p in parts.values()), rel=1e-12)
    smaller = load_design("edge-32x32", {"array.rows": 16})
    assert smaller.area_mm2.value < edge.area_mm2.value  # type: ignore[operator]
    assert smaller.leakage_watts.value < edge.leakage_watts.value  # type: ignore[operator]


@pytest.mark.parametrize("name", design_names())
def test_figures_have_a_number_and_a_source_or_a_reason(name: str) -> None:
    design = load_design(name)
    policy = parse_bits(design.native_bits)
    native = policy.rules[0].weight if policy.rules else policy.wide
    assert native is not None
    figures = [
        design.area_mm2,
        design.leakage_watts,
        design.mac_energy_pj(native),
        design.dram_energy_pj_per_byte,
    ]
    figures += [design.scalar_energy_pj(op, "fp16") for op in SCALAR_OPS]
    figures += [design.sram_energy_pj_per_byte(memory) for _, memory in design.memories()]
    for figure in figures:
        assert figure.source
        assert figure.value is None or figure.value > 0
    assert design.area_mm2.known or name == "nvidia-b200", "of all designs, one whose maker says nothing"


def test_a_gpu_has_an_area_and_no_energy() -> None:
    for name, area in (("nvidia-a100", 826.0), ("nvidia-h100", 814.0), ("nvidia-h200", 814.0)):
        design = load_design(name)
        assert design.area_mm2.value == area
        for figure in (
            design.mac_energy_pj("fp16"),
            design.scalar_energy_pj("exp", "fp32"),
            design.sram_energy_pj_per_byte(design.scratchpad),
            design.dram_energy_pj_per_byte,
            design.leakage_watts,
        ):
            assert figure.value is None
            assert figure.source.startswith("NVIDIA publishes no energy per operation")


def test_a_design_may_state_its_own_figures() -> None:
    design = load_design("acceltran-edge")
    assert design.mac_energy_pj("int20").value == 0.464
    assert design.area_mm2.value == 55.1
    # The paper's modules: lanes, softmax, layer norm, control, sparsity, DMA (um2); buffers (mm2 a MB).
    modules = 1024 * 9418.7 + 256 * 87573 + 64 * 81104 + 75947 + 1024 * (2 * 6216.9 + 1181.2) + 64 * 144.6
    buffers = 8 * 0.294 + 4 * 0.303 + 1 * 0.303
    assert modules * 1e-6 + buffers == pytest.approx(55.1, abs=0.1)
    leakage_mw = 1024 * 0.319 + 256 * 2.67 + 64 * 2.58 + 2.73 + 1024 * (2 * 0.151 + 0.032)
    leakage_mw += 8 * 210.40 + 4 * 247.92 + 1 * 238.20  # buffers, mW a MB: constants.yaml of its simulator
    assert leakage_mw / 1e3 == pytest.approx(design.leakage_watts.value, abs=0.01)


def test_scalar_work_finds_its_unit_or_the_reasons(edge: Accelerator) -> None:
    assert edge.scalar_unit("add", "fp32").name == "vector"  # type: ignore[union-attr]
    assert edge.scalar_unit("exp", "fp16").name == "special"  # type: ignore[union-attr]
    assert edge.scalar_unit("exp", "int8") is None
    reasons = edge.refusals("exp", "int8")
    assert len(reasons) == len(edge.units)
    assert "special takes fp32, fp16, bf16, int32, int64, not int8" in reasons
    a100 = load_design("nvidia-a100")
    for scalar_op in SCALAR_OPS:
        assert a100.scalar_unit(scalar_op, "fp16") is not None, scalar_op


def test_parts_are_found_by_name_and_kind(edge: Accelerator) -> None:
    assert edge.unit("array") is edge.of_kind("array")[0]
    assert edge.of_kind("tensor") == ()
    with pytest.raises(UserError) as caught:
        edge.unit("aray")
    assert str(caught.value) == (
        "asked: the unit 'aray' of edge-32x32\n"
        "found: units array, vector, special, gather, dma\n"
        "where: design edge-32x32\n"
        "next:  use one of the nearest: array, gather"
    )


def test_nonsense_never_becomes_an_accelerator(edge: Accelerator) -> None:
    with pytest.raises(UserError, match="two parts named 'array'"):
        replace(edge, units=(*edge.units, edge.unit("array")))
    with pytest.raises(UserError, match="found: no unit"):
        replace(edge, units=())
    with pytest.raises(UserError, match=r"edge-32x32\.clock_hz = 0"):
        replace(edge, clock_hz=0)
    with pytest.raises(UserError, match="no figure of that name"):
        replace(edge, published=(("beauty", Sourced(1.0, "pJ", "x")),))
    with pytest.raises(UserError, match="not one word for each bank"):
        Scratchpad(bytes=64, banks=16, word_bytes=8)
    with pytest.raises(UserError, match="give one of LPDDR3, LPDDR4"):
        Dram(type="RAM", bandwidth_bytes_per_second=1)


def test_memories_know_what_tiles_may_fill() -> None:
    half = Scratchpad(bytes=1024, banks=4, word_bytes=8)
    assert (half.usable_bytes, half.bytes_per_cycle, half.bank_bytes) == (512, 32, 256)
    assert replace(half, double_buffered=False).usable_bytes == 1024
