"""Dead code: nodes whose results nothing uses go, and constants that nothing uses with them."""

from __future__ import annotations

from dataclasses import replace

from siliform.graph_ir.graph import Graph, Node


def dead_code(graph: Graph) -> Graph:
    """`graph` without the nodes that no result of it depends on.

    Inputs and states stay, being the signature, and parameters stay, being the model: a head that
    a trace leaves unused still counts. A body has results of its own and is left as it is.
    """
    used = {v.name for v in graph.outputs}
    kept: list[Node] = []
    for node in reversed(graph.nodes):
        if any(v.name in used for v in node.outputs):
            kept.append(node)
            used.update(v.name for v in node.operands)
    constants = tuple(v for v in graph.constants if v.name in used)
    dropped = {v.name for v in graph.constants} - {v.name for v in constants}
    if len(kept) == len(graph.nodes) and not dropped:
        return graph
    data = {name: array for name, array in graph.data.items() if name not in dropped}
    return replace(graph, nodes=tuple(reversed(kept)), constants=constants, data=data)
