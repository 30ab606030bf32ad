"""Tensor parallelism as a rewriting: the graph of one device of a group that shares every layer.

By the rule of Shoeybi et al., "Megatron-LM", arXiv 1909.08053, section 3: attention is cut by heads; of two
linears with only pointwise work between, the first is cut by rows of its weight, the second by columns,
and its results are summed over the group. Which linears those are is found, not declared: a cut
is tried at each attention and then at each linear that is left, and spread by the rules of the ops until it
ends in sums, or in results of the graph: the vocabulary of a language model stays cut. Where it cannot end
so, the layer stays whole on every device.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from siliform.graph_ir.graph import FreshNames, Graph, Node, Value
from siliform.graph_ir.ops import op_named
from siliform.simulator.cluster.layout import Layout, NoLayout, Partial, Split, local_type
from siliform.simulator.cluster.rules import Layouts, local_attributes, spread


@dataclass(frozen=True, eq=False)
class LocalGraph:
    """What each device of a group runs, the same graph on other parts.

    Attributes
    ----------
    graph : its sums are written as the summand's own value: a reader must sum over the group in between.
    degree : devices of the group.
    sums : names of the values of which each device holds a summand.
    shards : for a given value of `graph` that is a part, the name of the whole one and its cut.
    cut_results : for a result of `graph` that is a part, its cut: results stay where they are.
    """

    graph: Graph
    degree: int = 1
    sums: frozenset[str] = frozenset()
    shards: Mapping[str, tuple[str, Split]] = field(default_factory=dict)
    cut_results: Mapping[str, Split] = field(default_factory=dict)


def tensor_parallel(graph: Graph, degree: int) -> LocalGraph:
    """The graph that each of `degree` devices runs; `graph` itself for one."""
    return LocalGraph(graph) if degree == 1 else _Localised(graph, degree, cut_layers(graph, degree)).made()


def cut_layers(graph: Graph, degree: int) -> dict[str, Layouts]:
    """Layouts of the nodes that are cut, by node name; all other nodes are whole."""
    found: dict[str, Layouts] = {}
    for node, split in _seeds(graph, degree):
        if node.name in found:
            continue
        region = _Region(graph, degree, found)
        try:
            region.cut(node.output, split)
        except NoLayout:
            continue
        found |= region.nodes
    return found


def _seeds(graph: Graph, degree: int) -> Iterator[tuple[Node, Split]]:
    for node in graph.nodes:
        if node.op.name == "attention":
            yield node, Split(node.output.type.rank - 3, degree)
    for node in graph.nodes:
        if node.op.name == "linear":
            yield node, Split(node.output.type.rank - 1, degree)


class _Region:
    """One trial: the nodes that a cut reaches. Raises NoLayout where it cannot end in sums."""

    def __init__(self, graph: Graph, degree: int, before: Mapping[str, Layouts]) -> None:
        self.graph, self.degree, self.before = graph, degree, before
        self.nodes: dict[str, Layouts] = {}
        self.values: dict[str, Split] = {}
        self.given = {value.name for value in (*graph.states, *graph.parameters, *graph.constants)}

    def cut(self, value: Value, split: Split) -> None:
        """Cut a value and everything that must be cut with it."""
        waiting = [(value, split)]
        while waiting:
            value, split = waiting.pop()
            if value.name in self.given:
                continue  # each use takes its own part of what is given
            if value.name in self.values:
                if self.values[value.name] != split:
                    raise NoLayout(f"%{value.name} as {split} and as {self.values[value.name]}")
                continue
            producer = self.graph.producers.get(value.name)
            if producer is None:
                raise NoLayout(f"%{value.name} is an input")
            self.values[value.name] = split
            waiting += self._node(producer, "out", producer.outputs.index(value), split)
            for node in self.graph.consumers.get(value.name, ()):
                for place, operand in enumerate(node.inputs):
                    if operand is not None and operand.name == value.name:
                        waiting += self._node(node, "in", place, split)

    def _node(self, node: Node, side: str, place: int, split: Split) -> list[tuple[Value, Split]]:
        """Lay out a node; what else must be cut."""
        if node.name in self.before:
            raise NoLayout(f"{node.op.name} belongs to another cut")
        layouts = spread(node, side, place, split, self.degree)
        known = self.nodes.setdefault(node.name, layouts)
        if known != layouts:
            raise NoLayout(f"{node.op.name} as {layouts} and as {known}")
        pairs = zip((*node.inputs, *node.outputs), (*layouts.operands, *layouts.results), strict=True)
        return [(value, layout) for value, layout in pairs if value is not None and isinstance(layout, Split)]


class _Localised:
    """The local graph while it grows."""

    def __init__(self, graph: Graph, degree: int, nodes: Mapping[str, Layouts]) -> None:
        self.graph, self.degree, self.layouts = graph, degree, nodes
        self.fresh = FreshNames(graph.values)
        self.known: dict[str, Value] = {}
        self.given = {value.name for value in graph.given}
        self.parts: dict[tuple[str, Split], Value] = {}
        self.shards: dict[str, tuple[str, Split]] = {}
        self.sums: set[str] = set()
        self.cuts: dict[str, Split] = {}
        self.whole: set[str] = set()
        self.nodes: list[Node] = []

    def made(self) -> LocalGraph:
        for node in self.graph.nodes:
            self._add(node)
        outputs = tuple(self._operand(value, self.cuts.get(value.name)) for value in self.graph.outputs)
        pairs = zip(self.graph.outputs, outputs, strict=True)
        cut = {made.name: self.cuts[value.name] for value, made in pairs if value.name in self.cuts}
        graph = replace(
            self.graph,
            name=f"{self.graph.name}-tensor-{self.degree}",
            inputs=self.graph.inputs,
            states=self._given(self.graph.states),
            parameters=self._given(self.graph.parameters),
            constants=self._given(self.graph.constants),
            nodes=tuple(self.nodes),
            outputs=outputs,
            data={},
        )
        return LocalGraph(graph, self.degree, frozenset(self.sums), self.shards, cut)

    def _given(self, values: tuple[Value, ...]) -> tuple[Value, ...]:
        """What is left of given values: whole where a node takes them so, and parts."""
        kept: list[Value] = []
        for value in values:
            parts = [part for (name, _), part in self.parts.items() if name == value.name]
            kept += [value] if value.name in self.whole or not parts else []
            kept += parts
        return tuple(kept)

    def _operand(self, value: Value, layout: Layout) -> Value:
        if value.name not in self.given:
            return self.known[value.name]
        if not isinstance(layout, Split):
            self.whole.add(value.name)
            return value
        if (value.name, layout) not in self.parts:
            part = Value(self.fresh(f"{value.name}.part"), local_type(value.type, layout))
            self.parts[value.name, layout] = part
            self.shards[part.name] = (value.name, layout)
        return self.parts[value.name, layout]

    def _add(self, node: Node) -> None:
        layouts = self.layouts.get(node.name)
        if layouts is None:
            layouts = Layouts((None,) * len(node.inputs), (None,) * len(node.outputs))
        operands = [
            value and self._operand(value, of)
            for value, of in zip(node.inputs, layouts.operands, strict=True)
        ]
        summed = isinstance(layouts.results[0], Partial)
        bias = operands[2] if summed and len(operands) > 2 else None
        if bias is not None:
            operands[2] = None  # added once, behind the sum
        outputs = tuple(
            Value(self.fresh(f"{v.name}.summand") if bias else v.name, local_type(v.type, of))
            for v, of in zip(node.outputs, layouts.results, strict=True)
        )
        self._check(node, operands, layouts, outputs)
        self.nodes.append(
            replace(node, inputs=tuple(operands), outputs=outputs, attributes=local_attributes(node, layouts))
        )
        self.sums |= {outputs[0].name} if summed else set()
        for value, made, of in zip(node.outputs, outputs, layouts.results, strict=True):
            self.known[value.name] = made
            if isinstance(of, Split):
                self.cuts[value.name] = of
        if bias is not None:
            total = Value(node.output.name, node.output.type)
            self.nodes.append(
                replace(node, op=op_named("add"), inputs=(outputs[0], bias), outputs=(total,), attributes={})
            )
            self.known[node.output.name] = total

    def _check(self, node: Node, operands: list[Any], layouts: Layouts, outputs: tuple[Value, ...]) -> None:
        """The op's own shape rule must give the local types: a wrong rule of ours ends here."""
        plain = {k: v for k, v in local_attributes(node, layouts).items() if k != "numerics"}
        types = node.op.types(*(v.type if v else None for v in operands), **plain)
        if types != tuple(value.type for value in outputs):
            raise AssertionError(f"{node.op.name} on parts gives {types}, its layouts say {outputs}")
