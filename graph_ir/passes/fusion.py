"""Fusion: an anchor and its epilogue become one `fused` node, whose intermediates stay on the chip.

The anchor is a product, a convolution, an attention, a norm, an op of a hashing engine in integers, or the
first of a chain of pointwise ops.
The epilogue is what reads the anchor's result and nothing else does: biases, activations, residual
additions, casts, `quantize` and `dequantize`, views that keep every element, and `contiguous`.

- A value with several readers ends the chain: no work is done twice. There is one exception, with
  ``norms=True``: a norm may join although others read its operand, as in ``h = x + f(x);
  norm(h)``; that operand becomes a second result of the fused node, which is cheap, since it is
  written once either way and only its second reading is saved.
- Views at the end of a chain stay outside, where they cost nothing.
- Of several chains that meet in one node, it joins the one with a real anchor, the latest first;
  pointwise chains of its own shape are drawn in with it.
- `constant` scalars that members read move into the body.
- A `quantize` whose scale is measured on the data needs the whole tensor; fusing it assumes that the
  unit knows the scale beforehand, from calibration.

The body runs the same nodes in the same order, so results are equal bit for bit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from siliform.graph_ir.graph import Graph, Node, Value

#: An op of an engine ("hashing") is one in its integer form, which an engine does whole.
_ANCHOR_KINDS = ("matmul", "convolution", "attention", "normalisation")
_POINTWISE_KINDS = ("elementwise", "activation", "quantisation")

#: Ops that combine elements of a row although their kind says pointwise, and norms over rows.
_ROW_OPS = ("layer_norm", "rms_norm", "rotary")


def fuse(graph: Graph, *, norms: bool = False) -> Graph:
    """`graph` with anchors and their epilogues fused, in time linear in its nodes.

    `norms` lets layer norms, RMS norms and rotary embeddings join an epilogue; the unit must then
    hold whole rows of the anchor's result.
    """
    chains = _Chains(graph, norms)
    for position, node in enumerate(graph.nodes):
        chains.take(position, node)
    return graph.with_nodes(_emit(graph, chains.finished()))


@dataclass(eq=False)
class _Chain:
    """A chain in the making.

    Attributes
    ----------
    members : its nodes with their positions in the graph, in no order.
    tail : the member that makes its result; the latest.
    has_anchor : whether it begins with more than a pointwise op.
    escaping : intermediate values that others read.
    deadline : position of the first such reader: nothing may join from there on.
    """

    members: list[tuple[int, Node]]
    tail: Node
    has_anchor: bool
    escaping: list[Value] = field(default_factory=list)
    deadline: int = 1 << 62

    @property
    def last(self) -> int:
        """Position of the tail."""
        return self.members[-1][0]

    def add(self, position: int, node: Node) -> None:
        """Let a node join that reads the chain's result."""
        self.members.append((position, node))
        self.tail = node

    def draw_in(self, other: _Chain) -> None:
        """Take over a pointwise chain; a node that reads both results joins next."""
        shorter, longer = sorted((self.members, other.members), key=len)
        longer.extend(shorter)
        self.members = longer
        self.escaping += other.escaping
        self.deadline = min(self.deadline, other.deadline)

    def trimmed(self) -> list[tuple[int, Node]]:
        """The members in order, without the views at the end."""
        ordered = sorted(self.members, key=lambda member: member[0])
        while ordered[-1][1].op.movement == "view":
            ordered.pop()
        return ordered


class _Chains:
    def __init__(self, graph: Graph, norms: bool) -> None:
        self.norms = norms
        self.consumers = graph.consumers
        self.results = {v.name for v in graph.outputs}
        self.positions = {node.name: i for i, node in enumerate(graph.nodes)}
        self.open: dict[str, _Chain] = {}

    def take(self, position: int, node: Node) -> None:
        """Let `node` join a chain, or begin one."""
        if len(node.outputs) != 1:
            return
        hosts = [v for v in dict.fromkeys(node.operands) if self._joins(position, node, v)]
        if hosts:
            host = max(hosts, key=lambda v: (self.open[v.name].has_anchor, self.open[v.name].last))
            chain = self.open.pop(host.name)
            for value in hosts:
                if value is not host and self._is_drawn_in(value):
                    chain.draw_in(self.open.pop(value.name))
            if not self._is_private(host):
                self._let_escape(chain, host, node)
            chain.add(position, node)
            self.open[node.name] = chain
        elif _is_anchor(node) or _is_pointwise(node):
            self.open[node.name] = _Chain([(position, node)], node, _is_anchor(node))

    def finished(self) -> list[_Chain]:
        """Chains that are worth a node: with two members or more that are no views."""
        return [
            chain
            for chain in self.open.values()
            if sum(1 for _, node in chain.members if node.op.movement != "view") > 1
        ]

    def _joins(self, position: int, node: Node, value: Value) -> bool:
        chain = self.open.get(value.name)
        if chain is None or position >= chain.deadline or chain.tail.times != node.times:
            return False
        if node.op.name in _ROW_OPS:
            mine = self.norms and value is node.inputs[0] and value.type.shape == node.output.type.shape
            return mine and (self._is_private(value) or self._first_reader(value) is node)
        return self._is_private(value) and (
            (_is_pointwise(node) and value.type.shape == node.output.type.shape) or _is_layout(node)
        )

    def _is_private(self, value: Value) -> bool:
        return value.name not in self.results and len(self.consumers.get(value.name, ())) == 1

    def _first_reader(self, value: Value) -> Node:
        return self.consumers[value.name][0]

    def _is_drawn_in(self, value: Value) -> bool:
        chain = self.open[value.name]
        return not chain.has_anchor and self._is_private(value) and chain.tail.op.movement != "view"

    def _let_escape(self, chain: _Chain, value: Value, node: Node) -> None:
        others = [self.positions[n.name] for n in self.consumers.get(value.name, ()) if n is not node]
        chain.escaping.append(value)
        chain.deadline = min([chain.deadline, *others])


def _is_anchor(node: Node) -> bool:
    whole = node.op.kind == "hashing" and node.attributes.get("numerics") == "integer"
    return whole or node.op.kind in _ANCHOR_KINDS


def _is_pointwise(node: Node) -> bool:
    return (node.op.kind in _POINTWISE_KINDS or node.op.name == "batch_norm") and node.op.name not in _ROW_OPS


def _is_layout(node: Node) -> bool:
    """Whether a node moves every element of its operand somewhere else, or nowhere."""
    if node.op.name == "contiguous":
        return True
    names = ("reshape", "permute", "squeeze", "unsqueeze", "dropout")
    return node.op.movement == "view" and node.op.name in names


def _emit(graph: Graph, chains: Iterable[_Chain]) -> list[Node]:
    scalars = {n.name: n for n in graph.nodes if n.op.name == "constant"}
    fused: dict[int, Node] = {}
    inside: set[int] = set()
    for chain in chains:
        members = chain.trimmed()
        fused[members[-1][0]] = _fused(chain, [node for _, node in members], scalars)
        inside.update(position for position, _ in members)
    kept = [fused.get(i, node) for i, node in enumerate(graph.nodes) if i in fused or i not in inside]
    used = {v.name for node in kept for v in node.operands} | {v.name for v in graph.outputs}
    return [node for node in kept if node.name in used or node.name not in scalars]


def _fused(chain: _Chain, members: list[Node], scalars: Mapping[str, Node]) -> Node:
    from siliform.graph_ir.ops import op_named

    made = {node.name for node in members}
    read = dict.fromkeys(v for node in members for v in node.operands if v.name not in made)
    operands = tuple(v for v in read if v.name not in scalars)
    immediates = [scalars[v.name] for v in read if v.name in scalars]
    outputs = (members[-1].output, *chain.escaping)
    work = [node.op.name for node in members if node.op.movement == "none"]
    body = Graph("+".join(work) or "layout", operands, (*immediates, *members), outputs)
    anchor = members[0] if not chain.has_anchor else next(n for n in members if _is_anchor(n))
    return Node(
        op_named("fused"), operands, outputs, {"body": body}, anchor.module, anchor.source, anchor.times
    )
