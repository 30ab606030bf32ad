"""Cache append: a concatenation onto a state is an append in place, which moves the new rows only."""

from __future__ import annotations

from dataclasses import replace

from siliform.graph_ir.graph import Graph, Node, Value

#: Ops that hand their operand on unchanged, and so may stand between a state and its append.
_IDENTITIES = ("dropout", "contiguous")


def cache_append(graph: Graph) -> Graph:
    """`graph` with every ``concat(state, new, axis)`` as ``append(state, new, axis)``.

    A state has room for one append in a run: behind its last row. A second concatenation onto the
    same state, one of more than two operands, or one that changes the format, stays a copy. Other
    readers of the state are no obstacle, since an append leaves the old rows where they are.
    """
    from siliform.graph_ir.ops import op_named

    if not graph.states:
        return graph
    append = op_named("append")
    origin: dict[str, Value] = {v.name: v for v in graph.states}
    appended = {n.inputs[0].name for n in graph.nodes if n.op is append and n.inputs[0] is not None}
    nodes: list[Node] = []
    for node in graph.nodes:
        state = origin.get(node.operands[0].name) if node.operands else None
        if state is not None and node.op.name in _IDENTITIES:
            origin[node.name] = state
        elif state is not None and state.name not in appended and _is_append(node, state):
            appended.add(state.name)
            node = replace(node, op=append, inputs=(state, node.operands[1]))
        nodes.append(node)
    return graph.with_nodes(nodes)


def _is_append(node: Node, state: Value) -> bool:
    if node.op.name != "concat" or len(node.inputs) != 2:
        return False
    return state.type.format == node.operands[1].type.format and node.operands[0].type == state.type
