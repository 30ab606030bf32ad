"""The graph: immutable dataflow in single-assignment form, and the builder that makes one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np

from siliform.graph_ir.arrays import hold, same_values
from siliform.graph_ir.errors import UserError
from siliform.graph_ir.opspec import OpSpec
from siliform.graph_ir.space import Space
from siliform.graph_ir.types import TensorType


@dataclass(frozen=True)
class Value:
    """One tensor of a graph: a name, unique in it, and a type."""

    name: str
    type: TensorType

    def __str__(self) -> str:
        return f"%{self.name}"


@dataclass(frozen=True, eq=False)
class Node:
    """One application of an op. Two nodes are never equal, however alike: each is a place in its graph.

    Attributes
    ----------
    inputs : operands in order; None for an optional one left out.
    outputs : results in order.
    attributes : complete (defaults filled in), plus ``numerics`` where a variant was chosen.
    module : the user's module path, such as ``encoder.layer.0.attention``.
    source : the user's source line, such as ``model.py:41``.
    times : for how many such nodes it stands, where only one of a loop's steady steps is spelt out
        (`siliform.graph_ir.passes.unroll`); 1 in every graph that can be run.
    """

    op: OpSpec
    inputs: tuple[Value | None, ...]
    outputs: tuple[Value, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)
    module: str = ""
    source: str = ""
    times: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "attributes", MappingProxyType(dict(self.attributes)))

    @property
    def output(self) -> Value:
        """The only result."""
        (value,) = self.outputs
        return value

    @property
    def operands(self) -> tuple[Value, ...]:
        """Inputs that are there."""
        return tuple(v for v in self.inputs if v is not None)

    @property
    def operand_types(self) -> tuple[TensorType | None, ...]:
        """Types of the inputs; None for an optional one left out."""
        return tuple(v.type if v else None for v in self.inputs)

    @property
    def name(self) -> str:
        """The name of the first result: unique in the graph."""
        return self.outputs[0].name

    @cached_property
    def spaces(self) -> tuple[Space, ...]:
        """The iteration spaces of this application."""
        plain = {k: v for k, v in self.attributes.items() if k != "numerics"}
        return tuple(self.op.spaces(*self.operand_types, **plain))

    @property
    def macs(self) -> int:
        """Multiply-accumulates executed (masked points left out)."""
        return self.times * sum(s.macs for s in self.spaces)

    @property
    def macs_dense(self) -> int:
        """Multiply-accumulates with masks ignored."""
        return self.times * sum(s.macs_dense for s in self.spaces)

    def __repr__(self) -> str:
        return f"<{', '.join(map(str, self.outputs))} = {self.op.name}>"


@dataclass(frozen=True, eq=False)
class Graph:
    """A dataflow graph.

    Two graphs are equal where they read the same and hold the same data: a graph equals what was saved of it
    and read again. What is `derived` from one is kept with that one and not shared with its equals.

    Attributes
    ----------
    inputs : what a caller hands in at every call.
    states : what lives across calls in memory, such as a KV cache; handed in after the inputs.
    parameters : trained weights, tied ones once.
    constants : buffers and folded values.
    nodes : in an order that defines every value before its use.
    outputs : results, in order.
    data : arrays of parameters and constants by value name; absent for a graph without weights.
    """

    name: str
    inputs: tuple[Value, ...]
    nodes: tuple[Node, ...]
    outputs: tuple[Value, ...]
    states: tuple[Value, ...] = ()
    parameters: tuple[Value, ...] = ()
    constants: tuple[Value, ...] = ()
    data: Mapping[str, Any] = field(default_factory=dict)

    @property
    def given(self) -> tuple[Value, ...]:
        """Every value that no node defines."""
        return (*self.inputs, *self.states, *self.parameters, *self.constants)

    @cached_property
    def producers(self) -> Mapping[str, Node]:
        """The node that defines each value, by value name."""
        return {v.name: n for n in self.nodes for v in n.outputs}

    @cached_property
    def consumers(self) -> Mapping[str, tuple[Node, ...]]:
        """The nodes that use each value, by value name, in order."""
        uses: dict[str, list[Node]] = {}
        for node in self.nodes:
            for value in dict.fromkeys(node.operands):
                uses.setdefault(value.name, []).append(node)
        return {name: tuple(nodes) for name, nodes in uses.items()}

    @cached_property
    def values(self) -> Mapping[str, Value]:
        """Every value by name."""
        return {v.name: v for v in (*self.given, *(o for n in self.nodes for o in n.outputs))}

    @property
    def macs(self) -> int:
        """Multiply-accumulates executed."""
        return sum(n.macs for n in self.nodes)

    @property
    def macs_dense(self) -> int:
        """Multiply-accumulates with masks ignored."""
        return sum(n.macs_dense for n in self.nodes)

    @property
    def parameter_count(self) -> int:
        """Number of trained parameters, tied ones once."""
        return sum(v.type.elements for v in self.parameters)

    @property
    def weight_bytes(self) -> int:
        """Stored bytes of the parameters, scales included, tied ones once."""
        return sum(v.type.bytes for v in self.parameters)

    def derived(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """``function(graph, *arguments)``, computed once for this graph and kept with it.

        For pure functions only. `arguments` must be hashable.
        """
        kept: dict[Any, Any] = self.__dict__.setdefault("_derived", {})
        key = (function, *arguments)
        if key not in kept:
            kept[key] = function(self, *arguments)
        return kept[key]

    def with_nodes(self, nodes: Sequence[Node], **changes: Any) -> Graph:
        """A copy with other nodes (and other fields)."""
        return replace(self, nodes=tuple(nodes), **changes)

    def to_networkx(self) -> Any:
        """A networkx.MultiDiGraph: a vertex per node and per given value, an edge per use.

        Vertices carry ``op``, ``module`` and ``source``; edges carry ``value``, ``shape``,
        ``format`` and ``bytes``.
        """
        import networkx

        drawn = networkx.MultiDiGraph(name=self.name)
        for value in self.given:
            drawn.add_node(value.name, op="given", module="", source="")
        for node in self.nodes:
            drawn.add_node(node.name, op=node.op.name, module=node.module, source=node.source)
            for value in node.operands:
                producer = self.producers.get(value.name)
                drawn.add_edge(
                    producer.name if producer else value.name,
                    node.name,
                    value=value.name,
                    shape=value.type.shape,
                    format=value.type.format.name,
                    bytes=value.type.bytes,
                )
        return drawn

    def is_same_as(self, other: Graph) -> bool:
        """Whether both read the same: equal text. Data is not compared."""
        return self is other or self._text == other._text

    def __eq__(self, other: object) -> bool:
        """Whether both read the same and hold the same data, as values of the formats that the text tells."""
        if not isinstance(other, Graph):
            return NotImplemented
        return self is other or (self.is_same_as(other) and self._holds_data_of(other))

    def __hash__(self) -> int:
        return hash(self._text)

    @cached_property
    def _text(self) -> str:
        return str(self)

    def _holds_data_of(self, other: Graph) -> bool:
        if self.data is other.data:
            return True
        types = {name: value.type for name, value in self.values.items() if name in self.data}
        return self.data.keys() == other.data.keys() and all(
            same_values(hold(self.data[name], type.format), hold(other.data[name], type.format))
            for name, type in types.items()
        )

    def __str__(self) -> str:
        from siliform.graph_ir.text import print_graph

        return print_graph(self)

    def __repr__(self) -> str:
        return f"<graph {self.name!r} of {len(self.nodes)} nodes>"


class Builder:
    """Makes a graph: declares what is given, applies ops, returns.

    >>> b = Builder("pair")
    >>> x = b.input("x", tensor("fp32", 4, 8))
    >>> w = b.parameter("w", tensor("fp32", 16, 8))
    >>> graph = b.finish(b(linear, x, w))
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._given: dict[str, list[Value]] = {k: [] for k in ("inputs", "states", "parameters", "constants")}
        self._nodes: list[Node] = []
        self._names = FreshNames()
        self._data: dict[str, Any] = {}
        self._module = ""
        self._source = ""

    def input(self, name: str, type: TensorType) -> Value:
        """Declare a value that the caller hands in."""
        return self._declare("inputs", name, type, None)

    def state(self, name: str, type: TensorType) -> Value:
        """Declare a value that lives across calls."""
        return self._declare("states", name, type, None)

    def parameter(self, name: str, type: TensorType, data: Any = None) -> Value:
        """Declare a trained weight, with or without its data."""
        return self._declare("parameters", name, type, data)

    def constant(self, name: str, type: TensorType, data: Any = None) -> Value:
        """Declare a buffer or folded value, with or without its data."""
        return self._declare("constants", name, type, data)

    def __call__(self, op: OpSpec, *operands: Value | None, name: str = "", **attributes: Any) -> Any:
        """Apply `op`; one Value, or a tuple of them where the op has several results."""
        filled = self._complete(op, attributes)
        trailing = sum(1 for o in op.operands if not o.variadic) - len(operands)
        inputs = (*operands, *[None] * max(trailing, 0))
        try:
            types = op.types(*(v.type if v else None for v in inputs), **filled)
        except (TypeError, ValueError, IndexError) as error:
            raise UserError(
                asked=f"{op.name}({', '.join(str(v.type) if v else '_' for v in inputs)}) with {filled}",
                found=str(error),
                where=self._source or self._module or f"graph {self.name!r}",
                next_step="give operands whose shapes agree with the op's shape rule",
            ) from error
        outputs = tuple(Value(self._fresh(name if i == 0 else ""), t) for i, t in enumerate(types))
        self._nodes.append(Node(op, inputs, outputs, filled, self._module, self._source))
        return outputs[0] if len(outputs) == 1 else outputs

    @contextmanager
    def at(self, module: str = "", source: str = "") -> Iterator[None]:
        """Mark the nodes made inside with a module path and a source line."""
        before = self._module, self._source
        self._module, self._source = module, source
        try:
            yield
        finally:
            self._module, self._source = before

    def finish(self, *outputs: Value) -> Graph:
        """The finished graph."""
        given = {kind: tuple(values) for kind, values in self._given.items()}
        return Graph(self.name, nodes=tuple(self._nodes), outputs=outputs, data=self._data, **given)

    def _complete(self, op: OpSpec, attributes: Mapping[str, Any]) -> dict[str, Any]:
        try:
            return op.complete(attributes)
        except TypeError as error:
            raise UserError(
                asked=f"{op.name} with {dict(attributes)}",
                found=str(error),
                where=self._source or self._module or f"graph {self.name!r}",
                next_step="give the attributes that the op declares",
            ) from error

    def _declare(self, kind: str, name: str, type: TensorType, data: Any) -> Value:
        value = Value(self._fresh(name), type)
        self._given[kind].append(value)
        if data is not None:
            if tuple(np.shape(data)) != type.shape:
                raise ValueError(f"data of {name!r} has shape {np.shape(data)}, its type {type.shape}")
            self._data[value.name] = data
        return value

    def _fresh(self, name: str) -> str:
        return self._names(name or str(len(self._names)))


class FreshNames:
    """Hands out names, none of them twice.

    A name that is taken gets the first free number behind it: ``x``, ``x_1``, ``x_2``.
    """

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._taken = set(taken)
        self._serials: dict[str, int] = {}

    def __call__(self, stem: str) -> str:
        """A name that begins with `stem` and was not given before."""
        name, serial = stem, self._serials.get(stem, 0)
        while name in self._taken:
            serial += 1
            name = f"{stem}_{serial}"
        self._serials[stem] = serial
        self._taken.add(name)
        return name

    def __len__(self) -> int:
        return len(self._taken)
