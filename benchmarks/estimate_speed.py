"""How long one estimate takes on a design not seen before: ``python -m benchmarks.estimate_speed``.

    python -m benchmarks.estimate_speed [--model bert-base] [--seq 128] [--designs 50] [--json]

The graph is traced once; tracing is told apart, and so is the first estimate, which assigns formats, fuses,
analyses the graph and loads the compiled mapper. Each further estimate is of another design (array, dataflow,
scratchpad, bandwidth, lanes), with nothing kept of the designs before but the prepared graph. Loading the
design is counted with it. Told are medians of wall-clock and of CPU time; exits with 1 when the median of the
wall clock is above 50 ms.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np

import siliform as sf
from siliform.arch.units.array import DATAFLOWS

BASE = "edge-32x32"
MOST_SECONDS = 0.050


def draw(count: int, seed: int) -> list[dict[str, Any]]:
    """Parameters of random designs."""
    rng = np.random.default_rng(seed)
    return [
        {
            "array.rows": int(rng.integers(4, 257)),
            "array.columns": int(rng.integers(4, 257)),
            "array.dataflow": str(rng.choice(DATAFLOWS)),
            "scratchpad.bytes": int(rng.integers(1 << 16, 1 << 23)),
            "scratchpad.double_buffered": bool(rng.random() < 0.5),
            "dram.bandwidth_bytes_per_second": int(rng.integers(4, 1025)) * 10**9,
            "vector.lanes": int(rng.choice((16, 32, 64, 128))),
        }
        for _ in range(count)
    ]


def timed(action: Callable[[], Any]) -> tuple[Any, float, float]:
    """The result, and seconds of wall clock and of CPU."""
    wall, cpu = time.perf_counter(), time.process_time()
    found = action()
    return found, time.perf_counter() - wall, time.process_time() - cpu


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="bert-base")
    parser.add_argument("--seq", type=int, default=128)
    parser.add_argument("--designs", type=int, default=50)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    asked = parser.parse_args()
    graph, traced, _ = timed(lambda: sf.trace(asked.model, seq=asked.seq))
    _, first, _ = timed(lambda: sf.estimate(graph, sf.accelerator(BASE)))
    walls, cpus = [], []
    for parameters in draw(asked.designs, seed=1):

        def one(told: dict[str, Any] = parameters) -> Any:
            return sf.estimate(graph, sf.accelerator(BASE, **told))

        _, wall, cpu = timed(one)
        walls.append(wall)
        cpus.append(cpu)
    told = {
        "model": asked.model,
        "seq": asked.seq,
        "nodes": len(graph.nodes),
        "designs": asked.designs,
        "trace_s": traced,
        "first_estimate_s": first,
        "estimate_wall_s": median(walls),
        "estimate_cpu_s": median(cpus),
        "slowest_wall_s": max(walls),
    }
    if asked.json:
        print(json.dumps(told))
    else:
        print(f"{asked.model}, {asked.seq} tokens, {told['nodes']} nodes: traced in {traced:.1f} s")
        print(f"first estimate {first * 1e3:.0f} ms; then {asked.designs} new designs, loaded and estimated:")
        print(
            f"median {median(walls) * 1e3:.1f} ms wall clock ({median(cpus) * 1e3:.1f} ms CPU), "
            f"slowest {max(walls) * 1e3:.1f} ms; target below {MOST_SECONDS * 1e3:.0f} ms"
        )
    return 0 if median(walls) < MOST_SECONDS else 1


if __name__ == "__main__":
    sys.exit(main())
