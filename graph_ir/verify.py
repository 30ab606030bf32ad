"""What makes a graph legal, as a table of named rules, each with its own check.

Passes assume a graph that keeps all of them and must leave one that does. The rules look at the
graph alone; whether a machine can run it is the mapper's question.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from siliform.graph_ir.arrays import held_dtype, is_scaled
from siliform.graph_ir.errors import UserError
from siliform.graph_ir.formats import Quantised
from siliform.graph_ir.graph import Graph, Node, Value

_SHAPE_RULE_FAULTS = (TypeError, ValueError, IndexError, AttributeError, ZeroDivisionError, UserError)


@dataclass(frozen=True)
class Rule:
    """One rule: `meaning` is what holds in every legal graph; `check` yields what breaks it."""

    name: str
    meaning: str
    check: Callable[[Graph], Iterator[str]]


@dataclass(frozen=True)
class Violation:
    """One breach of one rule."""

    rule: str
    message: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.message}"


class InvalidGraphError(UserError):
    """A graph that breaks rules; `violations` holds every breach."""

    def __init__(self, graph: Graph, violations: tuple[Violation, ...]) -> None:
        self.violations = violations
        super().__init__(
            asked=f"a legal graph {graph.name!r}",
            found="\n  ".join([f"{len(violations)} violation(s)", *map(str, violations)]),
            where=f"graph {graph.name!r}",
            next_step="correct the graph; siliform.graph_ir.verify.RULES says what each rule means",
        )


def violations(graph: Graph) -> tuple[Violation, ...]:
    """Every breach of every rule, in the order of the table."""
    return tuple(Violation(rule.name, message) for rule in RULES for message in rule.check(graph))


def verify(graph: Graph) -> Graph:
    """`graph` itself when it is legal; InvalidGraphError listing every violation otherwise."""
    found = violations(graph)
    if found:
        raise InvalidGraphError(graph, found)
    return graph


def _single_assignment(graph: Graph) -> Iterator[str]:
    seen: set[str] = set()
    for value in (*graph.given, *(v for n in graph.nodes for v in n.outputs)):
        if value.name in seen:
            yield f"{value} is defined more than once"
        seen.add(value.name)


def _defined_before_use(graph: Graph) -> Iterator[str]:
    defined: dict[str, Value] = {v.name: v for v in graph.given}
    for node in graph.nodes:
        for value in node.operands:
            yield from _use(value, defined, _at(node))
        defined.update((v.name, v) for v in node.outputs)


def _outputs_defined(graph: Graph) -> Iterator[str]:
    for value in graph.outputs:
        yield from _use(value, graph.values, "the graph's results")


def _use(value: Value, defined: Mapping[str, Value], place: str) -> Iterator[str]:
    definition = defined.get(value.name)
    if definition is None:
        yield f"{value} is used in {place}, but not defined before"
    elif definition.type != value.type:
        yield f"{value} is used as {value.type} in {place}, but defined as {definition.type}"


def _known_op(graph: Graph) -> Iterator[str]:
    from siliform.graph_ir.ops import OPS

    for node in graph.nodes:
        if OPS.get(node.op.name) is not node.op:
            yield f"{_at(node)}: the catalogue has another op, or none, of that name"


def _operand_count(graph: Graph) -> Iterator[str]:
    for node in graph.nodes:
        declared = [o for o in node.op.operands if not o.variadic]
        variadic = len(declared) != len(node.op.operands)
        if len(node.inputs) < len(declared) or (len(node.inputs) > len(declared) and not variadic):
            yield f"{_at(node)} has {len(node.inputs)} operands; it takes {len(declared)}{'+' * variadic}"
        for operand, value in zip(declared, node.inputs, strict=False):
            if value is None and not operand.optional:
                yield f"{_at(node)} leaves out the operand {operand.name!r}"
        if None in node.inputs[len(declared) :]:
            yield f"{_at(node)} leaves out one of a variable number of operands"


def _attributes(graph: Graph) -> Iterator[str]:
    for node in graph.nodes:
        try:
            complete = node.op.complete(node.attributes)
        except TypeError as error:
            yield f"{_at(node)}: {error}"
            continue
        missing = sorted(set(complete) - set(node.attributes))
        if missing:
            yield f"{_at(node)} does not state the attributes {missing}"
        for name, value in node.attributes.items():
            if not _is_literal(value):
                yield f"{_at(node)}: attribute {name!r} is a {type(value).__name__}, which has no text form"


def _is_literal(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(map(_is_literal, value))
    if isinstance(value, Mapping):
        return all(isinstance(k, str) and _is_literal(v) for k, v in value.items())
    return value is None or isinstance(value, bool | int | float | str | np.generic | Graph)


def _shape_rule(graph: Graph) -> Iterator[str]:
    for node in graph.nodes:
        try:
            types = node.op.types(*node.operand_types, **node.attributes)
        except _SHAPE_RULE_FAULTS as error:
            reason = error.found if isinstance(error, UserError) else error
            yield f"{_at(node)}: the shape rule refuses the operands: {reason}"
            continue
        if types != tuple(v.type for v in node.outputs):
            ruled, stated = (", ".join(map(str, ts)) for ts in (types, [v.type for v in node.outputs]))
            yield f"{_at(node)} states {stated}; the shape rule gives {ruled}"


def _data(graph: Graph) -> Iterator[str]:
    types = {v.name: v.type for v in (*graph.parameters, *graph.constants)}
    for name, array in graph.data.items():
        if name not in types:
            yield f"data of {name!r}, which is neither a parameter nor a constant"
            continue
        type = types[name]
        shape = tuple(getattr(array, "shape", np.shape(array)))
        if shape != type.shape:
            yield f"data of %{name} has the shape {list(shape)}; its type is {type}"
        if is_scaled(type.format) != isinstance(array, Quantised):
            yield f"data of %{name} is a {_kind_of(array)}; its type is {type}"
        elif isinstance(array, Quantised):
            if array.format != type.format:
                yield f"data of %{name} is in {array.format}; its type is {type}"
        elif (dtype := np.asarray(array).dtype) != held_dtype(type.format):
            yield f"data of %{name} is held as {dtype}, not {held_dtype(type.format)} ({type})"


def _kind_of(array: Any) -> str:
    return (
        f"{array.format} tensor" if isinstance(array, Quantised) else f"plain {np.asarray(array).dtype} array"
    )


def _append_once(graph: Graph) -> Iterator[str]:
    writers: dict[str, Node] = {}
    for node in graph.nodes:
        if node.op.movement == "append" and node.inputs and node.inputs[0] is not None:
            first = writers.setdefault(node.inputs[0].name, node)
            if first is not node:
                yield f"{_at(node)} appends in place to {node.inputs[0]}, and so does {_at(first)}"


def _bodies(graph: Graph) -> Iterator[str]:
    for node in graph.nodes:
        for name, body in node.attributes.items():
            if not isinstance(body, Graph):
                continue
            for violation in violations(body):
                yield f"{_at(node)}, {name} {body.name!r}: {violation}"
            if body.states or body.parameters or body.constants or body.data:
                yield f"{_at(node)}, {name} {body.name!r}: a body takes everything as an input"
            inner = [v.type for v in body.inputs]
            whole = node.op.name != "loop"  # whose steps take a part of some; its shape rule checks that
            if whole and inner != [v.type for v in node.operands]:
                yield f"{_at(node)}, {name} {body.name!r}: the inputs are not of the operands' types"


def _at(node: Node) -> str:
    return f"{node!r}" + f" from {node.source}" * bool(node.source)


#: The legality table.
RULES = (
    Rule("single_assignment", "every value is defined exactly once", _single_assignment),
    Rule("defined_before_use", "an operand is given or the result of an earlier node", _defined_before_use),
    Rule("outputs_defined", "every result of the graph is a defined value", _outputs_defined),
    Rule("known_op", "the catalogue names the op, so that the text form means the same", _known_op),
    Rule("operand_count", "required operands are there, and no more than declared", _operand_count),
    Rule("attributes", "every attribute is declared, stated and can be written", _attributes),
    Rule("shape_rule", "results have the types that the op's shape rule gives", _shape_rule),
    Rule("data", "data belongs to a parameter or constant and is held as its type says", _data),
    Rule("append_once", "a cache is appended to in place at most once", _append_once),
    Rule("bodies", "a nested graph is legal itself and takes the operands' types", _bodies),
)
