"""Designs with special engines and their twins: equal areas, memories and lanes, for a fair comparison."""

from __future__ import annotations

import pytest

from siliform.arch.design import design_names, load_design

TWINS = [name for name in design_names() if f"{name}-systolic" in design_names()]


def test_every_special_design_has_a_twin() -> None:
    assert {"ecoformer-edge", "binary-edge", "lut-edge", "routing-edge"} <= set(TWINS)


@pytest.mark.parametrize("name", TWINS)
def test_they_differ_in_the_engine_and_in_cells_of_the_array_alone(name: str) -> None:
    special, twin = load_design(name), load_design(f"{name}-systolic")
    assert twin.area_mm2.number == pytest.approx(special.area_mm2.number, rel=0.01)
    assert (special.clock_hz, special.native_bits) == (twin.clock_hz, twin.native_bits)
    assert list(special.memories()) == list(twin.memories())
    shared = {unit.name: unit for unit in twin.units if unit.name != "array"}
    assert {unit.name: unit for unit in special.units if unit.name in shared} == shared
    (engine,) = (unit for unit in special.units if unit.name not in {*shared, "array"})
    assert engine.kind in ("hash", "binary", "lookup", "topk")
    assert twin.peak_macs_per_cycle("int8") > special.peak_macs_per_cycle("int8")
