"""The closed-form estimate: prepare the graph, plan every node, add up."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

from siliform.arch.accelerator import Accelerator
from siliform.arch.program import Product, Program
from siliform.arch.units.engine import engine_for
from siliform.graph_ir.errors import UserError
from siliform.graph_ir.graph import Graph
from siliform.graph_ir.passes.assign_formats import assign_formats
from siliform.graph_ir.passes.fusion import fuse
from siliform.graph_ir.passes.policy import is_wide, parse_bits
from siliform.graph_ir.passes.spelt_out import spelt_out
from siliform.graph_ir.passes.unroll import unrolled
from siliform.simulator.bound import bound_report
from siliform.simulator.calibrated import calibrations_of
from siliform.simulator.costs import EnergyLaw
from siliform.simulator.fallback import format_origin
from siliform.simulator.legalise import legalise
from siliform.simulator.planner import Plan, Resources, plan_item, resident_part_bytes
from siliform.simulator.provenance import energy_origin
from siliform.simulator.report import Part, Report
from siliform.simulator.summary import graph_formats, kind_of, op_label, peak_macs_per_cycle, report_of
from siliform.simulator.workload import Item, Workload, workload

OBJECTIVES = ("latency", "energy", "edp", "traffic")
LAWS = ("model", "bound")


@dataclass(frozen=True, eq=False)
class Planned:
    """Every item of a workload with its plan."""

    workload: Workload
    plans: tuple[tuple[Item, Plan], ...]

    def program(self, accelerator: Accelerator) -> Program:
        """The mapping as what is run; of a graph whose loops are spelt out."""
        if any(item.times > 1 for item, _ in self.plans):
            raise ValueError("a program of a graph in which one step stands for others")
        blocks = tuple(plan.block(item, accelerator) for item, plan in self.plans)
        return Program(accelerator.name, self.workload.graph.name, blocks)


def prepared(graph: Graph, bits: str, accelerator: Accelerator | None = None) -> Graph:
    """The graph with the formats of `bits` assigned and epilogues fused; made once per graph and bits.

    Ops of special engines that the accelerator has not, or not large enough, are spelt out before, so that
    the products inside them get the formats that others get. Of the steps of a long loop one stands for those
    that cost the same.
    """
    graph = unrolled(graph, whole=False)
    if bits != "traced" and accelerator is not None and (names := _without_engine(graph, accelerator)):
        graph = graph.derived(spelt_out, names)
    return graph.derived(_prepare, bits)


def _without_engine(graph: Graph, accelerator: Accelerator) -> frozenset[str]:
    """Names of nodes that only an engine does whole, in integers, and none of these does."""
    found = []
    for node in graph.nodes:
        if node.op.kind == "hashing":
            as_integers = replace(node, attributes={**node.attributes, "numerics": "integer"})
            if engine_for(as_integers, accelerator.units) is None:
                found.append(node.name)
    return frozenset(found)


def _prepare(graph: Graph, bits: str) -> Graph:
    assigned = graph if bits == "traced" else assign_formats(graph, parse_bits(bits))
    return fuse(assigned)


def chosen_bits(accelerator: Accelerator, bits: str | None, graph: Graph) -> str:
    """The formats asked for, or the design's native ones; "traced" where a graph is deaf to them.

    A policy formats wide floats only: a graph whose products all take narrower operands, such as
    ``gemm:64,64,64,int8``, keeps its formats whatever is asked, and says so.
    """
    used = (accelerator.native_bits or "traced") if bits is None else bits
    return "traced" if used == "traced" or graph.derived(_is_deaf, used) else used


def _is_deaf(graph: Graph, bits: str) -> bool:
    """Whether a policy leaves a graph as it is, whose products have other formats than those it names.

    Bodies of fused nodes have the formats that they were fused with.
    """
    if any("body" in node.attributes for node in graph.nodes):
        return True
    graph = unrolled(graph, whole=False)
    policy = parse_bits(bits)
    operands = [v for node in graph.nodes if node.macs_dense for v in node.operands]
    if not operands or any(is_wide(v.type.format) for v in operands):
        return False
    pairs = {pair for node in graph.nodes for pair in graph_formats(node)}
    return pairs != {(bits, bits)} and str(assign_formats(graph, policy)) == str(graph)


def plan_graph(graph: Graph, accelerator: Accelerator, *, bits: str | None, objective: str) -> Planned:
    """Place and map every node; identical items are mapped once.

    Raises
    ------
    UserError : an op that no unit accepts, a scratchpad too small, unknown bits or objective.
    """
    ready = prepared(graph, chosen_bits(accelerator, bits, graph), accelerator)
    return plan_prepared(ready, accelerator, objective=objective)


def plan_prepared(ready: Graph, accelerator: Accelerator, *, objective: str = "latency") -> Planned:
    """The same of a graph whose formats are assigned: what is fused in it is, and nothing else."""
    legal = legalise(ready, accelerator)
    work = legal.derived(workload)
    memory = accelerator.scratchpad
    part = resident_part_bytes(accelerator)
    resources = Resources(
        accelerator=accelerator,
        objective=objective,
        tile_bytes=memory.bytes - work.resident_bytes(part),
        resident_part_bytes=part,
        energy=EnergyLaw(accelerator),
    )
    plans: dict[str, Plan] = {}
    for key, items in work.unique_items.items():
        plans[key] = _located(partial(plan_item, items[0], resources), items[0])
    return Planned(work, tuple((item, plans[item.key]) for item in work.items))


def _located(plan: Any, item: Item) -> Plan:
    """Run a planner; a user's mistake that does not say where gets the node's source line."""
    try:
        found: Plan = plan()
        return found
    except UserError as error:
        node = item.node
        place = node.source or node.module or f"value {node.outputs[0]}"
        if place in error.where:
            raise
        raise UserError(
            asked=f"{node.op.name} {node.outputs[0].type}: {error.asked}",
            found=error.found,
            where=f"{place} ({error.where})",
            next_step=error.next_step,
        ) from error


def compile_graph(
    graph: Graph, accelerator: Accelerator, *, bits: str | None = None, objective: str = "latency"
) -> Program:
    """The mapper's result as a Program; see `siliform.compile`."""
    check_choices(objective=objective)
    planned = plan_graph(unrolled(graph), accelerator, bits=bits, objective=objective)
    return planned.program(accelerator)


def estimate(
    graph: Graph,
    accelerator: Accelerator,
    *,
    bits: str | None = None,
    law: str = "model",
    objective: str = "latency",
) -> Report:
    """Cost a graph on a design; see `siliform.estimate`."""
    check_choices(law=law, objective=objective)
    if law == "bound":
        used = chosen_bits(accelerator, bits, graph)
        formats = format_origin(prepared(graph, used, accelerator), accelerator)
        legal = legalise(prepared(graph, used, accelerator), accelerator)
        return bound_report(legal, accelerator, used, formats)
    planned = plan_graph(graph, accelerator, bits=bits, objective=objective)
    return _planned_report(graph, accelerator, planned, bits=bits, objective=objective)


def _planned_report(
    graph: Graph, accelerator: Accelerator, planned: Planned, *, bits: str | None, objective: str
) -> Report:
    used = chosen_bits(accelerator, bits, graph)
    return report_of(
        planned.workload.graph,
        accelerator,
        tuple(_part(item, plan, accelerator) for item, plan in planned.plans),
        law="model",
        objective=objective,
        bits=used,
        energy=energy_origin(accelerator, (plan for _, plan in planned.plans)),
        formats=format_origin(prepared(graph, used, accelerator), accelerator),
    )


@dataclass(frozen=True, eq=False)
class PlannedReport:
    """The closed-form report, and what it is of."""

    report: Report
    planned: Planned
    accelerator: Accelerator

    @property
    def graph(self) -> Graph:
        """As it is run: formats assigned, epilogues fused, refused nodes spelt out."""
        return self.planned.workload.graph

    @cached_property
    def program(self) -> Program:
        """The mapping as what is run."""
        return self.planned.program(self.accelerator)


def planned_report(
    graph: Graph, accelerator: Accelerator, *, bits: str | None, objective: str
) -> PlannedReport:
    """An estimate with its Program, mapped once."""
    planned = plan_graph(graph, accelerator, bits=bits, objective=objective)
    report = _planned_report(graph, accelerator, planned, bits=bits, objective=objective)
    return PlannedReport(report, planned, accelerator)


def check_choices(*, bits: str | None = None, law: str = "model", objective: str = "latency") -> None:
    """Refuse words that `estimate` would refuse, before the work that comes first."""
    _check("--law", law, LAWS)
    _check("--objective", objective, OBJECTIVES)
    if bits is not None:
        parse_bits(bits)


def _check(option: str, given: str, allowed: tuple[str, ...]) -> None:
    if given not in allowed:
        raise UserError(
            asked=f"{option} {given}",
            found="no such choice",
            where="the command line or the call",
            next_step=f"use one of: {', '.join(allowed)}",
        )


def _part(item: Item, plan: Plan, accelerator: Accelerator) -> Part:
    node, cost = item.node, plan.cost
    macs, times, causes = node.macs, item.times, cost.energy_by_cause_j
    formats = [stage.formats for stage in plan.stages if isinstance(stage, Product)]
    peak = peak_macs_per_cycle(accelerator, formats[0]) if formats else 0.0
    return Part(
        name=node.name,
        module=node.module,
        op=op_label(node),
        kind=kind_of(node),
        unit=cost.unit,
        source=node.source,
        cycles=times * cost.cycles,
        compute_cycles=times * cost.compute_cycles,
        memory_cycles=times * cost.memory_cycles,
        macs=macs,
        macs_dense=node.macs_dense,
        dram_bytes=times * cost.dram_bytes,
        scratchpad_bytes=None if cost.scratchpad_bytes is None else times * cost.scratchpad_bytes,
        energy_j=None if cost.energy_j is None else times * cost.energy_j,
        energy_by_cause_j=causes and {name: times * joules for name, joules in causes.items()},
        utilization=macs / (peak * times * cost.cycles) if peak and cost.cycles else 0.0,
        bottleneck=cost.bottleneck,
        macs_per_dram_byte=macs / (times * cost.dram_bytes) if cost.dram_bytes else None,
        mapping=cost.mapping if times == 1 else {**cost.mapping, "times": times},
        calibration=calibrations_of(plan.stages, accelerator),
    )
