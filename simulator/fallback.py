"""Products in formats that no matrix unit of the accelerator multiplies: how many, and what runs instead."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from siliform.arch.accelerator import Accelerator
from siliform.graph_ir.graph import Graph, Node
from siliform.simulator.legalise import Acceptance
from siliform.simulator.report import Origin
from siliform.simulator.widening import lacks_matrix_unit, widened_format
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
    fates: Counter[tuple[str, str]] = Counter()
    for node in products:
        if lacks_matrix_unit(node, accelerator):
            fates[" x ".join(_formats(node)), _fate(node, accelerator)] += 1
    if not fates:
        return None
    told = [
        f"{count} of {len(products)} products in {formats} {fate}" for (formats, fate), count in fates.items()
    ]
    return Origin("traced", f"{'; '.join(told)}, because {_because(accelerator)}")


def _formats(node: Node) -> list[str]:
    """The element formats that meet in a product, each once."""
    pairs = [product_formats_of(node, first=True)]
    if node.op.kind == "attention":
        pairs.append(product_formats_of(node, first=False))
    return list(dict.fromkeys(name for pair in pairs for name in pair))


def _fate(node: Node, accelerator: Accelerator) -> str:
    """What becomes of a product that no matrix unit takes as it is."""
    wide = widened_format(node, accelerator)
    if wide is not None:
        able = [u.name for u in accelerator.units if u.peak_macs_per_cycle(wide, wide)]
        return f"are dequantised to {wide}, each rounded once, and multiplied on {' or '.join(able)}"
    formats = _formats(node)
    taken = [
        u.name for u in accelerator.units if all(u.scalar_refusal("mac", name) is None for name in formats)
    ]
    if taken:
        return f"run on {' or '.join(taken)}"
    return f"are dequantised and multiplied wide on {_lanes(accelerator)}"


def _innermost(node: Node) -> Iterator[Node]:
    body = node.attributes.get("body")
    yield from body.nodes if isinstance(body, Graph) else (node,)


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
