"""How many whole designs a second and core the population estimate costs, BERT-base each time.

    python -m benchmarks.population [--model bert-base] [--seq 128] [--designs N] [--repeats N] [--json]

The graph is traced and prepared once. Designs are drawn at random over edge-32x32: arrays of 4 to 256 a side,
three dataflows, three conventions of overlap, scratchpads of 32 KiB to 32 MiB (double-buffered or not) and 4
to 1024 bytes a cycle of DRAM. For each, the estimate takes everything that the scalar one takes: which values
stay on chip, the optimal mapping of every matrix product with its epilogue, the optimal fused attention,
norms, quantisation, embeddings and copies, cycles, traffic, energy, area and leakage.

Counted is CPU time of one process, in which the kernels run on one thread: everything from the columns given
to the report returned. Each repeat draws other designs; the median is told, and the spread. A sample is also
estimated one design at a time and must agree: cycles and bytes exactly, energy to 1e-12.
"""

from __future__ import annotations

import argparse
import json
import time
from statistics import median

import numpy as np

import siliform as sf
from siliform.arch.units.array import DATAFLOWS, OVERLAPS
from siliform.graph_ir.graph import Graph
from siliform.simulator.estimate import OBJECTIVES
from siliform.simulator.population import estimate_population

BASE = "edge-32x32"
KNOBS = {  # what a search over a grid would try, in place of any number in the range
    "array.rows": 2 ** np.arange(2, 9),
    "array.columns": 2 ** np.arange(2, 9),
    "scratchpad.bytes": 2 ** np.arange(15, 26),
}
TARGET = 30_000  # full BERT-base designs a second and core


def draw(count: int, seed: int, *, grid: bool = False) -> dict[str, np.ndarray]:
    """Random designs; on a `grid`, sides and scratchpads are powers of two."""
    rng = np.random.default_rng(seed)

    def spread(low: float, high: float) -> np.ndarray:
        return np.exp(rng.uniform(np.log(low), np.log(high), count)).astype(np.int64)

    columns = {
        "array.rows": rng.integers(4, 257, count),
        "array.columns": rng.integers(4, 257, count),
        "array.dataflow": rng.integers(0, len(DATAFLOWS), count),
        "array.overlap": rng.integers(0, len(OVERLAPS), count),
        "scratchpad.bytes": spread(1 << 15, 1 << 25),
        "scratchpad.double_buffered": rng.random(count) < 0.5,
        "dram.bandwidth_bytes_per_second": spread(4e9, 1024e9),
    }
    if grid:
        columns |= {key: rng.choice(values, count) for key, values in KNOBS.items()}
    return columns


def designs_per_second(graph: Graph, count: int, repeats: int, objective: str, grid: bool) -> list[float]:
    """Designs per CPU second of each repeat."""
    base = sf.accelerator(BASE)
    estimate_population(graph, base, draw(16, 0), objective=objective)  # compiles, or loads what was compiled
    rates = []
    for repeat in range(repeats):
        columns = draw(count, repeat + 1, grid=grid)
        start = time.process_time()
        estimate_population(graph, base, columns, objective=objective)
        rates.append(count / (time.process_time() - start))
    return rates


def check(graph: Graph, objective: str, sample: int = 30) -> None:
    """Estimate a sample one design at a time; AssertionError where the numbers differ."""
    columns = draw(sample, 99)
    together = estimate_population(graph, sf.accelerator(BASE), columns, objective=objective)
    for row in range(sample):
        told = {key: values[row].item() for key, values in columns.items()}
        told["array.dataflow"] = DATAFLOWS[told["array.dataflow"]]
        told["array.overlap"] = OVERLAPS[told["array.overlap"]]
        alone = sf.estimate(graph, sf.accelerator(BASE, **told), objective=objective)
        assert (together.cycles[row], together.dram_bytes[row]) == (alone.cycles, alone.dram_bytes), told
        assert alone.energy_j is not None
        assert abs(together.energy_j[row] / alone.energy_j - 1) < 1e-12, told


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="bert-base")
    parser.add_argument("--seq", type=int, default=128)
    parser.add_argument("--designs", type=int, default=20_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    asked = parser.parse_args()
    graph = sf.trace(asked.model, seq=asked.seq)
    rows = []
    for objective in OBJECTIVES:
        check(graph, objective)
        for grid in (False, True):
            rates = designs_per_second(graph, asked.designs, asked.repeats, objective, grid)
            rows.append(
                {
                    "objective": objective,
                    "sizes": "powers of two" if grid else "any",
                    "designs_per_cpu_s": median(rates),
                    "least": min(rates),
                    "most": max(rates),
                }
            )
    if asked.json:
        print(json.dumps({"model": asked.model, "seq": asked.seq, "designs": asked.designs, "rates": rows}))
        return
    print(f"{asked.model}, {asked.seq} tokens, {asked.designs} random designs over {BASE}, each node mapped")
    print(f"optimally; per CPU second of one thread, median of {asked.repeats} (least to most)")
    for row in rows:
        print(
            f"{row['objective']:>8}, sizes {row['sizes']:>13}: {row['designs_per_cpu_s']:>7,.0f} "
            f"({row['least']:,.0f} to {row['most']:,.0f})"
        )
    reached = rows[0]["designs_per_cpu_s"]
    print(f"target for latency, any size: {TARGET:,}; {'reached' if reached >= TARGET else 'not reached'}")


if __name__ == "__main__":
    main()
