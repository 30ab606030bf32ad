"""Composite recognition: an RMS norm or a rotary position spelt out becomes one node.

- ``weight * (x * rsqrt(mean(x²) + eps))``, with the casts that models put around it, becomes
  `rms_norm`;
- ``x * cos + concat(-x[c/2:], x[:c/2]) * sin`` becomes `rotary`.

Results come out of one rounding instead of several, so in formats narrower than fp32 they agree
within the op's tolerance and not bit for bit. Nodes made needless are left to `dead_code`.
"""

from __future__ import annotations

from dataclasses import replace

from siliform.graph_ir.graph import Graph, Node, Value
from siliform.graph_ir.opspec import OpSpec
from siliform.graph_ir.passes.scores import Reader


def composites(graph: Graph) -> Graph:
    """`graph` with RMS norms and rotary positions recognised."""
    from siliform.graph_ir.ops import OPS

    reader = Reader(graph)
    nodes = []
    for node in graph.nodes:
        found = None
        if node.op.name == "mul":
            found = _rms_norm(node, reader)
        elif node.op.name == "add":
            found = _rotary(node, reader)
        if found is not None:
            name, operands, attributes = found
            op = OPS[name]
            types = op.types(*(v.type for v in operands), **attributes)
            if types == (node.output.type,):
                node = replace(node, op=op, inputs=_padded(op, operands), attributes=op.complete(attributes))
        nodes.append(node)
    return graph.with_nodes(nodes)


_Found = tuple[str, tuple[Value, ...], dict[str, object]]


def _padded(op: OpSpec, operands: tuple[Value, ...]) -> tuple[Value | None, ...]:
    missing = len(op.operands) - len(operands)
    return (*operands, *[None] * missing)


def _either(node: Node) -> tuple[tuple[Value, Value], ...]:
    first, second = node.operands
    return (first, second), (second, first)


def _rms_norm(node: Node, reader: Reader) -> _Found | None:
    """`node` as the last product of an RMS norm with a weight."""
    for weight, scaled in _either(node):
        inner = reader.producer(reader.through(scaled, "cast"))
        last_axis = node.output.type.shape[-1:]
        if inner is None or inner.op.name != "mul" or weight.type.shape != last_axis:
            continue
        for x, factor in _either(inner):
            eps = _root_mean_square(x, factor, reader)
            home = reader.through(x, "cast")
            if eps is not None and home is not None and home.type.shape == node.output.type.shape:
                return "rms_norm", (home, weight), {"dims": 1, "eps": eps}
    return None


def _root_mean_square(x: Value, factor: Value, reader: Reader) -> float | None:
    """The eps of ``factor = rsqrt(mean(x²) + eps)`` over the last axis, or None."""
    root = reader.producer(reader.through(factor, "cast"))
    shifted = reader.producer(root.operands[0]) if root is not None and root.op.name == "rsqrt" else None
    if shifted is None or shifted.op.name != "add":
        return None
    for mean_value, eps_value in _either(shifted):
        eps = reader.constants.scalar(eps_value)
        mean = reader.producer(mean_value)
        if eps is None or mean is None or mean.op.name != "reduce_mean":
            continue
        rank = mean.operands[0].type.rank
        axes = mean.attributes["axes"]
        if axes is None or [a % rank for a in axes] != [rank - 1]:
            continue
        squared = _squared(reader.producer(mean.operands[0]), reader)
        if squared is not None and reader.through(squared, "cast") == reader.through(x, "cast"):
            return eps
    return None


def _squared(node: Node | None, reader: Reader) -> Value | None:
    """What a node squares, or None."""
    if node is None:
        return None
    if node.op.name == "square":
        return node.operands[0]
    if node.op.name == "pow" and reader.constants.scalar(node.operands[1]) == 2:
        return node.operands[0]
    if node.op.name == "mul" and node.operands[0] == node.operands[-1]:
        return node.operands[0]
    return None


def _rotary(node: Node, reader: Reader) -> _Found | None:
    """`node` as the sum of a rotary position in its half-split form."""
    for straight, turned in _either(node):
        first, second = reader.producer(straight), reader.producer(turned)
        if first is None or second is None or first.op.name != "mul" or second.op.name != "mul":
            continue
        for x, cos in _either(first):
            for rotated, sin in _either(second):
                if _is_half_turn(reader.producer(rotated), x, reader) and cos.type.shape == sin.type.shape:
                    return "rotary", (x, cos, sin), {"interleaved": False}
    return None


def _is_half_turn(node: Node | None, x: Value, reader: Reader) -> bool:
    """Whether a node is ``concat(-x[c/2:], x[:c/2])`` over the last axis."""
    if node is None or node.op.name != "concat" or len(node.operands) != 2:
        return False
    rank, width = x.type.rank, x.type.shape[-1]
    negated = reader.producer(node.operands[0])
    if node.attributes["axis"] % rank != rank - 1 or negated is None or negated.op.name != "neg":
        return False
    upper = _half(reader.producer(negated.operands[0]), x)
    lower = _half(reader.producer(node.operands[1]), x)
    return upper == (width // 2, width) and lower == (0, width // 2)


def _half(node: Node | None, x: Value) -> tuple[int, int] | None:
    """Where a slice of the last axis of `x` starts and ends, or None."""
    if node is None or node.op.name != "slice" or node.operands[0] != x:
        return None
    a = node.attributes
    if a["axis"] % x.type.rank != x.type.rank - 1 or a["step"] != 1:
        return None
    return int(a["start"]), int(a["end"])
