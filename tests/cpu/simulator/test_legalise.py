"""Products in formats that no unit multiplies: dequantised, multiplied wide, never refused nor free."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import pytest

import siliform as sf
from siliform.graph_ir.errors import UserError
from siliform.graph_ir.graph import Builder, Graph
from siliform.graph_ir.ops import OPS
from siliform.graph_ir.types import tensor
from siliform.simulator.legalise import legalise
from siliform.simulator.work import work_of
from siliform.simulator.workload import workload


def product(form: str) -> Graph:
    b = Builder("product")
    x, y = b.input("x", tensor(form, 2, 16, 64)), b.input("y", tensor(form, 2, 64, 32))
    return b.finish(b(OPS["matmul"], x, y))


@pytest.mark.parametrize("form", ["fp8_e4m3@tensor", "fp4_e2m1@tensor", "fp4_e3m0@tensor"])
def test_levels_that_no_unit_multiplies_are_dequantised_and_priced(form: str) -> None:
    report = sf.estimate(product(form), sf.accelerator("edge-32x32"), bits="traced")
    assert [part.op for part in report.parts] == ["dequantize+dequantize+matmul"]
    assert all(part.cycles > 0 and (part.energy_j or 0) > 0 for part in report.parts)
    assert report.macs == 2 * 16 * 64 * 32
    assert "dequantised and multiplied wide on vector" in report.provenance["formats"].source


def test_a_product_that_an_array_takes_keeps_its_levels() -> None:
    report = sf.estimate(product("int8@tensor"), sf.accelerator("edge-32x32"), bits="traced")
    assert [part.op for part in report.parts] == ["matmul"]


WIDE = [("server-128x128", "array"), ("nvidia-a100", "tensor"), ("nvidia-h100", "tensor")]


@pytest.mark.parametrize(("design", "unit"), WIDE)
@pytest.mark.parametrize("form", ["fp4_e2m1@tensor", "fp4_e2m1@block32:e8m0"])
def test_levels_run_in_the_widest_float_of_the_fastest_matrix_unit(design: str, unit: str, form: str) -> None:
    """They cross as they are stored; each is multiplied by its scale, rounded, and multiplied as bf16."""
    b = Builder("linear")
    x, w = b.input("x", tensor(form, 256, 512)), b.parameter("w", tensor(form, 1024, 512))
    graph = b.finish(b(OPS["linear"], x, w))
    chip = sf.accelerator(design)
    report = sf.estimate(graph, chip, bits="traced")
    (part,) = report.parts
    assert part.op == "dequantize+cast+dequantize+cast+linear"
    assert part.unit.split("+")[0] == unit
    assert report.peak_macs_per_cycle == chip.peak_macs_per_cycle("bf16")
    stored_bytes = sum(v.type.bytes for v in (x, w, *graph.outputs))
    assert stored_bytes <= part.dram_bytes <= stored_bytes + 8
    (block,) = sf.compile(graph, chip, bits="traced").blocks
    assert block.bytes_through("dram") == part.dram_bytes
    told = report.provenance["formats"].source
    assert (
        f"1 of 1 products in fp4_e2m1 are dequantised to bf16, each rounded once, and multiplied on {unit}"
        in told
    )
    wide = sf.estimate(wide_linear(256, 1024, 512), chip, bits="traced")
    assert part.compute_cycles < 2 * wide.parts[0].compute_cycles + 2000
    assert part.cycles > 0


def wide_linear(m: int, n: int, k: int) -> Graph:
    b = Builder("linear")
    x, w = b.input("x", tensor("bf16", m, k)), b.parameter("w", tensor("bf16", n, k))
    return b.finish(b(OPS["linear"], x, w))


def test_a_float_beside_levels_is_not_rounded() -> None:
    """fp16 activations keep their format, in which the array has no cells: the product runs in fp32."""
    b = Builder("mixed")
    x, w = b.input("x", tensor("fp16", 8, 64)), b.parameter("w", tensor("fp4_e2m1@tensor", 32, 64))
    graph = b.finish(b(OPS["linear"], x, w))
    server = sf.estimate(graph, sf.accelerator("server-128x128"), bits="traced")
    assert (server.parts[0].op, server.parts[0].unit) == ("dequantize+linear", "vector")
    both = {"array.formats": ["bf16", "fp16"]}
    half = sf.estimate(graph, sf.accelerator("server-128x128", **both), bits="traced")
    assert half.parts[0].op == "dequantize+cast+linear"


def test_levels_that_the_wide_format_would_round_are_not_given_to_it() -> None:
    """int16 has more bits than the significand of bf16."""
    report = sf.estimate(product("int16@tensor"), sf.accelerator("server-128x128"), bits="traced")
    assert (report.parts[0].op, report.parts[0].unit) == ("matmul", "vector")
    assert "run on vector" in report.provenance["formats"].source


def test_attention_over_levels_stays_fused(make_block: Callable[..., Graph]) -> None:
    report = sf.estimate(make_block(), sf.accelerator("server-128x128"), bits="fp8_e4m3")
    assert any("attention" in part.op and part.unit.startswith("array") for part in report.parts)
    assert not any("softmax" in part.op for part in report.parts)


def test_experts_that_no_row_went_to_are_not_dequantised() -> None:
    def cycles(rows: int) -> int:
        b = Builder("experts")
        x = b.input("x", tensor("bf16", rows, 64))
        w = b.parameter("w", tensor("fp4_e2m1@tensor", 8, 96, 64))
        made = b(OPS["grouped_matmul"], x, w, b.input("ends", tensor("int32", 8)))
        work = work_of(workload(legalise(b.finish(made), sf.accelerator("server-128x128"))).items[0])
        assert work.read_bits[1] == min(rows, 8) * 96 * 64 * 4 + 32 * Fraction(min(rows, 8), 8)
        return sum(s.counts.get("mul", 0) for s in work.scalars)

    assert [cycles(rows) for rows in (1, 2, 8)] == [96 * 64, 2 * 96 * 64, 8 * 96 * 64]


def test_elements_without_scales_have_no_wide_form_and_are_refused() -> None:
    with pytest.raises(UserError, match=r"vector takes .* not fp8_e4m3"):
        sf.estimate(product("fp8_e4m3"), sf.accelerator("edge-32x32"), bits="traced")
