"""Loops as their steps one behind the other, which is how they are costed and mapped."""

from __future__ import annotations

from dataclasses import replace

from siliform.graph_ir.errors import UserError
from siliform.graph_ir.graph import Builder, Graph, Node, Value

#: Nodes that the loops of a graph may come to: planning so many takes some ten seconds (assumption).
NODES = 100_000


def unrolled(graph: Graph) -> Graph:
    """`graph` with every loop as its steps; the graph itself where it has none, made once per graph.

    Raises
    ------
    UserError : more than `NODES` nodes.
    """
    if not any(node.op.name == "loop" for node in graph.nodes):
        return graph
    made: Graph = graph.derived(_unrolled)
    return made


def _unrolled(graph: Graph) -> Graph:
    known: dict[str, Value] = {}
    nodes: list[Node] = []
    for node in graph.nodes:
        node = replace(node, inputs=tuple(v and known.get(v.name, v) for v in node.inputs))
        if node.op.name != "loop":
            nodes.append(node)
            continue
        body = _steps(node, len(nodes))
        names = dict(zip((v.name for v in body.inputs), node.operands, strict=True))
        for inner in body.nodes:
            for value in inner.outputs:
                names[value.name] = Value(f"{node.name}.{value.name}", value.type)
            nodes.append(
                replace(
                    inner,
                    inputs=tuple(v and names[v.name] for v in inner.inputs),
                    outputs=tuple(names[v.name] for v in inner.outputs),
                    module=inner.module or node.module,
                    source=inner.source or node.source,
                )
            )
        pairs = zip(node.outputs, body.outputs, strict=True)
        known |= {outer.name: names[inner.name] for outer, inner in pairs}
    return graph.with_nodes(nodes, outputs=tuple(known.get(v.name, v) for v in graph.outputs))


def _steps(node: Node, before: int) -> Graph:
    """The steps of a loop as a graph of their own."""
    step, steps = unrolled(node.attributes["step"]), node.attributes["steps"]
    count = before + steps * (len(step.nodes) + node.attributes["stepped"])
    if count > NODES:
        raise UserError(
            asked=f"a loop of {steps:,} steps of {len(step.nodes)} nodes",
            found=f"{count:,} nodes with those before it, and no more than {NODES:,} are costed one by one",
            where=node.source or node.module or node.name,
            next_step="choose a shorter sequence, or longer segments or chunks of the model",
        )
    build = Builder(node.name)
    operands = [build.input(f"operand{i}", v.type) for i, v in enumerate(node.operands)]
    assert node.op.expansion is not None  # of a loop
    made = node.op.expansion(build, *operands, **{**node.attributes, "step": step})
    return build.finish(*(made if isinstance(made, tuple) else (made,)))
