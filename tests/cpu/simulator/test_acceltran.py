"""AccelTran-Edge on BERT-Tiny: 20-bit fixed point, zeros skipped, beside the tile law of its authors."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import siliform as sf
from siliform.arch.units.array import SystolicArray
from siliform.graph_ir.errors import UserError
from siliform.graph_ir.graph import Graph
from siliform.simulator.population import estimate_population
from siliform.simulator.report import Report

PRODUCTS = ("matmul", "attention")
HALF = {"array.weight_density_percent": 50, "array.activation_density_percent": 50}
LANES, TILE_MULTIPLICATIONS, MULTIPLIERS = 64 * 16, 16**3, 16  # AccelTran 2023: tiles of 16 x 16 x 16


@cache
def bert_tiny() -> Graph:
    """2 layers, 128 wide, 2 heads, feed-forward 512; sequence 128, batch 4."""
    return sf.trace("bert-tiny", seq=128, batch=4)


@cache
def reports() -> dict[str, Report]:
    """By law and zeros."""
    found = {}
    for name, settings in {"dense": {}, "half": HALF}.items():
        design = sf.accelerator("acceltran-edge", **settings)
        found[f"estimate, {name}"] = sf.estimate(bert_tiny(), design)
        found[f"simulate, {name}"] = sf.simulate(bert_tiny(), design)
    return found


def products_of(report: Report) -> int:
    """Cycles of the encoder's products, without what their blocks wait for."""
    return sum(p.compute_cycles for p in report.parts if p.kind in PRODUCTS and "encoder" in p.module)


def tile_law(density: float) -> float:
    """Cycles of the encoder's products by the authors' simulator (modules.py): a lane takes
    multiplications / 16 x density for a tile, and tiles keep all 1024 lanes busy."""
    rows, width, hidden, heads, keys = 4 * 128, 128, 512, 8, 128
    multiplications = rows * width * (4 * width + 2 * hidden) + 2 * heads * 128 * keys * 64
    tiles = 2 * multiplications / TILE_MULTIPLICATIONS
    return tiles * TILE_MULTIPLICATIONS / MULTIPLIERS * density / LANES


def test_the_report_is_the_committed_one(committed: Any) -> None:
    """What the page on events says of it; a change is one of the laws, or of the design's constants."""
    told = {
        name: {
            "cycles": r.cycles,
            "latency_us": round(r.latency_s * 1e6, 2),
            "utilization": round(r.utilization, 4),
            "energy_uj": round((r.energy_j or 0) * 1e6, 1),
            "area_mm2": r.area_mm2,
            "dram_bytes": r.dram_bytes,
        }
        for name, r in reports().items()
    }
    committed("acceltran_edge_bert_tiny.json", json.dumps(told, indent=1) + "\n")


def test_the_formats_are_those_of_the_chip() -> None:
    assert reports()["estimate, dense"].bits == "int20"
    assert sf.accelerator("acceltran-edge").peak_macs_per_cycle("int20") == 64 * 16 * 16


@pytest.mark.parametrize(("zeros", "density"), [({}, 1.0), (HALF, 0.25)])
def test_linears_take_what_the_tiles_take(zeros: dict[str, int], density: float) -> None:
    """512 x 128 x 128 is 4 folds of 128 pairs here, and 2,048 tiles of 16 x 16 x 16 on 1,024 lanes there."""
    array = sf.accelerator("acceltran-edge", **zeros).unit("array")
    assert isinstance(array, SystolicArray)
    tiles = 512 * 128 * 128 // TILE_MULTIPLICATIONS
    assert array.product_cycles(512, 128, 128) == 512 * density
    assert tiles * TILE_MULTIPLICATIONS / MULTIPLIERS / LANES * density == 512 * density


def test_products_are_bounded_by_the_tile_law() -> None:
    """Ours are never below it. Above it come the epilogues that other units do at the same time, the softmax
    between two products of one head, and the second product's empty columns: 64 of a head's on 128."""
    for name, density in (("dense", 1.0), ("half", 0.25)):
        found = products_of(reports()[f"estimate, {name}"])
        assert tile_law(density) <= found < 4 * tile_law(density)


def test_the_paper_s_tile_law_by_hand() -> None:
    """4 x 128 tokens: projections 4 x 128^2, feed-forward 2 x 128 x 512; 8 heads of 64 in each attention."""
    by_hand = 2 * (512 * (4 * 128**2 + 2 * 128 * 512) + 2 * 8 * 128 * 128 * 64) / (64 * 16 * 16)
    assert tile_law(1.0) == by_hand == 14_336


def test_zeros_save_time_and_energy_but_no_bytes() -> None:
    dense, half = reports()["estimate, dense"], reports()["estimate, half"]
    assert dense.dram_bytes == half.dram_bytes
    assert half.cycles < dense.cycles
    joules = [r.energy_j for r in (half, dense)]
    assert None not in joules
    assert joules == sorted(joules, key=lambda joule: joule or 0.0)
    compute = [
        sum((p.energy_by_cause_j or {})["compute"] for p in r.parts if p.op == "linear+add")
        for r in (half, dense)
    ]
    assert 0.25 <= compute[0] / compute[1] < 0.5  # a quarter of the multiplications; the additions stay


def test_events_stay_beside_the_law() -> None:
    """Nodes overlap, so that events take less; what they wait for keeps them within a tenth."""
    for name in ("dense", "half"):
        law, events = (reports()[f"{how}, {name}"].cycles for how in ("estimate", "simulate"))
        assert 0.9 * law < events < 1.05 * law


@pytest.mark.parametrize("objective", ["latency", "energy"])
def test_a_population_skips_zeros_as_each_design_does(objective: str) -> None:
    base = sf.accelerator(
        "acceltran-edge", **{"array.weight_density_percent": 30, "array.activation_density_percent": 70}
    )
    columns = {
        "array.rows": np.array([16, 100, 128]),
        "scratchpad.bytes": np.array([1 << 20, 1 << 21, 12 << 20]),
    }
    together = estimate_population(bert_tiny(), base, columns, objective=objective)
    for row in range(3):
        settings = {key: int(values[row]) for key, values in columns.items()}
        alone = sf.accelerator(
            "acceltran-edge",
            **{"array.weight_density_percent": 30, "array.activation_density_percent": 70, **settings},
        )
        report = sf.estimate(bert_tiny(), alone, objective=objective)
        assert (together.cycles[row], together.dram_bytes[row]) == (report.cycles, report.dram_bytes)
        assert together.energy_j[row] == pytest.approx(report.energy_j, rel=1e-12)


def test_a_population_keeps_the_overlap_that_can_skip() -> None:
    with pytest.raises(UserError) as caught:
        estimate_population(
            bert_tiny(), sf.accelerator("acceltran-edge", **HALF), {"array.overlap": np.array([0, 2])}
        )
    assert caught.value.asked == "to vary array.overlap"
    assert caught.value.found == "an array that skips zeros, which only overlap bound can"


def test_cells_that_march_in_step_skip_nothing() -> None:
    with pytest.raises(UserError) as caught:
        sf.accelerator("edge-32x32", **{"array.weight_density_percent": 50})
    error = caught.value
    assert error.asked == "array that skips zeros with overlap double-buffered"
    assert error.found == "cells that march in step, where a skipped pair saves no time"
    assert error.next_step == 'use overlap = "bound", as for lanes fed apart, or densities of 100 percent'


def test_activations_meet_activations_in_attention() -> None:
    settings = {"array.weight_density_percent": 50, "array.activation_density_percent": 20}
    array = sf.accelerator("acceltran-edge", **settings).unit("array")
    assert isinstance(array, SystolicArray)
    assert (array.kept_share(True), array.kept_share(False)) == (0.1, 0.04)
    assert array.peak_macs_per_cycle("int20", "int20") == 16_384 / 0.04


def test_the_page_tells_these_figures() -> None:
    page = (Path(__file__).parents[3] / "docs" / "events.md").read_text(encoding="utf-8")
    for zeros in ("dense", "half"):
        law, events = (reports()[f"{how}, {zeros}"] for how in ("estimate", "simulate"))
        told = f"| {law.cycles:,} | {events.cycles:,} | {events.latency_s * 1e6:.1f} µs |"
        assert f"{told} {events.utilization:.1%} |".replace("%", " %") in page
