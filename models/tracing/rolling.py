"""The marks of `siliform.models.blocks.steps` in a traced graph, and the loops that they become."""

from __future__ import annotations

from typing import Any

from siliform.graph_ir.graph import Graph, Node, Value
from siliform.graph_ir.opspec import OpSpec
from siliform.graph_ir.types import TensorType


def _never(*operands: Any, carried: int) -> Any:
    """A mark means something to `rolled` alone, which leaves none."""
    raise ValueError("a mark of a loop was run")


def _never_ended(*operands: Any, begun: int, carried: int, steps: int) -> Any:
    """A mark means something to `rolled` alone, which leaves none."""
    raise ValueError("a mark of a loop was run")


def _begun(*operands: TensorType, carried: int) -> tuple[TensorType, ...]:
    return (*operands[:carried], *(type.with_shape(*type.shape[1:]) for type in operands[carried:]))


def _ended(*operands: TensorType, begun: int, carried: int, steps: int) -> tuple[TensorType, ...]:
    on, results = operands[begun : begun + carried], operands[begun + carried :]
    return (*on, *(type.with_shape(steps, *type.shape) for type in results))


#: What a step begins with, its operands handed on or cut to one part; and what a loop ends with. The end
#: also reads all that the begin gives, by which the two know each other.
BEGIN = OpSpec("loop begins", "fused", _never, _begun, lambda *operands, **attributes: [])
END = OpSpec("loop ends", "fused", _never_ended, _ended, lambda *operands, **attributes: [])


def rolled(graph: Graph) -> Graph:
    """`graph` with a `loop` for each pair of marks and what depends on the first, innermost first."""
    while any(node.op is END for node in graph.nodes):
        graph = _innermost(graph)
    return graph


def _innermost(graph: Graph) -> Graph:
    from siliform.graph_ir.ops import op_named

    end_at, end = next((i, n) for i, n in enumerate(graph.nodes) if n.op is END)
    count = end.attributes["begun"]
    begin_at, begin = next(
        (i, n) for i, n in enumerate(graph.nodes) if n.op is BEGIN and n.outputs == end.operands[:count]
    )
    inside, outside = _parted(graph.nodes[begin_at + 1 : end_at], begin)
    results = end.operands[count:]
    defined = {v.name for v in begin.outputs} | {v.name for node in inside for v in node.outputs}
    read = (v for values in (*(n.operands for n in inside), results) for v in values)
    alike = tuple(dict.fromkeys(v for v in read if v.name not in defined))
    step = Graph("step", (*begin.outputs, *alike), tuple(inside), results)
    attributes = {
        "step": step,
        "steps": end.attributes["steps"],
        "carried": end.attributes["carried"],
        "stepped": count - end.attributes["carried"],
    }
    loop = op_named("loop")
    node = Node(loop, (*begin.operands, *alike), end.outputs, attributes, end.module, end.source)
    return graph.with_nodes((*graph.nodes[:begin_at], *outside, node, *graph.nodes[end_at + 1 :]))


def _parted(nodes: tuple[Node, ...], begin: Node) -> tuple[list[Node], list[Node]]:
    """What depends on the beginning of a step, scalars that it reads among it; and what does not."""
    changing: set[Value] = set(begin.outputs)
    inside: list[Node] = []
    outside: list[Node] = []
    for node in nodes:
        within = not changing.isdisjoint(node.operands)
        (inside if within else outside).append(node)
        if within:
            changing.update(node.outputs)
    read = {v.name for node in inside for v in node.operands}
    scalars = [n for n in outside if n.op.name == "constant" and n.name in read]
    return [*scalars, *inside], [n for n in outside if n not in scalars]
