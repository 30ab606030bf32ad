"""Fit the three constants of a GPU design to measured products, and say how well the law then does.

::

    pip download --no-deps aiconfigurator-core==0.12.0 && unzip aiconfigurator_core-*.whl
    python -m siliform.arch.tech.fit_tensor_law nvidia-h100 \
        aiconfigurator_core/systems/data/h100_sxm/gemm/vllm/0.24.0/gemm_perf.parquet

The table (Apache-2.0; columns gemm_dtype, m, n, k, latency in ms) holds steady-state kernel times,
launches excluded. The law is ``max(tensor cores, DRAM) + fill``, the slower of compute at a share
of the peak and of the operands' bytes at a share of the bandwidth, plus a time that every kernel
takes. Needs pandas and pyarrow.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import Any

import numpy as np

from siliform.arch.accelerator import Accelerator
from siliform.arch.design import load_design
from siliform.arch.units.tensor import TensorCores

#: The table's word for a format, ours, and bytes of an element; results are 16 bits wide.
FORMATS = {"bfloat16": ("bf16", 2), "fp8": ("fp8_e4m3", 1)}
SHARES_PERCENT = range(40, 101, 5)
FILLS_SECONDS = np.arange(0, 10, 0.5) * 1e-6


def fit(design: Accelerator, table: Any, word: str) -> tuple[float, int, int, float]:
    """The best of a grid: mean absolute error as a share, compute and DRAM percent, fill in seconds."""
    format_name, wide = FORMATS[word]
    rows = table[table.gemm_dtype == word]
    m, n, k = (rows[c].to_numpy(np.int64) for c in "mnk")
    measured = rows.latency.to_numpy() * 1e-3
    cores = design.of_kind("tensor")[0]
    if not isinstance(cores, TensorCores):
        raise TypeError(f"{design.name} has no tensor cores")
    whole = replace(cores, efficiency_percent=100, format_efficiency_percent={})
    compute = whole.product_cycles(m, n, k, (format_name, format_name)) / design.clock_hz
    memory = (wide * (m * k + k * n) + 2 * m * n) / design.dram.bandwidth_bytes_per_second
    best = (float("inf"), 0, 0, 0.0)
    for compute_percent in SHARES_PERCENT:
        for memory_percent in SHARES_PERCENT:
            busy = np.maximum(compute * 100 / compute_percent, memory * 100 / memory_percent)
            for fill in FILLS_SECONDS:
                error = float(np.mean(np.abs(busy + fill - measured) / measured))
                best = min(best, (error, compute_percent, memory_percent, float(fill)))
    return best


def main() -> None:
    """Print the best constants for each format that the table and the law share."""
    import pandas as pd

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("design")
    parser.add_argument("parquet", help="gemm_perf.parquet of that GPU")
    arguments = parser.parse_args()
    design, table = load_design(arguments.design), pd.read_parquet(arguments.parquet)
    for word in FORMATS:
        rows = int((table.gemm_dtype == word).sum())
        if rows:
            error, compute, memory, fill = fit(design, table, word)
            constants = f"compute {compute} %, DRAM {memory} %, fill {fill * 1e6:.1f} us"
            print(f"{design.name} {word}: {constants}; mean absolute error {error:.1%} of {rows} products")


if __name__ == "__main__":
    main()
