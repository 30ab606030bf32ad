"""The estimate: parts sum, laws hold, unknown is never free, more hardware never hurts."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import siliform as sf
from siliform.arch.units.array import array_cycles
from siliform.graph_ir.graph import Builder, Graph
from siliform.graph_ir.ops import OPS
from siliform.graph_ir.types import tensor
from siliform.simulator.estimate import OBJECTIVES
from siliform.simulator.report import Report

SCHEMA = json.loads((Path(__file__).parents[3] / "simulator/report.schema.json").read_text())
DESIGNS = (
    "edge-32x32",
    "edge-16x16-gemmini",
    "server-128x128",
    "acceltran-edge",
    "nvidia-a100",
    "nvidia-h100",
)


def product(m: int, n: int, k: int, form: str = "int8") -> Graph:
    b = Builder(f"gemm:{m},{n},{k},{form}")
    x = b.input("x", tensor(form, m, k))
    return b.finish(b(OPS["linear"], x, b.parameter("w", tensor(form, n, k))))


@pytest.mark.parametrize("design", DESIGNS)
@pytest.mark.parametrize("law", ["model", "bound"])
def test_parts_sum_to_totals_and_the_json_keeps_its_schema(block: Graph, design: str, law: str) -> None:
    report = sf.estimate(block, sf.accelerator(design), law=law)
    told = json.loads(report.to_json())
    jsonschema.validate(told, SCHEMA)
    for key in ("cycles", "dram_bytes", "macs", "macs_dense"):
        assert told[key] == sum(part[key] for part in told["parts"]), key
    if told["energy_j"] is None:
        assert told["provenance"]["energy_j"]["kind"] == "absent"
        assert told["provenance"]["energy_j"]["source"]
    else:
        assert told["energy_j"] == math.fsum(part["energy_j"] for part in told["parts"]) > 0
        for part in told["parts"]:
            assert part["energy_j"] == pytest.approx(math.fsum(part["energy_by_cause_j"].values()))
    assert 0 < told["utilization"] <= 1


@settings(deadline=None, max_examples=60)
@given(
    st.integers(1, 200),
    st.integers(1, 200),
    st.integers(1, 200),
    st.sampled_from(["weight-stationary", "output-stationary", "input-stationary"]),
    st.sampled_from(["none", "double-buffered", "bound"]),
    st.sampled_from([(32, 32), (16, 8), (7, 13)]),
)
def test_a_product_that_fits_takes_the_closed_form(
    m: int, n: int, k: int, flow: str, overlap: str, side
) -> None:  # type: ignore[no-untyped-def]
    chip = sf.accelerator(
        "edge-32x32",
        **{
            "array.rows": side[0],
            "array.columns": side[1],
            "array.dataflow": flow,
            "array.overlap": overlap,
            "scratchpad.double_buffered": False,
            "dram.bandwidth_bytes_per_second": "100 TB/s",
        },
    )
    part = sf.estimate(product(m, n, k), chip, bits="traced").parts[0]
    assert part.unit == "array"
    assert part.compute_cycles == array_cycles(m, n, k, *side, dataflow=flow, overlap=overlap)


def test_the_program_moves_the_bytes_that_the_report_counts(block: Graph) -> None:
    for design in DESIGNS:
        chip = sf.accelerator(design)
        report, program = sf.estimate(block, chip), sf.compile(block, chip)
        assert [b.name for b in program.blocks] == [p.name for p in report.parts]
        for made, part in zip(program.blocks, report.parts, strict=True):
            assert made.bytes_through("dram") == part.dram_bytes, (design, made.name)


def _latency(graph: Graph, **changes: object) -> Report:
    return sf.estimate(graph, sf.accelerator("edge-32x32", **changes))


def test_more_bandwidth_or_scratchpad_is_never_slower(make_block: Callable[..., Graph]) -> None:
    graph = make_block(tokens=64, width=64)
    slow = [
        _latency(graph, **{"dram.bandwidth_bytes_per_second": f"{g} GB/s"}).cycles for g in (1, 4, 16, 64)
    ]
    assert slow == sorted(slow, reverse=True)
    assert slow[0] > slow[-1]
    small = [_latency(graph, **{"scratchpad.bytes": f"{s} KiB"}).cycles for s in (8, 32, 128, 512)]
    assert small == sorted(small, reverse=True)
    assert small[0] > small[-1]


def test_the_bound_is_below_the_model_on_every_design(block: Graph) -> None:
    for design in DESIGNS:
        chip = sf.accelerator(design)
        assert sf.estimate(block, chip, law="bound").cycles <= sf.estimate(block, chip).cycles


def test_traffic_is_at_least_compulsory_and_residency_saves_some(block: Graph) -> None:
    given_bytes = block.weight_bytes + sum(v.type.bytes for v in (*block.inputs, *block.outputs))
    chip = {"array.formats": ["fp32"]}
    away = sf.estimate(
        block, sf.accelerator("edge-32x32", **chip, **{"scratchpad.resident_percent": 0}), bits="traced"
    )
    kept = sf.estimate(block, sf.accelerator("edge-32x32", **chip), bits="traced")
    assert given_bytes <= kept.dram_bytes < away.dram_bytes


def test_a_causal_mask_halves_what_is_costed(make_block: Callable[..., Graph]) -> None:
    full, causal = make_block(pattern="full"), make_block(pattern="causal")
    assert causal.macs_dense == full.macs_dense == full.macs
    assert full.macs - causal.macs == 2 * 2 * 16 * (16 * 15 // 2)  # products, heads, width, pairs left out


def test_objectives_are_each_best_at_their_own(make_block: Callable[..., Graph]) -> None:
    graph, chip = (
        make_block(tokens=128, width=128),
        sf.accelerator("edge-32x32", **{"scratchpad.bytes": "32 KiB"}),
    )
    found = {o: sf.estimate(graph, chip, objective=o) for o in OBJECTIVES}
    assert found["latency"].cycles == min(r.cycles for r in found.values())
    assert found["energy"].energy_j == min(r.energy_j or 0 for r in found.values())
    assert found["traffic"].dram_bytes == min(r.dram_bytes for r in found.values())
    assert json.loads(found["traffic"].to_json())["objective"] == "traffic"


def test_the_same_report_prints_the_same_text(make_block: Callable[..., Graph]) -> None:
    texts = {sf.estimate(make_block(), sf.accelerator("edge-32x32")).to_json() for _ in range(2)}
    assert len(texts) == 1


def test_an_op_without_a_unit_is_an_error_that_names_it() -> None:
    b = Builder("odd")
    x = b.input("x", tensor("fp32", 4, 4))
    with b.at("head", "mine.py:7"):
        graph = b.finish(b(OPS["sin"], x))
    chip = sf.accelerator("edge-32x32", **{"special.ops": {"exp": 1}})
    with pytest.raises(sf.UserError) as error:
        sf.estimate(graph, chip, bits="traced")
    assert error.value.asked == "sin(fp32[4,4]) on edge-32x32"
    assert error.value.where == "mine.py:7"
    assert "not sin" in error.value.found
    assert "the units are array (array), vector (vector), special (special)" in error.value.next_step


def test_a_scratchpad_too_small_for_any_tile_says_how_much_is_needed(
    make_block: Callable[..., Graph],
) -> None:
    tiny = {"scratchpad.bytes": 64, "scratchpad.banks": 1, "accumulator.bytes": 64, "accumulator.banks": 1}
    with pytest.raises(sf.UserError) as error:
        sf.estimate(make_block(tokens=256, width=256), sf.accelerator("edge-16x16-gemmini", **tiny))
    assert "bytes" in error.value.found
    assert "block.py" in error.value.where
    assert "at least" in error.value.next_step


@pytest.mark.parametrize(("option", "value"), [("law", "guess"), ("objective", "speed")])
def test_an_unknown_choice_is_an_error_with_the_choices(block: Graph, option: str, value: str) -> None:
    with pytest.raises(sf.UserError) as error:
        sf.estimate(block, sf.accelerator("edge-32x32"), **{option: value})  # type: ignore[arg-type]
    assert error.value.asked == f"--{option} {value}"
    assert "use one of: " in error.value.next_step


def test_lanes_take_thin_products_only_as_the_design_says() -> None:
    row = product(1, 512, 512)
    slow = {"array.overlap": "none", "dram.bandwidth_bytes_per_second": "100 TB/s"}
    assert sf.estimate(row, sf.accelerator("edge-32x32", **slow)).parts[0].unit == "array"
    any_product = sf.accelerator("edge-32x32", **slow, **{"vector.products": "any"})
    assert sf.estimate(row, any_product).parts[0].unit == "vector"
    b = Builder("depthwise")
    x, w = b.input("x", tensor("int8", 1, 64, 16, 16)), b.parameter("w", tensor("int8", 64, 1, 3, 3))
    conv = b.finish(b(OPS["conv"], x, w, padding=[1, 1], groups=64))
    assert sf.estimate(conv, sf.accelerator("edge-32x32"), bits="traced").parts[0].unit == "vector"


def test_the_energy_names_every_source_that_contributes(block: Graph) -> None:
    told = sf.estimate(block, sf.accelerator("server-128x128")).provenance["energy_j"].source
    causes = [part.partition(":")[0] for part in told.split(" | ")]
    assert causes == [
        "compute",
        "scratchpad, accumulator",
        "dram",
        "static",
        "registers inside units and wires between them are not charged",
    ]
    compute = told.partition(" | ")[0]
    for source in ("Horowitz", "Horner's rule", "coefficient table", "scaled to 16 nm by Stillmaker"):
        assert source in compute
    product_alone = sf.estimate(product(8, 8, 8), sf.accelerator("edge-32x32"), bits="traced")
    assert "Horner" not in product_alone.provenance["energy_j"].source.partition(" | static")[0]


def test_the_uncertainty_of_the_energy_grows_with_every_step_of_scaling(block: Graph) -> None:
    spreads = []
    for node_nm in (45, 32, 28, 20, 16, 14, 10, 7, 5):
        chip = sf.accelerator("edge-32x32", **{"technology.node_nm": node_nm})
        report = sf.estimate(block, chip)
        causes = [part.energy_by_cause_j for part in report.parts]
        dram = sum(c["dram"] for c in causes if c) / (report.energy_j or 0)
        spread = report.provenance["energy_j"].relative_uncertainty
        expected = dram * 0.30 + (1 - dram) * chip.technology.energy_uncertainty  # LPDDR4: 30 %, dram.csv
        assert spread == pytest.approx(expected)
        spreads.append(chip.technology.energy_uncertainty)
    assert spreads[0] == pytest.approx(1 / 3)
    steps = [s**2 - 1 / 9 for s in spreads]
    assert steps == pytest.approx([0.01 * n for n in (0, 1, 2, 2, 3, 4, 5, 6, 7)])


def test_a_missing_energy_names_the_figure_that_is_missing() -> None:
    from siliform.arch.design import parse_design

    text = sf.accelerator("edge-32x32").to_toml()
    text += '\n[published.scalar_energy_pj]\nreason = "nobody measured its lanes"\n'
    b = Builder("sum")
    x = b.input("x", tensor("fp32", 4, 4))
    report = sf.estimate(b.finish(b(OPS["add"], x, x)), parse_design(text), bits="traced")
    assert report.energy_j is None
    assert report.provenance["energy_j"].source == "nobody measured its lanes"
    assert sf.estimate(product(4, 4, 4), parse_design(text), bits="traced").energy_j is not None


def test_bytes_on_chip_are_absent_for_the_reason_there_is(block: Graph) -> None:
    bound = sf.estimate(block, sf.accelerator("edge-32x32"), law="bound")
    assert bound.provenance["scratchpad_bytes"].source.startswith("a bound on time knows no tiles")
    gpu = sf.estimate(block, sf.accelerator("nvidia-a100"))
    assert gpu.scratchpad_bytes is None
    assert gpu.provenance["scratchpad_bytes"].source.startswith(
        "the law of a GPU's kernels counts what crosses"
    )


def test_bits_say_what_the_products_have(block: Graph) -> None:
    gpu = sf.accelerator("nvidia-a100")
    assert sf.estimate(product(8, 8, 8), gpu).bits == "traced"
    assert sf.estimate(product(8, 8, 8), gpu, bits="fp16").bits == "traced"
    assert sf.estimate(product(8, 8, 8), gpu, bits="int8").bits == "int8"
    assert sf.estimate(product(8, 8, 8), sf.accelerator("edge-32x32")).bits == "int8"
    assert sf.estimate(product(8, 8, 8, "fp32"), gpu).bits == "fp16"
    assert sf.estimate(block, gpu).bits == "fp16"
    with pytest.raises(sf.UserError, match="int99"):
        sf.estimate(product(8, 8, 8), gpu, bits="int99")


def test_a_graph_without_products_has_the_peak_of_the_design() -> None:
    b = Builder("sum")
    x = b.input("x", tensor("fp32", 4, 4))
    graph = b.finish(b(OPS["add"], x, x))
    report = sf.estimate(graph, sf.accelerator("nvidia-h100"), bits="traced")
    assert report.peak_macs_per_cycle == 132 * 4096
    assert report.utilization == 0


def test_the_help_says_that_an_objective_is_minimised_node_by_node() -> None:
    from typer.main import get_command

    from siliform.cli import app

    estimate = get_command(app).commands["estimate"]  # type: ignore[attr-defined]
    (objective,) = (option for option in estimate.params if option.name == "objective")
    assert "Node by node: the sum of least edp need not be the least edp of the whole." in objective.help
