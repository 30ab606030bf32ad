"""Products in formats that no matrix unit of the accelerator multiplies: how many, and what runs instead."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from siliform.arch.accelerator import Accelerator
from siliform.graph_ir.graph import Graph, Node
from siliform.simulator.legalise import Acceptance, refusal
from siliform.simulator.report import Origin
from siliform.simulator.work import product_formats_of


def format_origin(graph: Graph, accelerator: Accelerator) -> Origin | None:
    """How many products no matrix unit takes as they are, what runs instead, and why; None where none.

    `graph` has its formats assigned and is not yet made legal for the accelerator.
    """
    found: Origin | None = graph.derived(_format_origin, Acceptance.of(accelerator))
    return found


def _format_origin(graph: Graph, acceptance: Acceptance) -> Origin | None:
    accelerator = acceptance.accelerator
    products = [node for outer in graph.nodes for node in _innermost(outer) if node.macs_dense]
    expanded: Counter[str] = Counter()
    on_lanes: Counter[str] = Counter()
    for node in products:
        pair = product_formats_of(node, first=True)
        if not accelerator.peak_macs_per_cycle(*pair):
            refused = node.op.kind != "attention" and refusal(node, accelerator) is not None
            (expanded if refused or _is_scaled(node) else on_lanes)[" x ".join(dict.fromkeys(pair))] += 1
    if not expanded and not on_lanes:
        return None
    lanes = _lanes(accelerator)
    told = [
        f"{count} of {len(products)} products in {pair} are dequantised and multiplied wide on {lanes}"
        for pair, count in expanded.items()
    ]
    told += [
        f"{count} of {len(products)} products in {pair} run on {lanes}" for pair, count in on_lanes.items()
    ]
    return Origin("traced", f"{'; '.join(told)}, because {_because(accelerator)}")


def _innermost(node: Node) -> Iterator[Node]:
    body = node.attributes.get("body")
    yield from body.nodes if isinstance(body, Graph) else (node,)


def _is_scaled(node: Node) -> bool:
    return any(v.type.format.element is not v.type.format for v in node.operands)


def _matrix_units(accelerator: Accelerator) -> list[str]:
    """Matrix units with the formats that they multiply."""
    return [
        f"{unit.name} multiplies {', '.join(sorted(unit.formats))} only"
        for unit in accelerator.units
        if hasattr(unit, "formats") and any(unit.peak_macs_per_cycle(f, f) for f in unit.formats)
    ]


def _because(accelerator: Accelerator) -> str:
    return "; ".join(_matrix_units(accelerator)) or f"{accelerator.name} has no matrix unit"


def _lanes(accelerator: Accelerator) -> str:
    names = [u.name for u in accelerator.units if u.scalar_refusal("mac", "fp32") is None]
    return " or ".join(names) or "other units"
