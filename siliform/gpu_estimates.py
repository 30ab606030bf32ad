"""Rows of the public tables as `siliform estimate` has them, beside the law that `gpu validate` judges.

A row becomes a graph of one op and is estimated. Both go by one rule of a kernel (`arch.gpu.kernel`), but are
not told the same: an estimate knows one call, whose operands lie in DRAM and are random; the law is told what
a collector did besides, which may have left operands in the level-2 cache. What a collector timed together
with a kernel (the gap between replays, the kernel that writes a cache) is taken from the law for both.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

SAMPLE = 300  # rows of a table, drawn from its held-out half
COLD = 0.99  # share of a kernel's operands that come from DRAM, from which on all of them are said to


@dataclass(frozen=True)
class Compared:
    """Held-out rows of one table; float64 arrays of seconds.

    Attributes
    ----------
    law_s, estimate_s : both with what was timed beside the kernel.
    cold : rows whose operands came from DRAM.
    """

    family: str
    design: str
    framework: str
    law_s: Any
    estimate_s: Any
    measured_s: Any
    cold: Any

    def errors(self, cold: bool) -> tuple[float, float]:
        """Mean absolute error of law and estimate, of all rows or of those from DRAM; NaN of none."""
        which = self.cold if cold else np.full(len(self.measured_s), True)
        if not which.any():
            return float("nan"), float("nan")
        law, told = (
            float(np.mean(np.abs(predicted / self.measured_s - 1)[which]))
            for predicted in (self.law_s, self.estimate_s)
        )
        return law, told

    def apart(self, cold: bool) -> float:
        """How far the estimate is from the law, on average, as a share of the law."""
        which = self.cold if cold else np.full(len(self.measured_s), True)
        return float(np.mean(np.abs(self.estimate_s / self.law_s - 1)[which]))


def compared(
    design: str, family: str, framework: str, count: int = SAMPLE, *, cold_only: bool = False
) -> Compared | None:
    """A sample of a table's held-out rows, drawn once; None where there is no such table.

    The law has the kernels that estimates have: attention's are FlashAttention's, whatever the library.
    `cold_only` draws from the rows whose operands come from DRAM alone.
    """
    from siliform.api import accelerator
    from siliform.arch.gpu.gpu import Gpu
    from siliform.arch.tech.measured import rows_of
    from siliform.arch.tech.measured_as import PAGED_SHARE, predicted

    rows = rows_of(design, family, framework)
    if rows is None:
        return None
    chip = accelerator(design)
    gpu = Gpu.of(chip)
    rows = rows.some(np.flatnonzero(rows.held_out))
    if cold_only:
        rows = rows.some(np.flatnonzero(predicted(gpu, rows).missed >= COLD))
    drawn = np.random.default_rng(0).permutation(len(rows))[:count]
    rows = rows.some(np.sort(drawn))
    law = predicted(gpu, rows, paged_share=PAGED_SHARE)
    told = np.array([_estimated(rows, index, chip) for index in range(len(rows))])
    return Compared(
        family,
        design,
        framework,
        law.seconds,
        told + law.around_s,
        rows.seconds,
        law.missed >= COLD,
    )


def pooled(designs: Sequence[str], families: Sequence[str], count: int = SAMPLE) -> Iterator[Compared]:
    """The samples of all libraries of a GPU together, by family and GPU."""
    from siliform.arch.tech.measured import TABLES

    for family in families:
        for design in designs:
            parts = [compared(design, family, framework, count) for framework in TABLES[design]]
            known = [part for part in parts if part is not None]
            if not known:
                continue
            names = ("law_s", "estimate_s", "measured_s", "cold")
            columns = [np.concatenate([getattr(part, name) for part in known]) for name in names]
            yield Compared(family, design, "all", *columns)


def _estimated(rows: Any, index: int, chip: Any) -> float:
    """Seconds that an estimate of a graph of a row's op alone has."""
    from siliform.api import estimate
    from siliform.graph_ir.graph import Builder
    from siliform.graph_ir.ops import OPS
    from siliform.graph_ir.types import tensor
    from siliform.graphs import trace

    at = {name: int(values[index]) for name, values in rows.shape.items()}
    if rows.family == "gemm":
        graph = trace(f"gemm:{at['m']},{at['n']},{at['k']},{rows.format}")
        return float(estimate(graph, chip, bits="traced").latency_s)
    tokens, keys = at["tokens"], at["tokens"] + at["cached"]
    if 0 < at["window"] < keys and rows.family == "decode":
        keys = at["window"] + 1  # a cache of what a token sees and what has just left: no more is ever read
    b = Builder("row")
    q = b.input("q", tensor(rows.format, at["batch"], at["heads"], tokens, at["width"]))
    k, v = (b.input(name, tensor(rows.format, at["batch"], at["groups"], keys, at["width"])) for name in "kv")
    causal: dict[str, Any] = {"pattern": "causal"}
    if 0 < at["window"] < keys:
        causal["window"] = at["window"]
    made = b(OPS["attention"], q, k, v, **({} if rows.family == "encoder" else causal))
    return float(estimate(b.finish(made), chip, bits="traced").latency_s)
