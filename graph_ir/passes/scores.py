"""Reading attention scores backwards: from a softmax or sigmoid to the product of queries and keys."""

from __future__ import annotations

from dataclasses import dataclass, replace

from siliform.graph_ir.graph import Graph, Node, Value
from siliform.graph_ir.passes.masks import LEAVES_OUT, ConstantValues


@dataclass(frozen=True)
class Mask:
    """One mask on the way: an operand, how it acts, and the shape of the scores where it acts.

    `action` is "add", "keep" (True attends) or "drop" (True leaves out).
    """

    value: Value
    action: str
    scores_shape: tuple[int, ...]


@dataclass(frozen=True)
class Scores:
    """``softmax(scale * queries @ transposed_keys, then masks)``; `product` is that matmul node."""

    product: Node
    scale: float
    masks: tuple[Mask, ...]


class Reader:
    """Follows values backwards through a graph, through nodes that nothing else uses."""

    def __init__(self, graph: Graph) -> None:
        self.constants = ConstantValues(graph)
        self._producers = dict(graph.producers)
        self._uses = {name: len(nodes) for name, nodes in graph.consumers.items()}
        for value in graph.outputs:
            self._uses[value.name] = self._uses.get(value.name, 0) + 1

    def learn(self, node: Node) -> None:
        """Take in a node that a pass adds."""
        self._producers.update((v.name, node) for v in node.outputs)
        self.constants.learn(node)

    def producer(self, value: Value | None) -> Node | None:
        """The node that makes a value."""
        return None if value is None else self._producers.get(value.name)

    def sole_producer(self, value: Value | None) -> Node | None:
        """The node that makes a value which is used once."""
        return self.producer(value) if value is not None and self._uses.get(value.name) == 1 else None

    def through(self, value: Value | None, *names: str) -> Value | None:
        """The value behind nodes of these ops, whoever else uses them."""
        while (node := self.producer(value)) is not None and node.op.name in names:
            value = node.inputs[0]
        return value

    def probabilities(self, value: Value | None) -> Node | None:
        """The softmax of the last axis or the sigmoid that makes a value, through dropouts and casts."""
        node = self.sole_producer(value)
        while node is not None and _hands_on(node):
            node = self.sole_producer(node.inputs[0])
        if node is None or node.op.name not in ("softmax", "sigmoid") or len(node.inputs) != 1:
            return None
        axis = node.attributes.get("axis", -1)
        return node if axis in (-1, node.output.type.rank - 1) and "numerics" not in node.attributes else None

    def scores(self, value: Value | None) -> Scores | None:
        """The scaled and masked product that makes a value, or None where it is something else."""
        node = self.sole_producer(value)
        if node is None or "numerics" in node.attributes:
            return None
        name = node.op.name
        if name == "matmul":
            return Scores(node, 1.0, ())
        if _hands_on(node):
            return self.scores(node.inputs[0])
        if name in ("mul", "div"):
            return self._scaled(node)
        if name == "add":
            return self._added(node)
        if name == "where":
            return self._chosen(node)
        if name == "maximum":
            return self._clamped(node)
        return None

    def _scaled(self, node: Node) -> Scores | None:
        left, right = node.operands
        factor = self.constants.scalar(right)
        if factor is None and node.op.name == "mul":
            left, factor = right, self.constants.scalar(left)
        if not factor:
            return None
        found = self.scores(left)
        if found is None or any(m.action == "add" for m in found.masks):
            return None  # the factor would act on the mask as well
        return replace(found, scale=found.scale * factor if node.op.name == "mul" else found.scale / factor)

    def _added(self, node: Node) -> Scores | None:
        for scores, mask in (node.operands, node.operands[::-1]):
            found = self.scores(scores) if scores.type.shape == node.output.type.shape else None
            if found is not None:
                return replace(found, masks=(*found.masks, Mask(mask, "add", node.output.type.shape)))
        return None

    def _chosen(self, node: Node) -> Scores | None:
        condition, yes, no = node.operands
        for scores, filler, action in ((yes, no, "keep"), (no, yes, "drop")):
            number = self.constants.scalar(filler)
            if number is not None and number <= LEAVES_OUT and scores.type.shape == node.output.type.shape:
                found = self.scores(scores)
                if found is not None:
                    return replace(found, masks=(*found.masks, Mask(condition, action, scores.type.shape)))
        return None

    def _clamped(self, node: Node) -> Scores | None:
        """A lower bound that only keeps a masked score finite changes nothing."""
        for scores, bound in (node.operands, node.operands[::-1]):
            number = self.constants.scalar(bound)
            if number is not None and number <= LEAVES_OUT:
                return self.scores(scores)
        return None


def _hands_on(node: Node) -> bool:
    """Whether a node gives its operand on, matrix by matrix and but for a rounding."""
    return node.op.name in ("dropout", "contiguous") or _is_float_cast(node) or _keeps_matrices(node)


def _is_float_cast(node: Node) -> bool:
    return node.op.name == "cast" and all(
        v.type.format.kind == "float" and v.type.format.bits >= 16 for v in (node.operands[0], node.output)
    )


def _keeps_matrices(node: Node) -> bool:
    """Whether a reshape regroups leading axes only."""
    if node.op.name not in ("reshape", "unsqueeze", "squeeze"):
        return False
    before, after = node.operands[0].type.shape, node.output.type.shape
    return len(before) >= 2 and before[-2:] == after[-2:]
