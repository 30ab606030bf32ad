"""Nodes put back as the simpler ops that they expand to, where a pass must see what lies inside."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import replace

from siliform.graph_ir.graph import Builder, FreshNames, Graph, Node, Value
from siliform.graph_ir.passes.rewrite import rewired, rewired_outputs


def spelt_out(graph: Graph, names: Container[str]) -> Graph:
    """`graph` with the nodes of these names expanded; each has one result, whose op has an expansion."""
    fresh = FreshNames(graph.values)
    renamed: dict[str, Value] = {}
    nodes: list[Node] = []
    for node in graph.nodes:
        known = rewired(node, renamed)
        if node.name not in names:
            nodes.append(known)
            continue
        parts, result = _expanded(known, fresh)
        nodes += parts
        renamed[node.output.name] = result
    return graph.with_nodes(nodes, outputs=rewired_outputs(graph, renamed))


def _expanded(node: Node, fresh: FreshNames) -> tuple[list[Node], Value]:
    """The node's expansion on its own operands, under fresh names, and its result."""
    assert node.op.expansion is not None
    b = Builder(node.name)
    given = {v.name: b.input(v.name, v.type) for v in dict.fromkeys(node.operands)}
    with b.at(node.module, node.source):
        attributes = {name: value for name, value in node.attributes.items() if name != "numerics"}
        made = node.op.expansion(b, *(v and given[v.name] for v in node.inputs), **attributes)
    inside = b.finish(made)
    known = {own.name: v for own, v in zip(given.values(), dict.fromkeys(node.operands), strict=True)}
    parts = []
    for part in inside.nodes:
        outputs = tuple(Value(fresh(f"{node.name}_{part.op.name}"), v.type) for v in part.outputs)
        parts.append(replace(rewired(part, known), outputs=outputs))
        known |= {old.name: new for old, new in zip(part.outputs, outputs, strict=True)}
    return parts, known[made.name]
