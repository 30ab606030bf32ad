"""Many designs at once cost what each costs alone: cycles and bytes exactly, energy to the last digits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import numpy as np
import pytest

import siliform as sf
from siliform.arch.units.array import DATAFLOWS, OVERLAPS
from siliform.graph_ir.errors import UserError
from siliform.graph_ir.graph import Builder, Graph
from siliform.graph_ir.ops import OPS
from siliform.graph_ir.types import tensor
from siliform.simulator.estimate import OBJECTIVES, prepared
from siliform.simulator.legalise import legalise
from siliform.simulator.population import PopulationReport, estimate_population
from siliform.simulator.workload import workload

ROWS, BYTES, BANDWIDTH = "array.rows", "scratchpad.bytes", "dram.bandwidth_bytes_per_second"


def decode_graph(cached: int = 40, width: int = 24, heads: int = 4, groups: int = 2) -> Graph:
    """One token of attention with grouped heads over a cache that it appends to, and a copy of its result."""
    b = Builder("decode")
    x = b.input("x", tensor("fp32", 1, 1, width))
    each = width // heads

    def head(name: str, count: int):  # type: ignore[no-untyped-def]
        made = b(OPS["linear"], x, b.parameter(f"w{name}", tensor("fp32", count * each, width)))
        made = b(OPS["reshape"], made, shape=[1, 1, count, each])
        return b(OPS["permute"], made, axes=[0, 2, 1, 3])

    caches = [b.state(f"{name}_cache", tensor("fp32", 1, groups, cached, each)) for name in "kv"]
    q, k, v = head("q", heads), head("k", groups), head("v", groups)
    keys, values = (b(OPS["append"], c, new, axis=2) for c, new in zip(caches, (k, v), strict=True))
    mixed = b(OPS["attention"], q, keys, values, pattern="causal")
    mixed = b(OPS["reshape"], mixed, shape=[1, 1, width])
    out = b(OPS["linear"], mixed, b.parameter("wo", tensor("fp32", width, width)))
    return b.finish(b(OPS["softmax"], b(OPS["add"], out, x), axis=-1), keys, values)


def convolution_graph() -> Graph:
    """A grouped convolution, which arrays and lanes compete for."""
    b = Builder("convolution")
    x = b.input("x", tensor("fp32", 1, 12, 20, 20))
    w = b.parameter("w", tensor("fp32", 12, 1, 3, 3))
    return b.finish(b(OPS["relu"], b(OPS["conv"], x, w, groups=12, padding=[1, 1])))


@cache
def bert() -> Graph:
    """Two layers of BERT, traced once."""
    import torch
    from transformers import BertConfig, BertModel

    sizes = {"hidden_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 512}
    torch.manual_seed(0)
    model = BertModel(BertConfig(vocab_size=1000, **sizes)).eval()
    return sf.trace(model, (torch.zeros(1, 32, dtype=torch.long),), name="bert-tiny")


def draw(count: int, seed: int, *, least_bytes: int = 200, lanes: bool = False) -> dict[str, np.ndarray]:
    """Random designs: odd sides, scratchpads from too small for a tile to larger than the model."""
    rng = np.random.default_rng(seed)

    def spread(low: float, high: float) -> np.ndarray:
        return np.exp(rng.uniform(np.log(low), np.log(high), count)).astype(np.int64)

    columns = {
        ROWS: rng.integers(1, 90, count),
        "array.columns": rng.integers(1, 90, count),
        "array.dataflow": rng.choice(DATAFLOWS, count),
        "array.overlap": rng.integers(0, 3, count),
        BYTES: spread(least_bytes, 1 << 23),
        "scratchpad.double_buffered": rng.random(count) < 0.5,
        "scratchpad.resident_percent": rng.integers(0, 91, count),
        BANDWIDTH: spread(1e8, 1e12),
        "clock_hz": rng.choice([10**9, 7 * 10**8, 123_456_789], count),
    }
    if lanes:
        columns |= {
            "vector.lanes": rng.choice([1, 16, 4096], count),
            "special.lanes": rng.integers(1, 3, count) * 8,
            "gather.bytes_per_cycle": rng.choice([4, 64], count),
        }
    return columns


def overrides(columns: Mapping[str, np.ndarray], row: int) -> dict[str, Any]:
    found = {key: values[row].item() for key, values in columns.items()}
    if "array.overlap" in found:
        found["array.overlap"] = OVERLAPS[found["array.overlap"]]
    return found


def check(graph: Graph, base: str, columns: Mapping[str, np.ndarray], objective: str) -> PopulationReport:
    """Compare every design with its estimate alone."""
    together = estimate_population(graph, sf.accelerator(base), columns, objective=objective)
    for row in range(len(together)):
        told = overrides(columns, row)
        try:
            alone = sf.accelerator(base, **told)
            report = sf.estimate(graph, alone, objective=objective)
        except UserError:
            assert not together.feasible[row], told
            assert together.cycles[row] == together.dram_bytes[row] == together.energy_j[row] == np.inf
            continue
        assert together.feasible[row], told
        assert (together.cycles[row], together.dram_bytes[row]) == (report.cycles, report.dram_bytes), told
        assert together.latency_s[row] == report.latency_s
        area = np.nan if report.area_mm2 is None else report.area_mm2
        assert together.area_mm2[row] == pytest.approx(area, rel=1e-12, nan_ok=True)
        assert together.leakage_watts[row] == pytest.approx(alone.leakage_watts.value, rel=1e-12)
        if report.energy_j is None:
            assert np.isnan(together.energy_j[row])
        else:
            assert together.energy_j[row] == pytest.approx(report.energy_j, rel=1e-12), told
    return together


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("graph", ["block", "decode", "convolution", "bert"])
def test_a_population_costs_what_each_design_costs_alone(
    make_block: Callable[..., Graph], graph: str, objective: str
) -> None:
    made = {"decode": decode_graph, "convolution": convolution_graph, "bert": bert, "block": make_block}
    columns = draw(60, seed=OBJECTIVES.index(objective) + 10 * len(graph))
    found = check(made[graph](), "edge-32x32", columns, objective)
    assert found.feasible.any()
    if graph == "bert":
        assert len(np.unique(found.cycles)) > 50  # the designs do differ


@pytest.mark.parametrize(("base", "least_bytes"), [("edge-16x16-gemmini", 200), ("acceltran-edge", 5000)])
def test_accumulators_and_published_figures_count_as_they_do_alone(
    block: Graph, base: str, least_bytes: int
) -> None:
    columns = draw(40, seed=5, least_bytes=least_bytes)
    if base == "edge-16x16-gemmini":
        columns["accumulator.bytes"] = np.random.default_rng(3).integers(64, 70_000, 40)
    check(block, base, columns, "latency")


def test_a_published_area_is_only_of_the_design_as_it_is(block: Graph) -> None:
    columns = {
        ROWS: np.array([128, 128, 64, 128]),
        "array.overlap": np.array([OVERLAPS.index("bound")] * 4),
        BYTES: np.array([12 << 20, 12 << 20, 12 << 20, 8 << 20]),
        "scratchpad.resident_percent": np.array([50, 40, 50, 50]),
    }
    found = check(block, "acceltran-edge", columns, "latency")
    assert found.area_mm2[:2].tolist() == [55.1, 55.1]
    assert np.isnan(found.area_mm2[2:]).all()


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_units_beside_the_array_vary_too(make_block: Callable[..., Graph], objective: str) -> None:
    check(make_block(pattern="causal"), "edge-32x32", draw(40, seed=7, lanes=True), objective)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_products_on_lanes_count_as_they_do_alone(objective: str) -> None:
    """Any product may take the lanes; what they read depends on how many there are."""
    from siliform.arch.design import parse_design

    base = sf.accelerator("edge-32x32", **{"vector.products": "any"})
    columns = draw(40, seed=17, lanes=True) | {"array.overlap": np.zeros(40, int)}
    together = estimate_population(decode_graph(), base, columns, objective=objective)
    won = 0
    for row in range(40):
        try:
            report = sf.estimate(
                decode_graph(), parse_design(base.to_toml(), overrides(columns, row)), objective=objective
            )
        except UserError:
            assert not together.feasible[row]
            continue
        assert (together.cycles[row], together.dram_bytes[row]) == (report.cycles, report.dram_bytes)
        assert together.energy_j[row] == pytest.approx(report.energy_j, rel=1e-12)
        won += sum(part.macs > 0 and not part.unit.startswith("array") for part in report.parts)
    assert won > 10


@pytest.mark.parametrize("bits", ["mxfp4", "fp8_e4m3"])
def test_levels_widened_on_their_way_in_count_as_they_do_alone(block: Graph, bits: str) -> None:
    base = sf.accelerator("server-128x128")
    columns = {ROWS: np.array([16, 64, 128]), BYTES: np.array([1 << 16, 1 << 18, 1 << 20])}
    together = estimate_population(block, base, columns, bits=bits, objective="energy")
    for row in range(3):
        chip = sf.accelerator("server-128x128", **overrides(columns, row))
        report = sf.estimate(block, chip, bits=bits, objective="energy")
        assert (together.cycles[row], together.dram_bytes[row]) == (report.cycles, report.dram_bytes)
        assert together.energy_j[row] == pytest.approx(report.energy_j, rel=1e-12)


def test_an_unsourced_energy_is_not_a_number_and_times_remain(block: Graph) -> None:
    text = sf.accelerator("edge-32x32").to_toml() + '\n[published.energy]\nreason = "nobody measured it"\n'
    from siliform.arch.design import parse_design

    base = parse_design(text)
    found = estimate_population(block, base, {ROWS: np.array([8, 32])}, objective="energy")
    assert np.isnan(found.energy_j).all()
    assert found.cycles.tolist() == [
        sf.estimate(block, parse_design(text, {ROWS: rows}), objective="energy").cycles for rows in (8, 32)
    ]


def test_too_small_a_scratchpad_is_a_row_and_no_error(block: Graph) -> None:
    """One too small for its 16 banks of 8 bytes, one too small for a tile, and one that does."""
    columns = {BYTES: np.array([64, 130, 1 << 20])}
    columns["scratchpad.resident_percent"] = np.zeros(3, int)
    found = check(block, "edge-32x32", columns, "latency")
    assert found.feasible.tolist()[0] is False
    assert found.feasible.tolist()[2] is True
    assert found.cycles[0] == np.inf


def test_the_order_of_designs_does_not_matter(block: Graph) -> None:
    columns = draw(50, seed=11)
    base = sf.accelerator("edge-32x32")
    order = np.random.default_rng(0).permutation(50)
    straight = estimate_population(block, base, columns)
    mixed = estimate_population(block, base, {key: values[order] for key, values in columns.items()})
    assert (straight.cycles[order] == mixed.cycles).all()
    assert (straight.dram_bytes[order] == mixed.dram_bytes).all()


def test_huge_bandwidths_are_divided_exactly(block: Graph) -> None:
    columns = {BANDWIDTH: np.array([10**15, 10**15 - 1]), "clock_hz": np.array([10**11 - 7, 10**11])}
    columns["dma.bytes_per_cycle"] = np.array([1 << 24, 1 << 24])
    check(block, "edge-32x32", columns, "latency")


def test_a_dma_moves_no_more_than_it_can(block: Graph) -> None:
    columns = {BANDWIDTH: np.array([10**9, 10**11, 10**11]), "dma.bytes_per_cycle": np.array([16, 16, 64])}
    check(block, "edge-32x32", columns, "latency")
    chip = {"dma.bytes_per_cycle": 16, "dram.bandwidth": "100 GB/s"}
    narrow, wide = (sf.accelerator("edge-32x32", **chip, **more) for more in ({}, {"clock_hz": "2 GHz"}))
    assert narrow.dram_bytes_per_cycle == narrow.peak_dram_bytes_per_cycle == 16
    assert wide.dram_bytes_per_cycle == 16
    assert sf.estimate(block, narrow).cycles > sf.estimate(block, sf.accelerator("edge-32x32")).cycles


def test_the_frame_has_a_row_per_design_with_its_parameters(block: Graph) -> None:
    columns = {ROWS: np.array([8, 16, 32]), "array.dataflow": np.array(["output-stationary"] * 3)}
    found = estimate_population(block, sf.accelerator("edge-32x32"), columns)
    frame = found.to_frame()
    assert len(frame) == len(found) == 3
    assert frame[ROWS].tolist() == [8, 16, 32]
    assert frame["array.dataflow"].tolist() == ["output-stationary"] * 3
    assert frame["cycles"].tolist() == found.cycles.tolist()
    assert {"latency_s", "energy_j", "dram_bytes", "area_mm2", "leakage_watts", "feasible"} <= set(frame)


KNOWN = (
    "array.rows, array.columns, array.dataflow, array.overlap, scratchpad.bytes, scratchpad.double_buffered, "
    "scratchpad.resident_percent, accumulator.bytes, dram.bandwidth_bytes_per_second, clock_hz"
)


@pytest.mark.parametrize(
    ("columns", "asked", "found", "next_step"),
    [
        ({"array.row": [8]}, "to vary array.row", "no parameter of that name", f"give {KNOWN}, vector.lanes"),
        ({ROWS: [8, 0]}, "to vary array.rows", "0 in row 1", "give whole numbers, at least 1 and at most"),
        ({ROWS: [8.5]}, "to vary array.rows", "8.5 in row 0", "give whole numbers, at least 1"),
        ({ROWS: [np.nan]}, "to vary array.rows", "nan in row 0", "give whole numbers, at least 1"),
        ({ROWS: ["8"]}, "to vary array.rows", "values of type <U1", "give numbers, at least 1"),
        ({ROWS: [[8]]}, "to vary array.rows", "an array of shape (1, 1)", "give one value per design"),
        ({ROWS: [8], BYTES: [4096, 8192]}, "to vary array.rows, scratchpad.bytes",
         "lengths array.rows 1, scratchpad.bytes 2", "give columns of one length"),
        ({}, "to vary nothing", "no column at all", "give columns of one length"),
        ({"array.dataflow": ["sideways"]}, "to vary array.dataflow", "'sideways' in row 0",
         "give one of weight-stationary, output-stationary, input-stationary, or their indices 0 to 2"),
        ({"array.overlap": [0, 3]}, "to vary array.overlap", "3 in row 1", "or their indices 0 to 2"),
        ({"scratchpad.double_buffered": [2]}, "to vary scratchpad.double_buffered", "2 in row 0",
         "give true or false"),
    ],
)  # fmt: skip
def test_bad_columns_are_told(block: Graph, columns: Any, asked: str, found: str, next_step: str) -> None:
    with pytest.raises(UserError) as caught:
        estimate_population(block, sf.accelerator("edge-32x32"), columns)
    error = caught.value
    assert (error.asked, error.where) == (asked, "columns of the population")
    assert error.found.startswith(found)
    assert next_step in error.next_step


def test_a_gpu_has_no_array_to_vary(block: Graph) -> None:
    with pytest.raises(UserError) as caught:
        estimate_population(block, sf.accelerator("nvidia-a100"), {"clock_hz": [10**9]})
    assert caught.value.asked == "a population of designs like nvidia-a100"
    assert caught.value.found.startswith("no systolic arrays among ")
    assert "one systolic array" in caught.value.next_step


def test_an_unknown_objective_is_refused(block: Graph) -> None:
    with pytest.raises(UserError, match="--objective speed"):
        estimate_population(block, sf.accelerator("edge-32x32"), {ROWS: [8]}, objective="speed")


def test_parts_costed_one_after_the_other_are_parts_of_one_population(
    block: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    from siliform.simulator.population import estimate as module

    columns, base = draw(30, seed=13), sf.accelerator("edge-32x32")
    whole = estimate_population(block, base, columns)
    monkeypatch.setattr(module, "AT_ONCE", 4)
    parts = estimate_population(block, base, columns)
    assert (whole.cycles == parts.cycles).all()
    assert (whole.energy_j == parts.energy_j).all()


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_arrays_and_lanes_both_win_a_grouped_convolution(objective: str) -> None:
    """Small arrays lose against many lanes, large ones win: both are what the estimate alone takes."""
    columns = {
        ROWS: np.array([1, 2, 9, 32, 2, 9]),
        "array.columns": np.array([1, 3, 20, 40, 3, 20]),
        "vector.lanes": np.array([1024, 1024, 1, 1, 1, 64]),
    }
    check(convolution_graph(), "edge-32x32", columns, objective)
    units = {
        part.unit.partition("+")[0]
        for row in range(6)
        for part in sf.estimate(
            convolution_graph(), sf.accelerator("edge-32x32", **overrides(columns, row)), objective=objective
        ).parts
        if part.macs
    }
    if objective == "latency":
        assert units == {"array", "vector"}


def test_a_part_of_just_a_threshold_keeps_the_value(make_block: Callable[..., Graph]) -> None:
    graph = make_block(tokens=32, width=64)
    base = sf.accelerator("edge-32x32")
    steps = workload(legalise(prepared(graph, "int8"), base)).residency_steps
    parts = np.array([threshold + beside for threshold, _ in steps for beside in (-1, 0, 1)])
    found = check(graph, "edge-32x32", {BYTES: 2 * parts}, "latency")
    assert len(np.unique(found.dram_bytes)) >= len({threshold for threshold, _ in steps})
