"""A graph under a plan on a cluster, simulated by events, as a report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product

from siliform.arch.cluster import HOST_LINKS, Cluster
from siliform.graph_ir.errors import UserError
from siliform.graph_ir.graph import Graph
from siliform.simulator.cluster.actions import Actions
from siliform.simulator.cluster.costs import DeviceCosts
from siliform.simulator.cluster.machine import Ran, run_devices
from siliform.simulator.cluster.memory import DeviceMemory, memory_of
from siliform.simulator.cluster.plan import Plan, Sharded, shard
from siliform.simulator.cluster.report import ClusterReport, DeviceUse, LinkUse, Operation
from siliform.simulator.report import Origin


@dataclass(frozen=True, eq=False)
class Simulated:
    """A report, and what it is made from."""

    report: ClusterReport
    sharded: Sharded
    ran: Ran


def simulate_cluster(
    graph: Graph,
    cluster: Cluster,
    plan: Plan,
    *,
    microbatch: Graph | None = None,
    bits: str | None = None,
    law: str = "model",
    overlap: bool = True,
    phase: str = "prefill",
    costs: DeviceCosts | None = None,
) -> Simulated:
    """Run a graph under a plan.

    Parameters
    ----------
    graph : the whole work, which one device would do; what efficiency is measured against.
    microbatch : the work of one microbatch; `graph` itself where the plan has one.
    bits, law : as of `estimate`, "events" besides, which simulates each part of the graph.
    overlap : whether a ring attention sends keys and values on while it computes with them.
    costs : of an earlier run on the same accelerator, whose parts need not be costed again.

    Raises
    ------
    UserError : degrees that do not fit the cluster, what the plan cannot cut, what `estimate` refuses.
    """
    plan.check(cluster.devices)
    if (microbatch is None) != (plan.pipeline.microbatches == 1):
        raise UserError(
            asked=f"{plan.described} of {graph.name}",
            found=f"{plan.pipeline.microbatches} microbatches and "
            + ("no graph of one" if microbatch is None else "a graph of one"),
            where="simulate_cluster(microbatch=)",
            next_step="give the graph of one microbatch where there are several, and only there",
        )
    sharded = shard(microbatch or graph, plan)
    known = costs or DeviceCosts.of(cluster.accelerator, graph, bits, law)
    actions = Actions(sharded, known, overlap)
    ran = run_devices(cluster, [actions.of(*place) for place in _places(plan)])
    report = _report(graph, cluster, sharded, known, ran, overlap=overlap, phase=phase)
    return Simulated(report, sharded, ran)


def _report(
    graph: Graph,
    cluster: Cluster,
    sharded: Sharded,
    costs: DeviceCosts,
    ran: Ran,
    *,
    overlap: bool,
    phase: str,
) -> ClusterReport:
    alone = costs.cost(graph)
    uses = tuple(
        _use(device, place, ran, memory_of(sharded, costs, place[0], place[1]))
        for device, place in enumerate(_places(sharded.plan))
    )
    return ClusterReport(
        model=graph.name,
        design=cluster.accelerator.name,
        phase=phase,
        plan=sharded.plan.described,
        devices=cluster.devices,
        topology=cluster.described,
        link=cluster.link.name,
        link_bytes_per_second=cluster.link.bandwidth_bytes_per_second,
        link_latency_s=cluster.link.latency_seconds,
        bits=costs.bits,
        law=costs.law,
        overlap=overlap,
        latency_s=ran.seconds,
        one_device_s=alone.seconds,
        one_device_macs=alone.macs,
        dram_bytes_per_device=cluster.accelerator.dram.bytes,
        host_bytes_per_second=_host_rate(cluster),
        uses=uses,
        links=_links(ran, cluster),
        operations=tuple(
            Operation(kind, int(count), int(size), seconds)
            for kind, (count, size, seconds) in sorted(ran.operations.items())
        ),
        segments=len(sharded.steps),
        costed_graphs=costs.graphs,
        provenance=_provenance(cluster, costs),
    )


def _places(plan: Plan) -> list[tuple[int, int, int]]:
    """Stage and places in the context and the tensor group of every device, by number."""
    return list(product(range(plan.pipeline.stages), range(plan.context.degree), range(plan.tensor.degree)))


def _use(device: int, place: tuple[int, ...], ran: Ran, memory: DeviceMemory) -> DeviceUse:
    times = ran.devices[device]
    return DeviceUse(
        device=device,
        stage=place[0],
        context=place[1],
        tensor=place[2],
        compute_s=times.compute_s,
        communication_s=times.communication_s,
        waiting_s=times.waiting_s,
        macs=times.macs,
        dram_bytes=times.dram_bytes,
        energy_j=times.energy_j,
        weight_bytes=memory.weight_bytes,
        kv_bytes=memory.kv_bytes,
    )


def _host_rate(cluster: Cluster) -> int | None:
    """Bandwidth of the link to the host; None for a design without one."""
    rates = [link.bandwidth_bytes_per_second for link in cluster.accelerator.links if link.name in HOST_LINKS]
    return rates[0] if rates else None


def _links(ran: Ran, cluster: Cluster) -> tuple[LinkUse, ...]:
    network, total = ran.network, ran.seconds
    return tuple(
        LinkUse(
            channel.name,
            network.carried_bytes[channel.name],
            network.busy_seconds[channel.name] / total if total else 0.0,
        )
        for channel in cluster.channels
    )


def _provenance(cluster: Cluster, costs: DeviceCosts) -> Mapping[str, Origin]:
    link = cluster.link
    source = f"link {link.name} of {cluster.accelerator.name}: {link.bandwidth_bytes_per_second:,} B/s"
    return {
        "compute": costs.origin,
        "communication": Origin(
            "law", f"simulator/cluster: messages as events, collectives after Thakur et al. 2005; {source}"
        ),
        "link_latency_s": Origin("assumed", "as the design or the call says"),
        "sharding": Origin("traced", "graphs cut by the rules of their ops"),
        "weight_bytes": Origin("traced", "parameters of the device's graphs, tied ones once"),
        "kv_bytes": Origin("traced", "caches (decode), keys and values of causal attentions (prefill)"),
    }
