"""From parts to a report: counts of the graph, areas, and where every number comes from."""

from __future__ import annotations

from collections.abc import Mapping

from siliform.arch.accelerator import Accelerator
from siliform.arch.units.lanes import Lanes
from siliform.graph_ir.graph import Graph, Node
from siliform.simulator.report import Origin, Part, Report
from siliform.simulator.work import product_formats_of

#: Half width of the plausible range of an energy built from Horowitz's table: its DRAM entry alone
#: spans 1300 to 2600 pJ (ISSCC 2014, figure 1.1.9), a third of the middle either way.
ENERGY_UNCERTAINTY = 1 / 3
#: Area from scaled cell and SRAM tables, wires and control left out: an assumption of a quarter.
AREA_UNCERTAINTY = 0.25
#: A few sourced constants in place of a kernel library: naive rooflines of this kind miss measured
#: GPU kernels by 44 to 55 per cent on average (bf16 products on A100, H100 and H200).
GPU_UNCERTAINTY = 0.5


def kind_of(node: Node) -> str:
    """The kind of work of a node; a fused node has that of its anchor."""
    body = node.attributes.get("body")
    if not isinstance(body, Graph):
        return node.op.kind
    for inner in body.nodes:
        if inner.macs_dense:
            return inner.op.kind
    real = [inner for inner in body.nodes if inner.op.movement == "none"]
    return (real or list(body.nodes))[0].op.kind


def op_label(node: Node) -> str:
    """The op's name; a fused node lists its body's, views left out."""
    body = node.attributes.get("body")
    if not isinstance(body, Graph):
        return node.op.name
    names = [inner.op.name for inner in body.nodes if inner.op.movement != "view"]
    return "+".join(names) or node.op.name


def ops_by_kind(graph: Graph) -> dict[str, int]:
    """Scalar operations executed by kind of op; a multiply-accumulate counts as one."""
    counts: dict[str, int] = {}
    for node in graph.nodes:
        body = node.attributes.get("body")
        for inner in body.nodes if isinstance(body, Graph) else (node,):
            done = sum(space.count(op) for space in inner.spaces for op in space.body)
            if done:
                counts[inner.op.kind] = counts.get(inner.op.kind, 0) + done
    return dict(sorted(counts.items(), key=lambda item: -item[1]))


def phase_of(graph: Graph) -> str:
    """A graph with state that it appends to decodes; any other runs a whole input."""
    return "decode" if graph.states else "prefill"


def report_of(
    graph: Graph,
    accelerator: Accelerator,
    parts: tuple[Part, ...],
    *,
    law: str,
    objective: str,
    bits: str,
    formats: Origin | None = None,
) -> Report:
    """Totals around the parts; `formats` says which products left their formats, and why."""
    pairs = {pair for node in graph.nodes for pair in graph_formats(node)} or {("int8", "int8")}
    peak = max(peak_macs_per_cycle(accelerator, pair) for pair in pairs)
    published = dict(accelerator.published).get("area_mm2")
    areas: Mapping[str, float | None]
    if published is not None:
        areas = {"published die": published.value}
    else:
        areas = {name: area.value for name, area in accelerator.area_parts_mm2.items()}
    return Report(
        model=graph.name,
        design=accelerator.name,
        phase=phase_of(graph),
        law=law,
        objective=objective,
        bits=bits,
        clock_hz=float(accelerator.clock_hz),
        peak_macs_per_cycle=float(peak),
        dram_bytes_per_cycle=float(accelerator.dram_bytes_per_cycle),
        macs=graph.macs,
        macs_dense=graph.macs_dense,
        ops_by_kind=graph.derived(ops_by_kind),
        parameters=graph.parameter_count,
        weight_bytes=graph.weight_bytes,
        parts=parts,
        area_parts_mm2=areas,
        provenance=_provenance(accelerator, law, parts) | ({"formats": formats} if formats else {}),
    )


def peak_macs_per_cycle(accelerator: Accelerator, formats: tuple[str, str]) -> float:
    """Peak rate on operands of these formats: of the matrix units, else of lanes that multiply and add."""
    matrix = accelerator.peak_macs_per_cycle(*formats)
    if matrix:
        return float(matrix)
    lanes = [
        u for u in accelerator.units if isinstance(u, Lanes) and u.scalar_refusal("mac", formats[0]) is None
    ]
    return max((u.lanes / u.ops["mac"] for u in lanes), default=0.0)


def graph_formats(node: Node) -> list[tuple[str, str]]:
    """Operand formats of the products of a node."""
    body = node.attributes.get("body")
    inner = body.nodes if isinstance(body, Graph) else (node,)
    return [product_formats_of(n, first=True) for n in inner if n.macs_dense]


def _provenance(accelerator: Accelerator, law: str, parts: tuple[Part, ...]) -> dict[str, Origin]:
    on_gpu = bool(accelerator.of_kind("tensor"))
    timing = (
        Origin("law", "speed of light: the largest demand of the whole graph over a resource's peak")
        if law == "bound"
        else Origin(
            "law",
            "arch/units and simulator/mapping: each unit's closed form under the best mapping of each node",
            GPU_UNCERTAINTY if on_gpu else None,
        )
    )
    traced = Origin("traced", "counted in the traced graph")
    found = {
        "macs": traced,
        "parameters": traced,
        "weight_bytes": traced,
        "cycles": timing,
        "latency_s": timing,
        "dram_bytes": Origin("law", "tiles, loop orders and residency of the mapping; operands of the graph"),
        "energy_j": _energy_origin(accelerator, law, parts),
        "area_mm2": _area_origin(accelerator),
    }
    if any(p.scratchpad_bytes is None for p in parts):
        found["scratchpad_bytes"] = Origin(
            "absent", "the law of this design or bound does not count on-chip bytes"
        )
    return found


def _energy_origin(accelerator: Accelerator, law: str, parts: tuple[Part, ...]) -> Origin:
    if law == "bound":
        return Origin("absent", "a bound on time says nothing of scratchpad traffic; use --law model")
    if all(p.energy_j is not None for p in parts):
        sources = (
            accelerator.mac_energy_pj("int8").source,
            accelerator.dram_energy_pj_per_byte.source,
            accelerator.sram_energy_pj_per_byte(accelerator.scratchpad).source,
        )
        return Origin("law", "; ".join(dict.fromkeys(sources)), ENERGY_UNCERTAINTY)
    unknown = (
        accelerator.mac_energy_pj("int8"),
        accelerator.dram_energy_pj_per_byte,
        accelerator.leakage_watts,
    )
    reasons = [figure.source for figure in unknown if figure.value is None]
    return Origin(
        "absent", reasons[0] if reasons else "a scalar operation of this graph has no sourced energy"
    )


def _area_origin(accelerator: Accelerator) -> Origin:
    area = accelerator.area_mm2
    if area.value is None:
        return Origin("absent", area.source)
    published = "area_mm2" in dict(accelerator.published)
    kind, spread = ("published", None) if published else ("law", AREA_UNCERTAINTY)
    return Origin(kind, area.source, spread)
