"""Which values are never negative, by the op that made them: what a one-bit format of 0 and 1 is for."""

from __future__ import annotations

from siliform.graph_ir.graph import Graph, Value

#: Ops whose results are 0 or more, whatever they read.
_SOURCES = frozenset({"relu", "relu6", "softmax", "sigmoid", "hard_sigmoid", "exp", "exp2", "abs", "square"})

#: Ops that hand on the elements of their first operand, or some of them.
_HAND_ON = frozenset(
    {
        "cast",
        "contiguous",
        "dropout",
        "expand",
        "permute",
        "reshape",
        "select",
        "slice",
        "squeeze",
        "unsqueeze",
    }
)


def never_negative(graph: Graph, value: Value) -> bool:
    """Whether no element of a value of `graph` can be below 0."""
    node = graph.producers.get(value.name)
    while node is not None and node.op.name in _HAND_ON and node.inputs[0] is not None:
        node = graph.producers.get(node.inputs[0].name)
    return node is not None and node.op.name in _SOURCES
