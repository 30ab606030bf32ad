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


class FreshNames:
    """Names that a graph does not use yet."""

    def __init__(self, graph: Graph) -> None:
        self._taken = set(graph.values)

    def __call__(self, stem: str) -> str:
        """`stem`, or `stem` with the first number behind it that is free."""
        name, serial = stem, 1
        while name in self._taken:
            name, serial = f"{stem}_{serial}", serial + 1
        self._taken.add(name)
        return name
