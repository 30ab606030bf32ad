"""From a graph to its text."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from siliform.graph_ir.graph import Graph, Node, Value

#: Names that are written bare; any other is written as a JSON string.
BARE_NAME = re.compile(r"[A-Za-z0-9_.$/\-]+")

#: The word that declares each kind of given value, in printing order.
DECLARATIONS = (("inputs", "input"), ("states", "state"), ("parameters", "weight"), ("constants", "constant"))

_INDENT = "  "


def print_graph(graph: Graph) -> str:
    """The text of `graph`, ending in a newline; `parse_graph` gives an equal graph back.

    TypeError when an attribute is neither a JSON value nor a graph.
    """
    return "\n".join(_graph_lines(graph)) + "\n"


def print_node(node: Node) -> str:
    """The text of one node: a line, or several where it has a body."""
    return "\n".join(_node_lines(node))


def print_name(name: str) -> str:
    """A value's name as it is written, with its ``%``."""
    return f"%{name}" if BARE_NAME.fullmatch(name) else f"%{_string(name)}"


def _graph_lines(graph: Graph) -> Iterator[str]:
    yield f"graph {_string(graph.name)} {{"
    for kind, word in DECLARATIONS:
        for value in getattr(graph, kind):
            yield f"{_INDENT}{word} {_typed(value)}"
    for node in graph.nodes:
        for line in _node_lines(node):
            yield _INDENT + line
    results = ", ".join(print_name(v.name) for v in graph.outputs)
    yield f"{_INDENT}return {results}".rstrip()
    yield "}"


def _node_lines(node: Node) -> list[str]:
    results = ", ".join(_typed(v) for v in node.outputs)
    inputs = list(node.inputs)
    while inputs and inputs[-1] is None:
        inputs.pop()
    operands = ", ".join("_" if v is None else print_name(v.name) for v in inputs)
    text = f"{results} = {node.op.name}({operands})"
    if node.attributes:
        declared = [a.name for a in node.op.attributes if a.name in node.attributes]
        names = dict.fromkeys((*declared, *node.attributes))
        text += f" {{{', '.join(_attribute(node, k) for k in names)}}}"
    if node.module:
        text += f" @ {_string(node.module)}"
    if node.source:
        text += f" from {_string(node.source)}"
    return text.split("\n")


def _attribute(node: Node, name: str) -> str:
    try:
        return f"{name} = {_literal(node.attributes[name])}"
    except TypeError as error:
        raise TypeError(f"attribute {name!r} of {node!r} cannot be written: {error}") from error


def _literal(value: Any) -> str:
    if isinstance(value, Graph):
        return "\n".join(_graph_lines(value))
    return json.dumps(value, ensure_ascii=False, default=_plain)


def _plain(value: Any) -> Any:
    """What json does not know by itself: NumPy scalars and read-only mappings."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Sequence):
        return list(value)
    raise TypeError(f"{type(value).__name__} is neither a JSON value nor a graph")


def _typed(value: Value) -> str:
    return f"{print_name(value.name)} : {value.type}"


def _string(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
