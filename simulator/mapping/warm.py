"""Compile the kernels of the mapper, or load them where they are compiled already.

    python -m siliform.simulator.mapping.warm

The first product and the first attention on a fresh installation wait seconds for this. Done once, after
installation, nobody waits: the machine code is kept on disk (see `compiled`). `make setup` does it for a
checkout, where the machine code lies in the folders `__pycache__` beside the sources.
"""

from __future__ import annotations

import time


def warm() -> float:
    """Map a tiny product and a tiny attention; return the seconds it took."""
    from siliform.graph_ir.ops.attention import Pattern
    from siliform.simulator.mapping.attention import AttentionProblem, SoftmaxCost, best_attention
    from siliform.simulator.mapping.gemm import ArrayResources, GemmProblem, best_mapping, mapping_with_tiles

    start = time.perf_counter()
    resources = ArrayResources(4, 4, "weight-stationary", "double-buffered", 1 << 12, 4.0)
    best_mapping(GemmProblem(8, 8, 8), resources)
    mapping_with_tiles(GemmProblem(8, 8, 8), resources, 4, 4, 4)
    attention = AttentionProblem(Pattern("causal", 0, 0, 1.0, 8, 8), groups=1, width=4, value_width=4)
    best_attention(attention, resources, SoftmaxCost())
    return time.perf_counter() - start


if __name__ == "__main__":
    print(f"the mapper's kernels are ready after {warm():.1f} s")
