"""Long attention over several devices: mask patterns by degree, in a ring and by heads.

    python -m benchmarks.context_parallel [--model M] [--design D] [--tokens N] [--degrees 1,2,4] [--json]

The first attention of the model at so many tokens, on so many devices behind a switch, 2 us apart.
Efficiency is speed-up over one device per device. `ring` sends keys and values around while it computes, with
the placement of tokens that suits the mask (zigzag for causal, blocks otherwise); `heads` exchanges heads
before and after. CPU ms is what one row takes to simulate, estimates of its kernels included.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict
from typing import Any

import siliform as sf
from siliform.arch.cluster import cluster_of
from siliform.simulator.cluster.sweep import PATTERNS, first_attention, sweep

LATENCY_S = 2e-6  # assumption: between two GPUs behind a switch, a few microseconds
BANDWIDTH = 25 * 10**9  # assumption: bytes a second of a link, for designs that have none


def rows(model: str, design: str, tokens: int, degrees: list[int]) -> list[dict[str, Any]]:
    """A row per way, pattern and degree."""
    chip = sf.accelerator(design)
    whole = first_attention(sf.trace(model, seq=64), tokens)
    found = []

    def joined(count: int) -> Any:
        bandwidth = None if chip.links else BANDWIDTH
        return cluster_of(chip, count, bandwidth_bytes_per_second=bandwidth, latency_seconds=LATENCY_S)

    for kind in ("ring", "heads"):
        for pattern in PATTERNS:
            start = time.process_time()
            report = sweep(whole, chip, joined, model=model, patterns=[pattern], degrees=degrees, kind=kind)
            spent = 1e3 * (time.process_time() - start) / len(degrees)
            found += [asdict(row) | {"cpu_ms": spent} for row in report.rows]
    return found


def main() -> None:
    """Print the table, or JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="gpt2")
    parser.add_argument("--design", default="nvidia-a100")
    parser.add_argument("--tokens", type=int, default=131072)
    parser.add_argument("--degrees", default="1,2,4")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    found = rows(asked.model, asked.design, asked.tokens, [int(d) for d in asked.degrees.split(",")])
    if asked.json:
        print(json.dumps({"tokens": asked.tokens, "design": asked.design, "rows": found}))
        return
    print(f"one attention of {asked.model}, {asked.tokens:,} tokens, {asked.design}")
    print("| way | mask | devices | ms | efficiency | exposed communication | imbalance | CPU ms |")
    print("|---|---|---:|---:|---:|---:|---:|---:|")
    for row in found:
        way = row["kind"] if row["kind"] == "heads" else f"ring, {row['placement']}"
        print(
            f"| {way} | {row['pattern']} | {row['degree']} | {1e3 * row['latency_s']:.3f} | "
            f"{row['efficiency']:.0%} | {row['communication_share']:.0%} | {row['imbalance']:.0%} | "
            f"{row['cpu_ms']:.0f} |"
        )


if __name__ == "__main__":
    main()
