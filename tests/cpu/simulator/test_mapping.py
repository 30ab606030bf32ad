"""What the mapper promises: published closed forms, limits, monotonicity, agreement of its two doors,
refusals."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from siliform.graph_ir.errors import UserError
from siliform.simulator.mapping.gemm import (
    DATAFLOWS,
    OBJECTIVES,
    OVERLAPS,
    ArrayResources,
    GemmProblem,
    NoMapping,
    best_mapping,
    footprint_bytes,
)
from siliform.simulator.mapping.population import ArrayPopulation, best_mappings
from siliform.simulator.mapping.search import search_all
from siliform.simulator.mapping.tiles import tile_tables

# m, n, k of one BERT-base layer at 128 tokens: projections, scores, context, both feed-forward products.
BERT_BASE = ((128, 768, 768), (128, 128, 64), (128, 64, 128), (128, 3072, 768), (128, 768, 3072))


def array(dataflow="weight-stationary", overlap="double-buffered", **changes):
    resources = ArrayResources(32, 32, dataflow, overlap, 1 << 20, 64.0, dram_pj_per_byte=20.0, mac_pj=0.2)
    return dataclasses.replace(resources, **changes)


def ceil(a, b):
    return -(-a // b)


def closed_form(m, n, k, rows, columns, dataflow, overlap):
    """Cycles of a product that is one tile."""
    folded, other, streamed = {
        "weight-stationary": (k, n, m),
        "output-stationary": (m, n, k),
        "input-stationary": (k, m, n),
    }[dataflow]
    folds, skew = ceil(folded, rows) * ceil(other, columns), 2 * rows + columns - 2
    return {
        "none": folds * (streamed + skew),
        "double-buffered": (folds - 1) * max(streamed, rows) + streamed + skew,
        "bound": folds * streamed,
    }[overlap]


@pytest.mark.parametrize("overlap", OVERLAPS)
@pytest.mark.parametrize("dataflow", DATAFLOWS)
def test_bert_products_compute_in_the_closed_form(dataflow, overlap):
    for m, n, k in BERT_BASE:
        found = best_mapping(GemmProblem(m, n, k), array(dataflow, overlap))
        assert found.compute_cycles == closed_form(m, n, k, 32, 32, dataflow, overlap)


@pytest.mark.parametrize(
    ("dataflow", "overlap", "cycles"),
    [  # SCALE-Sim v3 (which prints one less), serial drain, ONNXim and ZigZag, no skew at all
        ("weight-stationary", "none", (127_872, 1_776, 1_776, 511_488, 511_488)),
        ("output-stationary", "none", (82_752, 2_528, 1_776, 331_008, 303_936)),
        ("weight-stationary", "double-buffered", (73_822, 1_118, 1_118, 295_006, 295_006)),
        ("weight-stationary", "bound", (73_728, 1_024, 1_024, 294_912, 294_912)),
    ],
)
def test_bert_products_compute_in_the_cycles_other_tools_report(dataflow, overlap, cycles):
    found = [best_mapping(GemmProblem(*p), array(dataflow, overlap)).compute_cycles for p in BERT_BASE]
    assert tuple(found) == cycles


def test_random_single_tiles_compute_in_the_closed_form():
    rng = np.random.default_rng(0)
    for _ in range(200):
        m, n, k = (int(x) for x in rng.integers(1, 400, 3))
        rows, columns = (int(x) for x in rng.integers(1, 130, 2))
        dataflow, overlap = DATAFLOWS[rng.integers(3)], OVERLAPS[rng.integers(3)]
        resources = array(
            dataflow, overlap, rows=rows, columns=columns, double_buffered=False, scratchpad_bytes=1 << 24
        )
        found = best_mapping(GemmProblem(m, n, k), resources)
        assert found.compute_cycles == closed_form(m, n, k, rows, columns, dataflow, overlap)
        assert found.dram_bytes == m * k + k * n + m * n


def test_one_row_streams_without_waiting_for_itself():
    """Decoding: a fold of one row is over before the next weights are there; R cycles each, and no more."""
    found = best_mapping(GemmProblem(1, 768, 768), array(double_buffered=False))
    assert found.compute_cycles == (24 * 24 - 1) * 32 + 1 + 2 * 32 + 32 - 2
    serial = best_mapping(GemmProblem(1, 768, 768), array(overlap="none", double_buffered=False))
    assert found.compute_cycles < serial.compute_cycles


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_more_scratchpad_never_costs_more(objective):
    rng = np.random.default_rng(1)
    for _ in range(40):
        m, n, k = (int(x) for x in rng.integers(1, 600, 3))
        resources = array(
            DATAFLOWS[rng.integers(3)], OVERLAPS[rng.integers(3)], double_buffered=bool(rng.integers(2)),
            dram_bytes_per_cycle=float(rng.choice([2, 16, 300])),
        )  # fmt: skip
        previous = np.inf
        for scratchpad in (64, 500, 4_000, 32_000, 256_000, 2_000_000):
            sized = dataclasses.replace(resources, scratchpad_bytes=scratchpad)
            found = best_mapping(GemmProblem(m, n, k), sized, objective)
            cost = {
                "latency": found.cycles,
                "energy": found.energy_pj,
                "edp": found.energy_pj * found.cycles,
                "traffic": found.dram_bytes,
            }
            assert cost[objective] <= previous
            previous = cost[objective]


def test_more_scratchpad_never_moves_more_when_only_dram_costs():
    resources = array(scratchpad_pj_per_byte=0.0, mac_pj=0.0, dram_pj_per_byte=1.0)
    for m, n, k in BERT_BASE:
        traffic = [
            best_mapping(
                GemmProblem(m, n, k), dataclasses.replace(resources, scratchpad_bytes=size), "energy"
            ).dram_bytes
            for size in (1 << p for p in range(8, 24))
        ]
        assert traffic == sorted(traffic, reverse=True)
        assert traffic[-1] == m * k + k * n + m * n  # everything fits: each element moves once
        assert traffic[0] > 5 * traffic[-1]


def test_traffic_stays_above_the_compulsory_and_parts_add_up():
    rng = np.random.default_rng(2)
    for _ in range(200):
        m, n, k = (int(x) for x in rng.integers(1, 300, 3))
        problem = GemmProblem(
            m, n, k, batch=int(rng.integers(1, 4)), a_bits=4, b_bits=int(rng.choice([1, 8])), c_bits=16,
            a_resident=bool(rng.integers(2)), b_resident=bool(rng.integers(2)),
            c_resident=bool(rng.integers(2)), b_shared=bool(rng.integers(2)),
        )  # fmt: skip
        resources = array(scratchpad_bytes=int(rng.choice([300, 3_000, 30_000])))
        found = best_mapping(problem, resources, OBJECTIVES[rng.integers(3)])
        shared = 1 if problem.b_shared else problem.batch
        rows = problem.batch * m if problem.b_shared else m
        assert found.a_read_bytes >= (not problem.a_resident) * shared * ceil(rows * k, 2)
        assert found.b_read_bytes >= (not problem.b_resident) * shared * ceil(k * n * problem.b_bits, 8)
        assert found.c_written_bytes == (not problem.c_resident) * shared * rows * n * 2
        assert found.cycles >= max(found.compute_cycles, found.memory_cycles)
        footprint = footprint_bytes(problem, found.tile_m, found.tile_n, found.tile_k)
        assert footprint == (found.operand_footprint_bytes, found.accumulator_footprint_bytes)
        assert 2 * sum(footprint) <= resources.scratchpad_bytes


def test_residents_move_nothing_and_full_rows_stay_whole():
    resident = GemmProblem(64, 64, 64, a_resident=True, b_resident=True, c_resident=True)
    found = best_mapping(resident, array(scratchpad_bytes=2 * 4 * 64 * 64))
    assert found.dram_bytes == 0
    assert found.fill_bytes == 0
    assert (
        found.cycles
        == found.compute_cycles
        == closed_form(64, 64, 64, 32, 32, "weight-stationary", "double-buffered")
    )
    assert best_mapping(GemmProblem(64, 768, 64, full_rows=True), array()).tile_n == 768


def test_shared_weights_are_read_once_for_the_whole_batch():
    apart = best_mapping(GemmProblem(16, 256, 256, batch=8), array(), "energy")
    together = best_mapping(GemmProblem(16, 256, 256, batch=8, b_shared=True), array(), "energy")
    assert apart.b_read_bytes == 8 * 256 * 256
    assert together.b_read_bytes == 256 * 256


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_a_population_costs_what_its_members_cost_alone(objective):
    rng = np.random.default_rng(3)
    problems = [GemmProblem(*p) for p in BERT_BASE] + [
        GemmProblem(1, 300, 70, batch=5, b_shared=True, a_bits=4),
        GemmProblem(40, 96, 33, batch=3, c_bits=16, full_rows=True),
    ]
    members = [
        ArrayResources(
            int(rng.integers(2, 200)), int(rng.integers(2, 200)), DATAFLOWS[rng.integers(3)],
            OVERLAPS[rng.integers(3)],
            int(np.exp(rng.uniform(4, 16))), float(np.exp(rng.uniform(0, 6))),
            accumulator_bytes=int(rng.integers(16, 1 << 17)) if rng.integers(2) else None,
            double_buffered=bool(rng.integers(2)), mac_pj=0.2, scratchpad_pj_per_byte=0.6,
            accumulator_pj_per_byte=0.2, dram_pj_per_byte=20.0,
            static_pj_per_cycle=float(rng.integers(0, 30)),
        )
        for _ in range(150)
    ]  # fmt: skip
    together = best_mappings(problems, ArrayPopulation.of(members), objective)
    infeasible = 0
    for row, resources in enumerate(members):
        for column, problem in enumerate(problems):
            try:
                alone = best_mapping(problem, resources, objective)
            except NoMapping:
                infeasible += 1
                assert np.isinf(together.cycles[row, column])
                continue
            assert together.cycles[row, column] == alone.cycles
            assert together.compute_cycles[row, column] == alone.compute_cycles
            assert together.dram_bytes[row, column] == alone.dram_bytes
            assert together.energy_pj[row, column] == alone.energy_pj
    assert 0 < infeasible < 300


def test_an_array_too_small_for_any_tile_says_what_it_needs():
    with pytest.raises(NoMapping) as caught:
        best_mapping(GemmProblem(8, 768, 64, full_rows=True), array(scratchpad_bytes=5_000))
    assert isinstance(caught.value, UserError)
    assert str(caught.value) == (
        "asked: map a product of 8 x 768 x 64 (m, n, k), whole rows at once\n"
        "found: tiles of 1 x 768 x 1 need 3841 bytes in each of 2 buffers of the scratchpad, "
        "which has 5000 bytes\n"
        "where: the scratchpad of the array\n"
        "next:  give the scratchpad at least 7682 bytes"
    )
    best_mapping(GemmProblem(8, 768, 64, full_rows=True), array(scratchpad_bytes=7_682))


def test_accumulators_too_small_for_any_tile_say_so():
    single = array(accumulator_bytes=3, double_buffered=False)
    with pytest.raises(
        NoMapping, match="tiles of 1 x 1 x 1 need 4 bytes of the accumulator memory, which has 3"
    ):
        best_mapping(GemmProblem(8, 8, 8), single)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dataflow": "row-stationary"}, "dataflow 'row-stationary' is none of weight-stationary"),
        ({"overlap": "some"}, "overlap 'some' is none of none, double-buffered, bound"),
        ({"rows": 0}, "rows of an array must be positive, not 0"),
    ],
)
def test_impossible_arrays_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        array(**change)


def test_impossible_products_and_objectives_are_refused():
    with pytest.raises(ValueError, match="n of a product must be positive, not -3"):
        GemmProblem(1, -3, 1)
    with pytest.raises(ValueError, match="objective 'area' is none of latency, energy, edp, traffic"):
        best_mapping(GemmProblem(1, 1, 1), array(), "area")


def test_kernels_compile_where_nothing_can_be_cached(tmp_path):
    """A read-only installation used by somebody without a home."""
    code = (
        "from siliform.simulator.mapping.compiled import compiled\n"
        "import siliform.simulator.mapping.compiled as module\n"
        "import numba\n"
        "real = numba.njit\n"
        "def refuse(*args, **options):\n"
        "    if options.get('cache'):\n"
        "        def no(function): raise RuntimeError('cannot cache: no locator available for file')\n"
        "        return no\n"
        "    return real(*args, **options)\n"
        "numba.njit = refuse\n"
        "print(compiled(lambda x: x + 1)(41))\n"
    )
    root = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root, check=False)
    assert done.stdout == "42\n", done.stderr


def test_a_kernel_is_compiled_for_one_type_only():
    """Compiling takes seconds: whole or broken bits and 32-bit sides must not do it again."""
    best_mapping(GemmProblem(8, 8, 8), array())
    best_mapping(GemmProblem(8, 8, 8, a_bits=4.25, beside_cycles=3), array(dram_bytes_per_cycle=1))
    narrow = dataclasses.replace(
        ArrayPopulation.of([array()]), rows=np.array([8], np.int32), mac_pj=np.array([1])
    )
    best_mappings([GemmProblem(8, 8, 8)], narrow)
    assert len(search_all.signatures) == 1
    assert len(tile_tables.signatures) == 1


@pytest.mark.parametrize("overlap", OVERLAPS)
@pytest.mark.parametrize("dataflow", DATAFLOWS)
def test_least_latency_moves_less_with_more_scratchpad_and_ends_with_each_element_once(dataflow, overlap):
    """Where computation hides the transfers, nothing but the tie-break asks for little traffic."""
    for m, n, k in (*BERT_BASE, (2048, 1024, 512), (1, 4096, 4096), (100, 100, 1000)):
        found = [
            best_mapping(
                GemmProblem(m, n, k),
                array(dataflow, overlap, scratchpad_bytes=1 << power, dram_bytes_per_cycle=25.6),
            )
            for power in range(12, 25)
        ]
        traffic = [mapping.dram_bytes for mapping in found]
        assert traffic == sorted(traffic, reverse=True)
        assert traffic[-1] == m * k + k * n + m * n
        assert m == 1 or traffic[0] >= 2 * traffic[-1]
        cycles = [mapping.cycles for mapping in found]
        assert cycles == sorted(cycles, reverse=True)


@pytest.mark.parametrize("double_buffered", [True, False])
def test_least_latency_never_grows_with_bandwidth(double_buffered):
    rng = np.random.default_rng(4)
    fell = 0
    for _ in range(60):
        m, n, k = (int(x) for x in rng.integers(1, 1500, 3))
        chip = array(
            DATAFLOWS[rng.integers(3)], OVERLAPS[rng.integers(3)], rows=int(rng.integers(4, 130)),
            scratchpad_bytes=int(rng.integers(5_000, 500_000)), double_buffered=double_buffered,
        )  # fmt: skip
        cycles = [
            best_mapping(GemmProblem(m, n, k), dataclasses.replace(chip, dram_bytes_per_cycle=speed)).cycles
            for speed in (0.5, 1, 2.56, 7.3, 25.6, 64.0, 819.2)
        ]
        assert cycles == sorted(cycles, reverse=True)
        fell += cycles[0] > 2 * cycles[-1]
    assert fell > 30


def test_tiles_shorter_than_the_array_fill_it_no_sooner():
    """Else the least latency would be that of slivers, which spill partial sums to save a few cycles."""
    for dataflow in DATAFLOWS:
        found = best_mapping(GemmProblem(512, 512, 512), array(dataflow, "bound", scratchpad_bytes=1 << 21))
        assert found.dram_bytes == 3 * 512 * 512
        assert found.fill_bytes == 3 * 32 * 32


def test_a_kernel_kept_on_disk_notices_a_change_in_what_it_calls(tmp_path):
    root = Path(__file__).parents[3]
    (tmp_path / "kernel.py").write_text(
        "import costs\n"
        "from siliform.simulator.mapping.compiled import compiled_with\n"
        "@compiled_with(costs)\n"
        "def kernel(x):\n"
        "    return costs.price(x)\n"
    )
    told = []
    for factor in (2, 2, 3):
        (tmp_path / "costs.py").write_text(
            "from siliform.simulator.mapping.compiled import inlined\n"
            f"@inlined\ndef price(x):\n    return {factor} * x\n"
        )
        code = "from kernel import kernel; print(kernel(5), sum(kernel.stats.cache_hits.values()))"
        paths = {"PYTHONPATH": f"{tmp_path}:{root}", "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=os.environ | paths
        )
        told.append(done.stdout.split())
        assert done.returncode == 0, done.stderr
    assert told == [["10", "0"], ["10", "1"], ["15", "0"]]


def test_warming_up_leaves_nothing_to_compile():
    """Every kernel that the doors of the mapper reach is compiled, for the only types it is called with."""
    code = (
        "from siliform.simulator.mapping.warm import warm\n"
        "assert warm() > 0\n"
        "from siliform.graph_ir.ops.attention import Pattern\n"
        "from siliform.simulator.mapping.attention import AttentionProblem, SoftmaxCost, best_attention\n"
        "from siliform.simulator.mapping.gemm import ArrayResources, GemmProblem, best_mapping\n"
        "chip = ArrayResources(8, 4, 'output-stationary', 'none', 4096, 4, accumulator_bytes=512)\n"
        "best_mapping(GemmProblem(9, 8, 7, a_bits=4.25, full_rows=True), chip, 'edp')\n"
        "full = AttentionProblem(Pattern('full', 0, 0, 1.0, 8, 8), 2, 4, 4, q_bits=4)\n"
        "best_attention(full, chip, SoftmaxCost(1, hidden=False), 'traffic')\n"
        "from siliform.simulator.mapping import attention_search, attention_tiles, search, tiles\n"
        "kernels = [search.search_all, attention_search.search_all_attention, tiles.tile_tables,\n"
        "           tiles.tile_table, attention_tiles.size_tables]\n"
        "print(*(len(kernel.signatures) for kernel in kernels))\n"
    )
    root = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root, check=False)
    assert done.stdout == "1 1 1 1 1\n", done.stderr
