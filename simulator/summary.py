"""From parts to a report: counts of the graph, peaks and areas."""

from __future__ import annotations

from collections.abc import Mapping

from siliform.arch.accelerator import Accelerator
from siliform.arch.units.lanes import Lanes
from siliform.graph_ir.graph import Graph, Node
from siliform.simulator.provenance import origins
from siliform.simulator.report import Origin, Part, Report
from siliform.simulator.work import product_formats_of


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
            done = node.times * sum(space.count(op) for space in inner.spaces for op in space.body)
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
    energy: Origin,
    formats: Origin | None = None,
) -> Report:
    """Totals around the parts; `energy` says where its joules are from, or why there are none, `formats`
    which products left their formats, and why."""
    peak = max(peak_macs_per_cycle(accelerator, pair) for pair in _pairs(graph, accelerator))
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
        provenance=origins(accelerator, law, parts, energy) | ({"formats": formats} if formats else {}),
    )


def _pairs(graph: Graph, accelerator: Accelerator) -> set[tuple[str, str]]:
    """Operand formats of the graph's products; of one without any, all that the design multiplies."""
    found = {pair for node in graph.nodes for pair in graph_formats(node)}
    return found or {(name, name) for unit in accelerator.units for name in getattr(unit, "formats", ())}


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
