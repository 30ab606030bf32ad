"""One attention over mask patterns and degrees of context parallelism."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from siliform.arch.accelerator import Accelerator
from siliform.arch.cluster import Cluster
from siliform.graph_ir.errors import UserError, nearest
from siliform.graph_ir.graph import Graph
from siliform.simulator.cluster.attention import Attention
from siliform.simulator.cluster.costs import DeviceCosts
from siliform.simulator.cluster.plan import ContextParallel, Plan
from siliform.simulator.cluster.report import ClusterReport
from siliform.simulator.cluster.simulate import simulate_cluster
from siliform.simulator.report import Origin

#: Name and version of the JSON form; the schema is siliform/schemas/cluster-sweep.json.
FORMAT = "siliform-cluster-sweep"
VERSION = 1
#: Patterns of a sweep, in order.
PATTERNS = ("causal", "causal-window", "window", "block", "full")


@dataclass(frozen=True)
class SweepRow:
    """One pattern at one degree; shares are of all devices' time."""

    pattern: str
    degree: int
    kind: str
    placement: str
    pairs: int
    latency_s: float
    one_device_s: float
    speedup: float
    efficiency: float
    compute_share: float
    communication_share: float
    waiting_share: float
    imbalance: float
    link_bytes: int


@dataclass(frozen=True)
class SweepReport:
    """A row per pattern and degree, and what they have in common."""

    model: str
    design: str
    topology: str
    link: str
    link_bytes_per_second: int
    link_latency_s: float
    bits: str
    law: str
    overlap: bool
    tokens: int
    batch: int
    heads: int
    kv_heads: int
    width: int
    window: int
    block: int
    density: float
    rows: tuple[SweepRow, ...]
    provenance: Mapping[str, Origin]

    def to_dict(self) -> dict[str, Any]:
        """The JSON form as a dict; `siliform schema cluster-sweep` prints its schema."""
        content = {"format": FORMAT, "version": VERSION} | asdict(self)
        return content | {"rows": [asdict(row) for row in self.rows]}

    def to_json(self, indent: int | None = None) -> str:
        """One JSON object; the same report always prints the same text."""
        return json.dumps(self.to_dict(), indent=indent, allow_nan=False)

    def to_csv(self, path: Any) -> None:
        """A row per pattern and degree."""
        import pandas

        pandas.DataFrame([asdict(row) for row in self.rows]).to_csv(path, index=False)


def pattern_of(whole: Attention, pattern: str, window: int, block: int, density: float) -> Attention:
    """The attention with another mask; "causal-window" is causal with a window."""
    if pattern not in PATTERNS:
        raise UserError(
            asked=f"the mask pattern {pattern!r}",
            found="no pattern of that name",
            where="--patterns",
            next_step=f"use {nearest(pattern, PATTERNS)}",
        )
    plain = replace(whole, pattern=pattern, window=0, block=0, density=1.0)
    if pattern == "causal-window":
        return replace(plain, pattern="causal", window=window)
    if pattern == "window":
        return replace(plain, window=window)
    return replace(plain, block=block, density=density) if pattern == "block" else plain


def sweep(
    whole: Attention,
    accelerator: Accelerator,
    cluster_for: Callable[[int], Cluster],
    *,
    model: str,
    patterns: Sequence[str] = PATTERNS,
    degrees: Sequence[int] = (1, 2, 4, 8),
    kind: str = "ring",
    placement: str | None = None,
    window: int = 1024,
    block: int = 128,
    density: float = 0.25,
    bits: str | None = None,
    law: str = "model",
    overlap: bool = True,
    told: Callable[[int, int], None] | None = None,
) -> SweepReport:
    """Simulate one attention for every pattern and degree.

    Parameters
    ----------
    whole : the attention on all tokens; its own mask does not count.
    cluster_for : the cluster of so many devices.
    placement : of every pattern; None takes zigzag for causal masks and blocks for others.
    window, block, density : of the patterns that have them, as of the op `attention`.
    told : called with rows done and rows in all.

    Raises
    ------
    UserError : an unknown pattern, degrees that tokens or heads do not fall into.
    """
    rows, cluster = [], cluster_for(1)
    costs = DeviceCosts.of(accelerator, whole.whole(), bits, law)
    for pattern in patterns:
        masked = pattern_of(whole, pattern, window, block, density)
        placed = placement or ("zigzag" if pattern == "causal" else "blocks")
        graph = masked.whole()
        for degree in degrees:
            cluster = cluster_for(degree)
            plan = Plan(context=ContextParallel(degree, kind, placed))
            report = simulate_cluster(graph, cluster, plan, overlap=overlap, costs=costs).report
            rows.append(_row(pattern, plan.context, masked, report))
            if told is not None:
                told(len(rows), len(patterns) * len(degrees))
    return SweepReport(
        model=model,
        design=accelerator.name,
        topology=cluster.topology,
        link=cluster.link.name,
        link_bytes_per_second=cluster.link.bandwidth_bytes_per_second,
        link_latency_s=cluster.link.latency_seconds,
        bits=costs.bits,
        law=law,
        overlap=overlap,
        tokens=whole.queries,
        batch=whole.batch,
        heads=whole.heads,
        kv_heads=whole.kv_heads,
        width=whole.width,
        window=window,
        block=block,
        density=density,
        rows=tuple(rows),
        provenance=report.provenance,
    )


def _row(pattern: str, context: ContextParallel, masked: Attention, report: ClusterReport) -> SweepRow:
    shared = ("latency_s", "one_device_s", "speedup", "efficiency", "compute_share", "communication_share")
    return SweepRow(
        pattern=pattern,
        degree=context.degree,
        kind=context.kind,
        placement=context.placement if context.kind == "ring" else "blocks",
        pairs=masked.seen.kept() * masked.heads * masked.batch,
        waiting_share=report.waiting_share,
        imbalance=report.imbalance,
        link_bytes=report.link_bytes,
        **{name: getattr(report, name) for name in shared},
    )


def first_attention(graph: Graph, tokens: int) -> Attention:
    """The first attention of a traced model, at `tokens` tokens.

    Raises
    ------
    UserError : a model without attention.
    """
    for node in graph.nodes:
        if node.op.name == "attention":
            return replace(Attention.of(node), queries=tokens, keys=tokens)
    raise UserError(
        asked=f"attention of {graph.name} over several devices",
        found="no attention in its graph",
        where="--model",
        next_step="name a model with attention",
    )
