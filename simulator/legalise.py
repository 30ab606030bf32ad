"""Make every node one that the accelerator's units accept: unknown never means free.

A unit that accepts a node prices it; else the op's expansion into simpler ops, recursively; else
an error that names the op, the user's source line, the units there are and what each of them said.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from siliform.arch.accelerator import Accelerator
from siliform.arch.unit import Unit
from siliform.arch.units.engine import engine_for
from siliform.graph_ir.errors import UserError
from siliform.graph_ir.graph import Builder, Graph, Node, Value
from siliform.graph_ir.space import Space
from siliform.simulator.widening import matrix_format, widened
from siliform.simulator.work import product_formats_of, scalar_format, takes_signs


@dataclass(frozen=True)
class Acceptance:
    """What decides which nodes an accelerator accepts, and in which format it takes dequantised levels.

    Sizes and rates decide no more than which of its matrix units is the fastest (`wide`).
    """

    accelerator: Accelerator = field(compare=False)
    units: tuple[Any, ...]
    wide: str | None

    @classmethod
    def of(cls, accelerator: Accelerator) -> Acceptance:
        """The acceptance of one accelerator."""
        units = accelerator.units
        return cls(accelerator, tuple(_acceptance(unit) for unit in units), matrix_format(units))


def _acceptance(unit: Unit) -> Any:
    """A unit's class, and those of its parameters that name formats or operations."""
    named = [getattr(unit, name) for name in ("formats", "ops", "macs_per_cycle") if hasattr(unit, name)]
    return type(unit), unit.name, tuple(tuple(sorted(value)) for value in named)


def legalise(graph: Graph, accelerator: Accelerator) -> Graph:
    """The same graph with refused nodes replaced by their expansions, made once per kind of accelerator.

    Raises
    ------
    UserError : a node that no unit accepts and that has no expansion.
    """
    legal: Graph = graph.derived(_legalised, Acceptance.of(accelerator))
    return legal


def _legalised(graph: Graph, acceptance: Acceptance) -> Graph:
    accelerator = acceptance.accelerator
    nodes: list[Node] = []
    known: dict[str, str | None] = {}
    for node in graph.nodes:
        nodes.extend(_legal(node, accelerator, known))
    same = len(nodes) == len(graph.nodes) and all(a is b for a, b in zip(nodes, graph.nodes, strict=True))
    return graph if same else graph.with_nodes(nodes)


def _legal(node: Node, accelerator: Accelerator, known: dict[str, str | None]) -> list[Node]:
    wide = widened(node, accelerator)
    if wide is not None and refusal(wide, accelerator, known) is None:
        return [wide]
    reason = refusal(node, accelerator, known)
    if reason is None:
        return [node]
    wide = widened(node, accelerator, on_lanes=True)
    if wide is not None and refusal(wide, accelerator, known) is None:
        return [wide]
    body = _body(node)
    if body is None:
        raise UserError(
            asked=f"{node.op.name}({', '.join(str(v.type) for v in node.operands)}) on {accelerator.name}",
            found=reason,
            where=node.source or node.module or f"value {node.outputs[0]}",
            next_step=_advice(node, accelerator),
        )
    return [legal for inner in inlined(body, node) for legal in _legal(inner, accelerator, known)]


def _advice(node: Node, accelerator: Accelerator) -> str:
    units = ", ".join(f"{u.name} ({u.kind})" for u in accelerator.units)
    return (
        f"the units are {units}: add one that does {node.op.name}, widen the formats of one that is near, "
        f"choose other formats with --bits, or give the op an expansion"
    )


def refusal(node: Node, accelerator: Accelerator, known: dict[str, str | None] | None = None) -> str | None:
    """None where the units together do all of a node, else why not."""
    if node.op.movement == "view" or engine_for(node, accelerator.units) is not None:
        return None
    body = node.attributes.get("body")
    if isinstance(body, Graph):
        makers = body.producers
        asked = (inner for inner in body.nodes if not takes_signs(inner, makers))
        reasons = (refusal(inner, accelerator, known) for inner in asked)
        return next((r for r in reasons if r is not None), None)
    formats_of = [str(v.type.format) for v in (*node.operands, *node.outputs)]
    key = f"{node.op.name} {node.attributes.get('weights', '')} {formats_of}"
    if known is not None and key in known:
        return known[key]
    found = _attention_refusal(node, accelerator.units) if node.op.kind == "attention" else None
    products = 0
    for space in () if found else node.spaces:
        contraction = space.contraction() is not None
        formats: Sequence[str]
        if contraction:
            formats = product_formats_of(node, first=products == 0)
            products += 1
        elif space.body:
            formats = (scalar_format(node),)
        else:
            formats = [v.type.format.element.name for v in node.operands]
        if not units_for(node.op.name, space, formats, accelerator.units):
            found = "; ".join(_refusals(node.op.name, space, formats, accelerator.units))
            break
    if known is not None:
        known[key] = found
    return found


def _attention_refusal(node: Node, units: Sequence[Unit]) -> str | None:
    """Fused attention needs one matrix unit for both products; without it the op is expanded."""
    pairs = [product_formats_of(node, first=True), product_formats_of(node, first=False)]
    if any(all(unit.peak_macs_per_cycle(*pair) for pair in pairs) for unit in units):
        return None
    return f"no matrix unit that multiplies {' x '.join(pairs[0])}"


def units_for(op: str, space: Space, formats: Sequence[str], units: Sequence[Unit]) -> list[tuple[Unit, ...]]:
    """Every way to do one space: a single unit, or streaming units that share its scalar operations."""
    ways: list[tuple[Unit, ...]] = [(u,) for u in units if u.refusal(op, [space], formats) is None]
    if space.body:
        shared: list[Unit] = []
        for scalar_op in space.body:
            able = (u for u in units if all(u.scalar_refusal(scalar_op, f) is None for f in formats))
            unit = next(able, None)
            if unit is None:
                return ways
            shared.append(unit)
        way = tuple(dict.fromkeys(shared))
        if way not in ways:
            ways.append(way)
    return ways


def _refusals(op: str, space: Space, formats: Sequence[str], units: Sequence[Unit]) -> list[str]:
    whole = [u.refusal(op, [space], formats) for u in units]
    single = [
        u.scalar_refusal(s, f) for s in space.body for u in units for f in formats if u.scalar_refusal(s, f)
    ]
    return list(dict.fromkeys(r for r in (*whole, *single) if r is not None))


def _body(node: Node) -> Graph | None:
    """A node as simpler nodes: a fused body, or the op's expansion."""
    body = node.attributes.get("body")
    if isinstance(body, Graph):
        return body
    if node.op.expansion is None:
        return None
    builder = Builder(node.op.name)
    operands = [v and builder.input(f"operand{i}", v.type) for i, v in enumerate(node.inputs)]
    with builder.at(node.module, node.source):
        attributes = {k: v for k, v in node.attributes.items() if k != "numerics"}
        results = node.op.expansion(builder, *operands, **attributes)
    return builder.finish(*(results if isinstance(results, tuple) else (results,)))


def inlined(body: Graph, node: Node) -> list[Node]:
    """The nodes of a body in place of `node`: its operands in, its results out, other names prefixed."""
    outer = [v for v in node.inputs if v is not None]
    renamed: dict[str, Value] = {v.name: o for v, o in zip(body.inputs, outer, strict=True)}
    renamed |= {v.name: o for v, o in zip(body.outputs, node.outputs, strict=True) if v.name not in renamed}
    nodes = []
    for inner in body.nodes:
        for value in inner.outputs:
            renamed.setdefault(value.name, Value(f"{node.name}.{value.name}", value.type))
        nodes.append(
            Node(
                inner.op,
                tuple(v and renamed[v.name] for v in inner.inputs),
                tuple(renamed[v.name] for v in inner.outputs),
                inner.attributes,
                inner.module or node.module,
                inner.source or node.source,
                node.times,
            )
        )
    return nodes
