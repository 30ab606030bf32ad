"""How many designs a second the exact mapper evaluates on BERT-base at 128 tokens, per core (CPU time).

    python benchmarks/mapper.py [--designs N] [--seed S] [--json]

Each design gets the optimal mapping of every matrix product of the network: five distinct ones, among them
both products of attention for all heads. Arrays (4 to 256 a side, all three dataflows, all three conventions
of overlap), scratchpads (32 KiB to 32 MiB, double-buffered or not) and bandwidths (4 to 1024 bytes a cycle)
are drawn at random. The time includes everything but drawing the designs. A sample is mapped once more, one
design at a time, and must cost the same to the last bit.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace

import numpy as np

from siliform.graph_ir.ops.attention import Pattern
from siliform.simulator.mapping.attention import AttentionProblem
from siliform.simulator.mapping.attention_population import best_attentions
from siliform.simulator.mapping.gemm import (
    DATAFLOWS,
    OBJECTIVES,
    OVERLAPS,
    ArrayResources,
    GemmProblem,
    NoMapping,
    best_mapping,
)
from siliform.simulator.mapping.population import ArrayPopulation, best_mappings

# BERT-base at 128 tokens: its distinct products and how many of each there are in 12 layers.
PRODUCTS = (
    (GemmProblem(128, 768, 768), 48),
    (GemmProblem(128, 128, 64, batch=12), 12),
    (GemmProblem(128, 64, 128, batch=12), 12),
    (GemmProblem(128, 3072, 768), 12),
    (GemmProblem(128, 768, 3072), 12),
)
# The same with attention fused: three distinct products and one attention.
ATTENTION = AttentionProblem(Pattern("full", 0, 0, 1.0, 128, 128), groups=12, width=64, value_width=64)


def draw(designs: int, seed: int, powers_of_two: bool) -> ArrayPopulation:
    """Return random designs. The energies are assumptions that only give the objectives something to
    weigh."""
    rng = np.random.default_rng(seed)
    rows, columns = (
        2 ** rng.integers(2, 9, designs) if powers_of_two else rng.integers(4, 257, designs) for _ in range(2)
    )
    scratchpad = np.exp(rng.uniform(np.log(1 << 15), np.log(1 << 25), designs)).astype(np.int64)
    same = np.ones(designs)
    return ArrayPopulation(
        rows=rows,
        columns=columns,
        dataflow=rng.integers(0, 3, designs),
        overlap=rng.integers(0, 3, designs),
        scratchpad_bytes=scratchpad,
        dram_bytes_per_cycle=np.exp(rng.uniform(np.log(4), np.log(1024), designs)),
        accumulator_bytes=np.full(designs, -1),
        double_buffered=rng.integers(0, 2, designs).astype(bool),
        mac_pj=0.2 * same,
        scratchpad_pj_per_byte=0.1 * np.sqrt(scratchpad / (1 << 15)),
        accumulator_pj_per_byte=same,
        dram_pj_per_byte=20 * same,
        static_pj_per_cycle=0.01 * rows * columns + 1e-5 * scratchpad,
    )


def member(arrays: ArrayPopulation, index: int) -> ArrayResources:
    """Return one design of a population."""
    return ArrayResources(
        rows=int(arrays.rows[index]),
        columns=int(arrays.columns[index]),
        dataflow=DATAFLOWS[arrays.dataflow[index]],
        overlap=OVERLAPS[arrays.overlap[index]],
        scratchpad_bytes=int(arrays.scratchpad_bytes[index]),
        dram_bytes_per_cycle=float(arrays.dram_bytes_per_cycle[index]),
        double_buffered=bool(arrays.double_buffered[index]),
        mac_pj=float(arrays.mac_pj[index]),
        scratchpad_pj_per_byte=float(arrays.scratchpad_pj_per_byte[index]),
        accumulator_pj_per_byte=float(arrays.accumulator_pj_per_byte[index]),
        dram_pj_per_byte=float(arrays.dram_pj_per_byte[index]),
        static_pj_per_cycle=float(arrays.static_pj_per_cycle[index]),
    )


def rates(designs: int, seed: int, powers_of_two: bool, objective: str) -> dict[str, object]:
    """Return designs per CPU second, for products alone and with attention fused."""
    problems = [problem for problem, _ in PRODUCTS]
    linear = [p for p in problems if p.batch == 1]
    arrays = draw(designs, seed, powers_of_two)
    softmax = np.zeros((designs, 1, 4))
    softmax[..., 0] = 5 / arrays.columns[:, None]  # assumption: five operations per score on `columns` lanes
    softmax[..., 3] = 1
    start = time.process_time()
    costs = best_mappings(problems, arrays, objective)
    apart = time.process_time() - start
    start = time.process_time()
    best_mappings(linear, arrays, objective)
    best_attentions([ATTENTION], arrays, softmax, objective)
    fused = time.process_time() - start
    cycles = costs.cycles @ np.array([count for _, count in PRODUCTS])
    return {
        "sides": "powers of two" if powers_of_two else "any",
        "objective": objective,
        "designs_per_cpu_s": round(designs / apart),
        "designs_per_cpu_s_attention_fused": round(designs / fused),
        "median_cycles_of_12_layers": float(np.median(cycles)),
    }


def check(seed: int, objective: str, sample: int = 200) -> None:
    """Map a sample one design at a time; AssertionError where the two doors disagree."""
    arrays = draw(sample, seed, False)
    together = best_mappings([p for p, _ in PRODUCTS], arrays, objective)
    for row in range(sample):
        for column, (problem, _) in enumerate(PRODUCTS):
            try:
                alone = best_mapping(problem, member(arrays, row), objective)
            except NoMapping:
                assert np.isinf(together.cycles[row, column])
                continue
            assert (together.cycles[row, column], together.energy_pj[row, column]) == (
                alone.cycles,
                alone.energy_pj,
            )


def one_call(calls: int = 200) -> float:
    """Return CPU seconds of one scalar call."""
    resources = member(draw(1, 0, True), 0)
    start = time.process_time()
    for index in range(calls):
        best_mapping(PRODUCTS[index % len(PRODUCTS)][0], replace(resources, scratchpad_bytes=200_000 + index))
    return (time.process_time() - start) / calls


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--designs", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    asked = parser.parse_args()
    rows = []
    for objective in OBJECTIVES:
        rates(3, 0, True, objective)  # compiles, or loads what was compiled
        check(asked.seed, objective)
        rows += [rates(asked.designs, asked.seed, powers, objective) for powers in (True, False)]
    call = one_call()
    if asked.json:
        print(json.dumps({"designs": asked.designs, "seed": asked.seed, "rates": rows, "one_call_s": call}))
        return
    print(f"{asked.designs} designs, seed {asked.seed}; designs per CPU second and core")
    print(f"{'sides':>14} {'objective':>10} {'five products':>14} {'attention fused':>16}")
    for row in rows:
        print(
            f"{row['sides']:>14} {row['objective']:>10} {row['designs_per_cpu_s']:>14} "
            f"{row['designs_per_cpu_s_attention_fused']:>16}"
        )
    print(f"one product on one design: {call * 1e3:.2f} ms")


if __name__ == "__main__":
    main()
