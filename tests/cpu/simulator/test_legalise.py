"""Products in formats that no unit multiplies: dequantised, multiplied wide, never refused nor free."""

from __future__ import annotations

import pytest

import siliform as sf
from siliform.graph_ir.errors import UserError
from siliform.graph_ir.graph import Builder, Graph
from siliform.graph_ir.ops import OPS
from siliform.graph_ir.types import tensor


def product(form: str) -> Graph:
    b = Builder("product")
    x, y = b.input("x", tensor(form, 2, 16, 64)), b.input("y", tensor(form, 2, 64, 32))
    return b.finish(b(OPS["matmul"], x, y))


@pytest.mark.parametrize("form", ["fp8_e4m3@tensor", "fp4_e2m1@tensor", "fp4_e3m0@tensor"])
def test_levels_that_no_unit_multiplies_are_dequantised_and_priced(form: str) -> None:
    report = sf.estimate(product(form), sf.accelerator("edge-32x32"), bits="traced")
    assert [part.op for part in report.parts] == ["dequantize", "dequantize", "matmul"]
    assert all(part.cycles > 0 and (part.energy_j or 0) > 0 for part in report.parts)
    assert report.macs == 2 * 16 * 64 * 32
    assert "dequantised and multiplied wide on vector" in report.provenance["formats"].source


def test_a_product_that_an_array_takes_keeps_its_levels() -> None:
    report = sf.estimate(product("int8@tensor"), sf.accelerator("edge-32x32"), bits="traced")
    assert [part.op for part in report.parts] == ["matmul"]


def test_elements_without_scales_have_no_wide_form_and_are_refused() -> None:
    with pytest.raises(UserError, match=r"vector takes .* not fp8_e4m3"):
        sf.estimate(product("fp8_e4m3"), sf.accelerator("edge-32x32"), bits="traced")
