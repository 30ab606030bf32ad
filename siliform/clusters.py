"""Models on several devices: traced, cut by a plan, simulated on a cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from siliform.graph_ir.errors import UserError
from siliform.simulator.cluster.plan import Plan, parse_plan

if TYPE_CHECKING:
    from siliform.arch.accelerator import Accelerator
    from siliform.arch.cluster import Cluster
    from siliform.graph_ir.graph import Graph
    from siliform.simulator.cluster.report import ClusterReport
    from siliform.simulator.cluster.simulate import Simulated
    from siliform.simulator.cluster.sweep import SweepReport

#: Tokens at which a model is traced for the sizes of its attention: any number will do.
TRACED_TOKENS = 64


def cluster(
    model: str | Graph,
    accelerator: Accelerator,
    parallel: str | Iterable[str] | Plan,
    *,
    devices: int | None = None,
    topology: str = "all-to-all",
    link: str = "",
    link_bandwidth: int | None = None,
    link_latency_s: float | None = None,
    seq: int | None = None,
    batch: int = 1,
    phase: str = "prefill",
    context: int | None = None,
    bits: str | None = None,
    law: str = "model",
    overlap: bool = True,
) -> ClusterReport:
    """A model on several equal devices.

    Parameters
    ----------
    model : a name as `siliform.trace` takes it, or a traced graph (with one microbatch).
    accelerator : every device is one of these.
    parallel : "tensor=4", or several words, "context=2,ring,zigzag" and "pipeline=2,8" among them; or a Plan.
    devices : the product of the degrees; None takes it from them.
    topology : "ring", "mesh:RxC" or "all-to-all".
    link, link_bandwidth, link_latency_s : which link of the design, and what to have in its place, in
        bytes per second each way and seconds.
    seq, batch, phase, context : as of `siliform.trace`; with microbatches the batch is that of all.
    bits, law : as of `siliform.estimate`; law "events" simulates each part of the graph.
    overlap : whether a ring attention sends keys and values on while it computes with them.

    Returns
    -------
    A report of latency, shares of time, bytes on links, memory and efficiency against one device.

    Raises
    ------
    UserError : a plan that does not fit the devices or that the model cannot be cut by; what
        `siliform.trace` and `siliform.estimate` raise.
    """
    from siliform.arch.cluster import cluster_of

    plan = plan_of(parallel)
    machine = cluster_of(
        accelerator,
        plan.devices if devices is None else devices,
        topology,
        link=link,
        bandwidth_bytes_per_second=link_bandwidth,
        latency_seconds=link_latency_s,
    )
    sizes = {"seq": seq, "batch": batch, "phase": phase, "context": context}
    graphs = traced(model, plan, sizes)
    return simulated(graphs, machine, plan, bits=bits, law=law, overlap=overlap, phase=phase).report


def plan_of(parallel: str | Iterable[str] | Plan) -> Plan:
    """A plan from its words."""
    if isinstance(parallel, Plan):
        return parallel
    return parse_plan(parallel.split() if isinstance(parallel, str) else list(parallel))


def traced(model: str | Graph, plan: Plan, sizes: Mapping[str, Any]) -> tuple[Graph, Graph | None]:
    """The graph of the whole work, and of one microbatch where there are several."""
    import siliform as sf
    from siliform.graph_ir.graph import Graph

    count, batch = plan.pipeline.microbatches, sizes["batch"]
    if isinstance(model, Graph):
        _check_whole(model.name, count)
        return model, None
    if batch % count:
        raise UserError(
            asked=f"a batch of {batch} in {count} microbatches",
            found=f"{batch} is no multiple of {count}",
            where="--batch",
            next_step=f"give a multiple of {count}, or fewer microbatches",
        )
    whole = sf.trace(model, **sizes)
    return whole, None if count == 1 else sf.trace(model, **{**sizes, "batch": batch // count})


def _check_whole(name: str, count: int) -> None:
    if count > 1:
        raise UserError(
            asked=f"the traced graph {name} in {count} microbatches",
            found="a graph, whose batch is fixed",
            where="siliform.cluster",
            next_step="give the model by name, so that one microbatch can be traced",
        )


def simulated(
    graphs: tuple[Graph, Graph | None],
    machine: Cluster,
    plan: Plan,
    *,
    bits: str | None,
    law: str,
    overlap: bool,
    phase: str,
) -> Simulated:
    """The run with its slices, as pictures need it."""
    from siliform.simulator.cluster.simulate import simulate_cluster

    whole, micro = graphs
    return simulate_cluster(
        whole, machine, plan, microbatch=micro, bits=bits, law=law, overlap=overlap, phase=phase
    )


def attention_sweep(
    model: str,
    accelerator: Accelerator,
    *,
    tokens: int,
    batch: int = 1,
    patterns: Sequence[str] | None = None,
    degrees: Sequence[int] = (1, 2, 4, 8),
    topology: str = "all-to-all",
    link: str = "",
    link_bandwidth: int | None = None,
    link_latency_s: float | None = None,
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
    """One attention of a model over mask patterns and degrees of context parallelism.

    Parameters
    ----------
    model : its first attention gives heads, widths and format; its own mask does not count.
    tokens, batch : of the attention.
    patterns : of causal, causal-window, window, block and full; all of them otherwise.
    kind, placement : "ring" with blocks, zigzag or striped (None: zigzag for causal masks), or "heads".
    window, block, density : of the patterns that have them, as of the op `attention`.
    topology, link, link_bandwidth, link_latency_s, bits, law, overlap : as of `cluster`.

    Raises
    ------
    UserError : a mesh, whose sides no degree gives; tokens or heads that do not fall into parts.
    """
    import siliform as sf
    from siliform.arch.cluster import cluster_of
    from siliform.simulator.cluster.sweep import PATTERNS, first_attention, sweep

    if topology.startswith("mesh"):
        raise UserError(
            asked=f"a sweep over degrees on {topology}",
            found="sides that are those of one degree only",
            where="--topology",
            next_step="use ring or all-to-all, or run one degree at a time without --sweep",
        )
    graph = sf.trace(model, seq=TRACED_TOKENS, batch=batch)
    return sweep(
        first_attention(graph, tokens),
        accelerator,
        lambda count: cluster_of(
            accelerator,
            count,
            topology,
            link=link,
            bandwidth_bytes_per_second=link_bandwidth,
            latency_seconds=link_latency_s,
        ),
        model=model,
        patterns=patterns or PATTERNS,
        degrees=degrees,
        kind=kind,
        placement=placement,
        window=window,
        block=block,
        density=density,
        bits=bits,
        law=law,
        overlap=overlap,
        told=told,
    )
