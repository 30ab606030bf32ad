"""What passes share when they rebuild a graph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from siliform.graph_ir.graph import Graph, Node, Value


def rewired(node: Node, renamed: Mapping[str, Value]) -> Node:
    """The node with some operands replaced, by name; the node itself where none is."""
    if not any(v.name in renamed for v in node.operands):
        return node
    return replace(node, inputs=tuple(v and renamed.get(v.name, v) for v in node.inputs))


def rewired_outputs(graph: Graph, renamed: Mapping[str, Value]) -> tuple[Value, ...]:
    """The graph's results with some replaced, by name."""
    return tuple(renamed.get(v.name, v) for v in graph.outputs)
