"""Context parallelism as layouts: which values of a graph are cut along tokens.

From each attention the cut of its tokens spreads both ways by the rules of the ops. Forwards, an op that
cannot work on parts gets the whole, gathered; backwards, a value whose producer cannot make parts is
made whole on every device, which then takes its part. So the cut ends where it must, and is right
wherever it ends.

With one query (decode) nothing is cut but the caches: each device attends to its part of a cache, the last
one also to the new row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from siliform.graph_ir.errors import UserError
from siliform.graph_ir.graph import Graph, Node, Value
from siliform.simulator.cluster.layout import Layout, NoLayout, Split
from siliform.simulator.cluster.placement import check_placement
from siliform.simulator.cluster.rules import Layouts, spread


@dataclass(frozen=True)
class ContextLayouts:
    """What a graph is cut into along tokens.

    Attributes
    ----------
    values : produced and input values that are cut; all others are whole.
    nodes : layouts of the nodes that work on parts, by node name; the operands they take.
    caches : for an attention node in decode, the two `append` nodes that make its keys and values.
    """

    values: Mapping[str, Split] = field(default_factory=dict)
    nodes: Mapping[str, Layouts] = field(default_factory=dict)
    caches: Mapping[str, tuple[Node, Node]] = field(default_factory=dict)


def context_layouts(graph: Graph, degree: int, placement: str, kind: str) -> ContextLayouts:
    """The layouts for `degree` devices; none for one.

    Raises
    ------
    UserError : an attention that no exchange serves, tokens that do not fall into the placement's runs,
        heads that do not fall into parts.
    """
    attentions = [node for node in graph.nodes if node.op.name == "attention"]
    if degree == 1:
        return ContextLayouts()
    if not attentions:
        raise UserError(
            asked=f"context parallelism of {graph.name}",
            found="no attention in it",
            where="--parallel",
            next_step="use tensor or pipeline parallelism",
        )
    for node in attentions:
        _check(node, degree, kind)
    if all(node.operands[0].type.shape[-2] == 1 for node in attentions):
        _check_decode(graph, kind)
        return ContextLayouts(caches={node.name: _caches(graph, node) for node in attentions})
    spreading = _Spreading(graph, degree)
    for node in attentions:
        for value in node.operands:
            check_placement(placement, value.type.shape[-2], degree)
        spreading.cut(node.output, Split(node.output.type.rank - 2, degree, placement=placement))
    return ContextLayouts(spreading.values, spreading.nodes)


def is_exchanged(node: Node, layouts: ContextLayouts) -> bool:
    """Whether an attention works on tokens of several devices."""
    return node.op.name == "attention" and (node.name in layouts.nodes or node.name in layouts.caches)


class _Spreading:
    """Layouts while they spread."""

    def __init__(self, graph: Graph, degree: int) -> None:
        self.graph, self.degree = graph, degree
        self.values: dict[str, Split] = {}
        self.nodes: dict[str, Layouts] = {}
        self.given = {value.name for value in (*graph.states, *graph.parameters, *graph.constants)}

    def cut(self, value: Value, split: Split) -> None:
        """Cut a value, and what can be cut with it."""
        waiting = [(value, split)]
        while waiting:
            value, split = waiting.pop()
            if value.name in self.given or value.name in self.values:
                continue
            producer = self.graph.producers.get(value.name)
            if producer is not None:
                more = self._node(producer, "out", producer.outputs.index(value), split)
                if more is None:
                    continue  # it stays whole, and each reader takes its part
                waiting += more
            self.values[value.name] = split
            for node in self.graph.consumers.get(value.name, ()):
                for place, operand in enumerate(node.inputs):
                    if operand is not None and operand.name == value.name:
                        waiting += self._node(node, "in", place, split) or []

    def _node(self, node: Node, side: str, place: int, split: Split) -> list[tuple[Value, Split]] | None:
        """Lay out a node; what can be cut with it. None where it works on whole values, or other parts."""
        if node.name in self.nodes:
            known = self.nodes[node.name]
            return [] if (known.operands if side == "in" else known.results)[place] == split else None
        try:
            layouts = self._layouts(node, side, place, split)
        except NoLayout:
            return None
        self.nodes[node.name] = layouts
        pairs = zip((*node.inputs, *node.outputs), (*layouts.operands, *layouts.results), strict=True)
        return [(value, layout) for value, layout in pairs if value is not None and isinstance(layout, Split)]

    def _layouts(self, node: Node, side: str, place: int, split: Split) -> Layouts:
        behind = split.axis - (node.inputs if side == "in" else node.outputs)[place].type.rank  # type: ignore[union-attr]
        if node.op.name == "attention" and behind == -2:
            cut: list[Layout] = [split.at(value.type.rank - 2) for value in node.operands]
            rest: list[Layout] = [None] * (len(node.inputs) - len(cut))
            return Layouts((*cut, *rest), (split.at(node.output.type.rank - 2),))
        return spread(node, side, place, split, self.degree)


def _check(node: Node, degree: int, kind: str) -> None:
    q, k, *_ = (value.type.shape for value in node.operands)
    heads, kv_heads = q[-3], k[-3]
    where = node.source or node.module or node.name
    if len(node.operands) > 3 or node.attributes["pattern"] == "declared":
        raise UserError(
            asked="context parallelism of an attention with a mask of its own",
            found="an operand that says which pairs are seen, which no pattern tells",
            where=where,
            next_step="use tensor or pipeline parallelism, or a model whose mask is a pattern",
        )
    if kind == "heads" and (heads % degree or (kv_heads % degree and degree % kv_heads)):
        raise UserError(
            asked=f"{heads} heads on {kv_heads} key-value heads over {degree} devices",
            found="heads that do not fall into equal parts",
            where=where,
            next_step="use a degree that divides the heads, or context=N,ring",
        )


def _check_decode(graph: Graph, kind: str) -> None:
    if kind != "ring":
        raise UserError(
            asked=f"one new token of {graph.name} with heads exchanged over devices",
            found="a single token, which cannot be cut into tokens for others' heads",
            where="--parallel",
            next_step="use context=N,ring (each device keeps a part of the cache), or tensor=N (heads stay)",
        )


def _caches(graph: Graph, node: Node) -> tuple[Node, Node]:
    """The nodes that append to the caches that an attention reads."""
    states = {value.name for value in graph.states}
    found = [graph.producers.get(value.name) for value in node.operands[1:3]]
    for made in found:
        if made is None or made.op.name != "append" or made.operands[0].name not in states:
            raise UserError(
                asked=f"context parallelism of {graph.name} in the decode phase",
                found="an attention whose keys are not a cache with a row appended",
                where=node.source or node.module or node.name,
                next_step="use tensor or pipeline parallelism",
            )
    return found[0], found[1]  # type: ignore[return-value]
