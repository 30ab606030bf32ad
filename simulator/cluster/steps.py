"""The work of one device as steps: graphs between points where devices exchange what they hold.

A segment is an ordinary graph, costed and run as any other; the devices of a group run the same one on
other parts. Between segments stand sums over the group that shares layers, gathers and attentions over the
group that shares tokens, and borders between pipeline stages.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from siliform.graph_ir.graph import Graph, Node, Value
from siliform.simulator.cluster.attention import Attention
from siliform.simulator.cluster.context import ContextLayouts, is_exchanged
from siliform.simulator.cluster.layout import Layout, Split, local_type
from siliform.simulator.cluster.rules import Layouts, local_attributes
from siliform.simulator.cluster.tensor import LocalGraph


@dataclass(frozen=True, eq=False)
class Segment:
    """A graph that every device of a stage runs.

    Attributes
    ----------
    cuts : for a given value of `graph` that is a part of a value of the local graph: that value's
        name and the cut along tokens.
    stage : of the pipeline.
    """

    graph: Graph
    cuts: Mapping[str, tuple[str, Split]] = field(default_factory=dict)
    stage: int = 0


@dataclass(frozen=True)
class Sum:
    """A value of which each device of a tensor group holds a summand becomes the sum."""

    value: Value
    stage: int = 0


@dataclass(frozen=True)
class Gather:
    """A value that is cut along tokens becomes whole, under the name `whole`."""

    value: Value
    split: Split
    whole: Value
    stage: int = 0


@dataclass(frozen=True, eq=False)
class Exchange:
    """An attention over the tokens of all devices of a context group.

    Attributes
    ----------
    attention : of the whole tokens, with the heads that a device of a tensor group has.
    node : its operands and result by name.
    caches : in decode, the nodes that append to keys and values; None in prefill.
    """

    attention: Attention
    node: Node
    caches: tuple[Node, Node] | None = None
    stage: int = 0


Step = Segment | Sum | Gather | Exchange


def steps_of(
    local: LocalGraph, layouts: ContextLayouts, stages: Mapping[str, int] | None = None
) -> tuple[Step, ...]:
    """The steps of every device, in an order that all of them keep.

    Parameters
    ----------
    stages : pipeline stage of each node of the local graph, by name; all in stage 0 otherwise.
    """
    return _Steps(local, layouts, stages or {}).made()


class _Steps:
    """The steps while they grow."""

    def __init__(self, local: LocalGraph, layouts: ContextLayouts, stages: Mapping[str, int]) -> None:
        self.local, self.layouts, self.stages = local, layouts, stages
        self.graph = local.graph
        self.given = {value.name for value in self.graph.given}
        self.steps: list[Step] = []
        self.nodes: list[Node] = []
        self.cuts: dict[str, tuple[str, Split]] = {}
        self.wholes: dict[str, Value] = {}
        self.stage = 0

    def made(self) -> tuple[Step, ...]:
        appended = {node.name for pair in self.layouts.caches.values() for node in pair}
        for node in self.graph.nodes:
            if node.name in appended:
                continue  # part of the exchange that reads it
            self._enter(self.stages.get(node.name, self.stage))
            if is_exchanged(node, self.layouts):
                self._exchange(node)
            else:
                self._add(node)
        self._flush()
        return tuple(self.steps)

    def _enter(self, stage: int) -> None:
        if stage != self.stage:
            self._flush()
            self.stage = stage

    def _actual(self, value: Value) -> Layout:
        return self.layouts.values.get(value.name)

    def _operand(self, value: Value, wanted: Layout) -> Value:
        """The value as a node takes it: as it is, its part, or gathered."""
        actual = self._actual(value)
        if actual == wanted:
            return Value(value.name, local_type(value.type, actual))
        if isinstance(actual, Split):
            return self._whole(value, actual)
        assert isinstance(wanted, Split)
        part = Value(f"{value.name}.tokens{wanted.axis}", wanted.local(value.type))
        self.cuts[part.name] = (value.name, wanted)
        return part

    def _whole(self, value: Value, split: Split) -> Value:
        if value.name not in self.wholes:
            self._flush()
            whole = Value(f"{value.name}.whole", value.type)
            self.steps.append(Gather(Value(value.name, split.local(value.type)), split, whole, self.stage))
            self.wholes[value.name] = whole
        return self.wholes[value.name]

    def _add(self, node: Node) -> None:
        layouts = self.layouts.nodes.get(node.name)
        if layouts is None:
            layouts = Layouts((None,) * len(node.inputs), (None,) * len(node.outputs))
        pairs = [(v, of) for v, of in zip(node.inputs, layouts.operands, strict=True) if v is not None]
        made_here = {value.name for each in self.nodes for value in each.outputs}
        if any(v.name in made_here and self._actual(v) != of for v, of in pairs):
            self._flush()
        laid = zip(node.inputs, layouts.operands, strict=True)
        operands = tuple(value and self._operand(value, of) for value, of in laid)
        outputs = tuple(
            Value(v.name, local_type(v.type, of)) for v, of in zip(node.outputs, layouts.results, strict=True)
        )
        attributes = local_attributes(node, layouts)
        _check(node, operands, attributes, outputs)
        self.nodes.append(replace(node, inputs=operands, outputs=outputs, attributes=attributes))
        if node.name in self.local.sums:
            self._flush()
            self.steps.append(Sum(outputs[0], self.stage))

    def _exchange(self, node: Node) -> None:
        self._flush()
        caches = self.layouts.caches.get(node.name)
        self.steps.append(Exchange(Attention.of(node), node, caches, self.stage))

    def _flush(self) -> None:
        """End the segment: what it reads becomes its inputs, what others read its outputs."""
        if not self.nodes:
            return
        nodes, self.nodes = tuple(self.nodes), []
        made = {value.name: value for node in nodes for value in node.outputs}
        read = {v.name: v for node in nodes for v in node.operands if v.name not in made}
        kinds: dict[str, list[Value]] = {"inputs": [], "states": [], "parameters": [], "constants": []}
        sources = {v.name: kind for kind in list(kinds)[1:] for v in getattr(self.graph, kind)}
        for value in read.values():
            source = self.cuts[value.name][0] if value.name in self.cuts else value.name
            kinds[sources.get(source, "inputs")].append(value)
        inside = {id(node) for node in nodes}
        outputs = [value for value in made.values() if self._is_read_outside(value.name, made, inside)]
        graph = Graph(
            name=f"{self.graph.name}-{len(self.steps)}",
            nodes=nodes,
            outputs=tuple(outputs),
            inputs=tuple(kinds["inputs"]),
            states=tuple(kinds["states"]),
            parameters=tuple(kinds["parameters"]),
            constants=tuple(kinds["constants"]),
        )
        cuts = {name: self.cuts[name] for name in read if name in self.cuts}
        self.steps.append(Segment(graph, cuts, self.stage))

    def _is_read_outside(self, name: str, made: Mapping[str, Value], inside: set[int]) -> bool:
        if any(value.name == name for value in self.graph.outputs):
            return True
        return any(node.outputs[0].name not in made for node in self.graph.consumers.get(name, ()))


def _check(node: Node, operands: Any, attributes: Mapping[str, Any], outputs: tuple[Value, ...]) -> None:
    """The op's own shape rule must give the local types: a wrong rule of ours ends here."""
    plain = {k: v for k, v in attributes.items() if k != "numerics"}
    types = node.op.types(*(v.type if v else None for v in operands), **plain)
    if types != tuple(value.type for value in outputs):
        raise AssertionError(f"{node.op.name} on parts gives {types}, its layouts say {outputs}")
