"""Loops as their steps one behind the other, which is how they are mapped and costed.

Steps of a loop cost the same but for the first, which finds what was there before, and the last. So a long
loop may also become three steps, of which the middle one stands for all between (`Node.times`); its results,
seen as many times, stand for theirs.
"""

from __future__ import annotations

from dataclasses import replace

from siliform.graph_ir.errors import UserError
from siliform.graph_ir.graph import Builder, Graph, Node, Value
from siliform.graph_ir.ops.copies import concat, stack
from siliform.graph_ir.ops.loop import steps_at
from siliform.graph_ir.ops.views import expand, unsqueeze

#: Nodes that the loops of a graph may come to, spelt out: planning so many takes a minute (assumption).
NODES = 50_000
#: Loops of up to so many steps are always spelt out (assumption: as fast).
SHORT = 8


def unrolled(graph: Graph, *, whole: bool = True) -> Graph:
    """`graph` with every loop as its steps, or with three for a long one where not the `whole` is asked for.

    The graph itself where it has no loop; made once per graph. What is not whole can be costed, not run.

    Raises
    ------
    UserError : more than `NODES` nodes.
    """
    if not any(node.op.name == "loop" for node in graph.nodes):
        return graph
    made: Graph = graph.derived(_unrolled, whole)
    return made


def _unrolled(graph: Graph, whole: bool) -> Graph:
    known: dict[str, Value] = {}
    nodes: list[Node] = []
    for node in graph.nodes:
        node = replace(node, inputs=tuple(v and known.get(v.name, v) for v in node.inputs))
        if node.op.name != "loop":
            nodes.append(node)
            continue
        body = _steps(node, len(nodes), whole)
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


def _steps(node: Node, before: int, whole: bool) -> Graph:
    """The steps of a loop as a graph of their own."""
    step, steps = unrolled(node.attributes["step"], whole=whole), node.attributes["steps"]
    carried, stepped = node.attributes["carried"], node.attributes["stepped"]
    each = stepped + len(step.nodes)
    all_of_them = whole or steps <= SHORT
    if all_of_them:
        _check(node, before + steps * each, steps)
    build = Builder(node.name)
    operands = [build.input(f"operand{i}", v.type) for i, v in enumerate(node.operands)]
    places = range(steps) if all_of_them else (0, 1, steps - 1)
    state, given = steps_at(build, operands, step, places, carried, stepped)
    results = [
        build(stack, *parts, axis=0) if all_of_them else _as_many(build, parts, steps)
        for parts in zip(*given, strict=True)
    ]
    body = build.finish(*state, *results)
    own = [1] * stepped + [inner.times for inner in step.nodes]
    times = [t * (1 if all_of_them or i != 1 else steps - 2) for i in range(len(places)) for t in own]
    times += [1] * (len(body.nodes) - len(times))
    return body.with_nodes([replace(n, times=t) for n, t in zip(body.nodes, times, strict=True)])


def _as_many(build: Builder, parts: tuple[Value, ...], steps: int) -> Value:
    """Three results as those of all steps, along a first axis."""
    first, middle, last = parts
    seen = build(expand, middle, shape=(steps - 2, *middle.type.shape))
    ends = [build(unsqueeze, part, axis=0) for part in (first, last)]
    made: Value = build(concat, ends[0], seen, ends[1], axis=0)
    return made


def _check(node: Node, count: int, steps: int) -> None:
    if count > NODES:
        raise UserError(
            asked=f"every one of {steps:,} steps of {len(node.attributes['step'].nodes)} nodes",
            found=f"{count:,} nodes with those before it, and no more than {NODES:,} are spelt out",
            where=node.source or node.module or node.name,
            next_step="estimate it, which needs one step; or choose a shorter sequence, or longer segments",
        )
