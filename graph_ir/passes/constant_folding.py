"""Constant folding: what depends on constants alone is computed once, by the interpreter.

Position ids, causal masks built from ranges and comparisons, and the like. Parameters are not
constants: what depends on them is work of the model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from siliform.graph_ir.arrays import is_scaled
from siliform.graph_ir.graph import FreshNames, Graph, Node, Value
from siliform.graph_ir.interpret import run_node
from siliform.graph_ir.passes.rewrite import rewired, rewired_outputs

#: The largest result that is folded: a causal mask of 4096 by 4096.
LIMIT_ELEMENTS = 2**24


def constant_folding(graph: Graph, limit_elements: int = LIMIT_ELEMENTS) -> Graph:
    """`graph` with every node that depends on constants alone replaced by its result.

    - A result keeps its name, its format and its bits. It becomes a constant with data; a single
      number becomes a `constant` node, an immediate that moves no bytes; a tensor of one repeated
      number becomes an `expand` of such a node.
    - A view that makes a constant larger (`expand`) stays a view, and its operand is folded.
    - Equal computations are folded once.
    - Random numbers are not folded, and neither is a result of more than `limit_elements`.
    """
    folded = _Folded.of(graph, limit_elements)
    if not folded.producers:
        return graph
    outputs = rewired_outputs(graph, folded.renamed)
    demanded = {v.name for node in folded.kept for v in node.operands} | {v.name for v in outputs}
    emitted = _Emitted(FreshNames(graph.values), folded)
    for name, node in reversed(folded.producers.items()):
        if name in demanded and name not in emitted.done:
            demanded |= emitted.emit(node, demanded)
    constants = (*graph.constants, *reversed(emitted.constants))
    data = {**graph.data, **emitted.data}
    nodes = (*reversed(emitted.nodes), *folded.kept)
    return replace(graph, nodes=nodes, outputs=outputs, constants=constants, data=data)


@dataclass(frozen=True)
class _Folded:
    """What can be computed now.

    Attributes
    ----------
    producers : the folded node of each folded value, by value name, in order.
    kept : nodes that stay, reading the first of equal values.
    known : arrays of constants and folded values by name.
    renamed : the first of several equal values, by the names of the others.
    """

    producers: dict[str, Node]
    kept: tuple[Node, ...]
    known: Mapping[str, Any]
    renamed: Mapping[str, Value]

    @classmethod
    def of(cls, graph: Graph, limit_elements: int) -> _Folded:
        known = {v.name: graph.data[v.name] for v in graph.constants if v.name in graph.data}
        producers: dict[str, Node] = {}
        kept: list[Node] = []
        renamed: dict[str, Value] = {}
        first: dict[object, Node] = {}
        for original in graph.nodes:
            node = rewired(original, renamed)
            if not _can_fold(node, known, limit_elements):
                kept.append(node)
                continue
            equal = first.setdefault(_computation(node), node)
            if equal is not node:
                renamed.update((v.name, e) for v, e in zip(node.outputs, equal.outputs, strict=True))
                continue
            results = run_node(node, known)
            known.update((v.name, array) for v, array in zip(node.outputs, results, strict=True))
            producers.update((v.name, node) for v in node.outputs)
        return cls(producers, tuple(kept), known, renamed)


def _computation(node: Node) -> object:
    """What a node computes: equal for nodes with equal results."""
    attributes = {k: str(v) if isinstance(v, Graph) else repr(v) for k, v in node.attributes.items()}
    return node.op.name, tuple(v and v.name for v in node.inputs), tuple(attributes.items())


def _can_fold(node: Node, known: Mapping[str, Any], limit_elements: int) -> bool:
    if any(v.name not in known for v in node.operands):
        return False
    if any(v.type.elements > limit_elements for v in node.outputs):
        return False
    return bool(node.operands) or not any(s.body.get("random") for s in node.spaces)


class _Emitted:
    """What stands in the new graph for the folded values that it still needs; gathered backwards."""

    def __init__(self, fresh: FreshNames, folded: _Folded) -> None:
        self.fresh = fresh
        self.folded = folded
        self.done: set[str] = set()
        self.nodes: list[Node] = []
        self.constants: list[Value] = []
        self.data: dict[str, Any] = {}

    def emit(self, node: Node, demanded: set[str]) -> set[str]:
        """Put the node's demanded results into the graph; the names that this needs in turn."""
        self.done.update(v.name for v in node.outputs)
        if node.op.name == "constant" or _enlarges(node):
            self.nodes.append(node)
            return {v.name for v in node.operands}
        for value in node.outputs:
            if value.name in demanded:
                self._store(node, value, self.folded.known[value.name])
        return set()

    def _store(self, node: Node, value: Value, array: Any) -> None:
        if not _is_uniform(value, array):
            self.constants.append(value)
            self.data[value.name] = array if is_scaled(value.type.format) else _compact(array)
            return
        from siliform.graph_ir.ops import op_named

        scalar = (
            value
            if not value.type.rank
            else Value(self.fresh(f"{value.name}.value"), value.type.with_shape())
        )
        if value.type.rank:
            attributes = {"shape": value.type.shape}
            repeated = Node(op_named("expand"), (scalar,), (value,), attributes, node.module, node.source)
            self.nodes.append(repeated)
        number = {"value": np.asarray(array).flat[0].item(), "format": value.type.format.name}
        self.nodes.append(Node(op_named("constant"), (), (scalar,), number, node.module, node.source))


def _compact(array: np.ndarray) -> np.ndarray:
    """The array in memory of its own, no part of a larger one."""
    return np.array(array, order="C")


def _enlarges(node: Node) -> bool:
    if node.op.movement != "view" or len(node.outputs) != 1 or not node.operands:
        return False
    return node.output.type.elements > sum(v.type.elements for v in node.operands)


def _is_uniform(value: Value, array: Any) -> bool:
    """Whether one number, bit for bit, says it all."""
    format = value.type.format
    if is_scaled(format) or format.kind not in ("float", "integer", "boolean") or not value.type.elements:
        return False
    held = np.asarray(array)
    first = held.flat[:1]
    if not (held == first).all():
        return False
    return held.dtype.kind != "f" or bool((np.signbit(held) == np.signbit(first)).all())
