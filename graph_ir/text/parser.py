"""From text to a graph, checking names, formats and shapes on the way."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from siliform.graph_ir.errors import UserError
from siliform.graph_ir.formats import Format, format_named
from siliform.graph_ir.graph import Graph, Node, Value
from siliform.graph_ir.opspec import OpSpec
from siliform.graph_ir.text.printer import BARE_NAME, DECLARATIONS
from siliform.graph_ir.text.scanner import Scanner
from siliform.graph_ir.types import TensorType

_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_FORMAT = re.compile(r"[A-Za-z0-9_]+(?:@[A-Za-z0-9_]+(?::[A-Za-z0-9_]+)?)?")
_EXTENT = re.compile(r"[0-9]+")
_FIELD_OF_WORD = {word: field for field, word in DECLARATIONS}


def parse_graph(text: str, place: str = "<text>", ops: Mapping[str, OpSpec] | None = None) -> Graph:
    """The graph that `text` describes; it holds no data.

    Parameters
    ----------
    text : as `print_graph` writes it.
    place : what errors call the text: its file.
    ops : the ops by name; the catalogue unless given.

    Raises
    ------
    UserError : with file, line, column, the line itself and a caret, when the text is not a graph, a
        name is unknown or used before its definition, or a type is not what the op's shape rule says.
    """
    if ops is None:
        from siliform.graph_ir.ops import OPS

        ops = OPS
    scanner = Scanner(text, place)
    graph = _Parser(scanner, ops, {}).graph()
    if scanner.blank() < len(text):
        scanner.fail("the end of the text", next_step="remove what follows the graph's closing '}'")
    return graph


class _Parser:
    """Reads one graph; a body inside it is read by a parser of its own on the same scanner."""

    def __init__(self, scanner: Scanner, ops: Mapping[str, OpSpec], formats: dict[str, Format]) -> None:
        self.scanner = scanner
        self.ops = ops
        self.formats = formats
        self.values: dict[str, Value] = {}

    def graph(self) -> Graph:
        scanner = self.scanner
        scanner.take("graph", "'graph'")
        name = scanner.take_string("the graph's name in quotes")
        scanner.take("{")
        given: dict[str, list[Value]] = {field: [] for field in _FIELD_OF_WORD.values()}
        while word := next((w for w in _FIELD_OF_WORD if scanner.take_if(w)), None):
            given[_FIELD_OF_WORD[word]].append(self._typed(declare=True)[0])
        nodes = []
        while scanner.next_is("%"):
            nodes.append(self._node())
        scanner.take("return", "a declaration, a node that begins with '%', or 'return'")
        outputs = [self._used()] if scanner.next_is("%") else []
        while outputs and scanner.take_if(","):
            outputs.append(self._used())
        scanner.take("}")
        return Graph(
            name,
            tuple(given["inputs"]),
            tuple(nodes),
            tuple(outputs),
            tuple(given["states"]),
            tuple(given["parameters"]),
            tuple(given["constants"]),
        )

    def _node(self) -> Node:
        scanner = self.scanner
        results = [self._typed()]
        while scanner.take_if(","):
            results.append(self._typed())
        scanner.take("=")
        op_at = scanner.blank()
        op = self._op()
        operands = self._operands(op, op_at)
        attributes = self._attributes(op, op_at)
        module = scanner.take_string("the module's path in quotes") if scanner.take_if("@") else ""
        source = scanner.take_string("the source line in quotes") if scanner.take_if("from") else ""
        self._check_types(op, operands, attributes, results, op_at)
        for value, at, _ in results:
            self._declare(value, at)
        return Node(op, operands, tuple(v for v, _, _ in results), attributes, module, source)

    def _op(self) -> OpSpec:
        at = self.scanner.blank()
        name = self.scanner.take_match(_WORD, "the name of an op")
        if name not in self.ops:
            self.scanner.fail_unknown("an op", name, self.ops, at=at)
        return self.ops[name]

    def _operands(self, op: OpSpec, op_at: int) -> tuple[Value | None, ...]:
        scanner = self.scanner
        found: list[Value | None] = []
        scanner.take("(")
        while not scanner.next_is(")"):
            if found:
                scanner.take(",", "',' or ')'")
            found.append(None if scanner.take_if("_") else self._used())
        scanner.take(")")
        declared = [o for o in op.operands if not o.variadic]
        needed = sum(1 for o in declared if not o.optional)
        if len(found) < needed or (len(found) > len(declared) and len(declared) == len(op.operands)):
            names = ", ".join(o.name + "?" * o.optional + "..." * o.variadic for o in op.operands)
            scanner.fail(f"{op.name}({names})", at=op_at, found=f"{op.name} with {len(found)} operands")
        return (*found, *[None] * (len(declared) - len(found)))

    def _attributes(self, op: OpSpec, op_at: int) -> dict[str, Any]:
        scanner = self.scanner
        given: dict[str, Any] = {}
        if scanner.take_if("{"):
            while not scanner.next_is("}"):
                if given:
                    scanner.take(",", "',' or '}'")
                name = self._attribute_name(op, given)
                scanner.take("=")
                given[name] = self._literal(op, name)
            scanner.take("}")
        try:
            return op.complete(given)
        except TypeError as error:
            declared = ", ".join(a.name for a in op.attributes)
            scanner.fail(f"{op.name} with its attributes ({declared})", at=op_at, found=str(error))

    def _attribute_name(self, op: OpSpec, given: Mapping[str, Any]) -> str:
        at = self.scanner.blank()
        name = self.scanner.take_match(_WORD, "the name of an attribute")
        known = [a.name for a in op.attributes] + ["numerics"] * bool(op.variants)
        if name in given:
            self.scanner.fail("another attribute", at=at, found=f"a second {name!r}")
        if name not in known:
            if not known:
                self.scanner.fail("'}'", at=at, found=f"{name!r}, though {op.name} has no attributes,")
            self.scanner.fail_unknown(f"an attribute of {op.name}", name, known, at=at)
        return name

    def _literal(self, op: OpSpec, name: str) -> Any:
        scanner = self.scanner
        if scanner.next_is("graph"):
            return _Parser(scanner, self.ops, self.formats).graph()
        at = scanner.blank()
        value = scanner.take_json("a JSON literal or a graph")
        if name == "numerics" and value not in op.variants:
            scanner.fail_unknown(f"a numeric variant of {op.name}", str(value), op.variants, at=at)
        return value

    def _check_types(
        self,
        op: OpSpec,
        operands: tuple[Value | None, ...],
        attributes: Mapping[str, Any],
        results: list[tuple[Value, int, int]],
        op_at: int,
    ) -> None:
        given = ", ".join(str(v.type) if v else "_" for v in operands)
        try:
            types = op.types(*(v.type if v else None for v in operands), **attributes)
        except UserError as error:
            self.scanner.fail(f"{op.name} with operands that fit", at=op_at, found=error.found)
        except (TypeError, ValueError, IndexError, AttributeError, ZeroDivisionError) as error:
            self.scanner.fail(f"{op.name} with operands that fit", at=op_at, found=f"{error} ({given})")
        if len(types) != len(results):
            self.scanner.fail(f"{len(types)} results of {op.name}", at=results[0][1], found=f"{len(results)}")
        for ruled, (value, _, type_at) in zip(types, results, strict=True):
            if ruled != value.type:
                step = f"write {ruled}, which the shape rule of {op.name} gives for {given}, or correct those"
                self.scanner.fail(str(ruled), at=type_at, found=str(value.type), next_step=step)

    def _typed(self, declare: bool = False) -> tuple[Value, int, int]:
        """A name with its type; the positions of both."""
        scanner = self.scanner
        at = scanner.blank()
        name = self._name()
        scanner.take(":", "':' and a type")
        type_at = scanner.blank()
        value = Value(name, self._type())
        if declare:
            self._declare(value, at)
        return value, at, type_at

    def _type(self) -> TensorType:
        scanner = self.scanner
        at = scanner.blank()
        name = scanner.take_match(_FORMAT, "a type such as fp32[2,3]")
        if name not in self.formats:
            try:
                self.formats[name] = format_named(name)
            except UserError as error:
                scanner.fail(
                    "the name of a number format", at=at, found=f"{name!r}", next_step=error.next_step
                )
        shape: list[int] = []
        scanner.take("[", "'[' and the shape")
        while not scanner.next_is("]"):
            if shape:
                scanner.take(",", "',' or ']'")
            shape.append(int(scanner.take_match(_EXTENT, "an extent of zero or more")))
        scanner.take("]")
        return TensorType(tuple(shape), self.formats[name])

    def _name(self) -> str:
        scanner = self.scanner
        scanner.take("%", "a value's name, which begins with '%',")
        if scanner.text.startswith('"', scanner.position):
            return scanner.take_string("a name in quotes")
        match = BARE_NAME.match(scanner.text, scanner.position)
        if match is None:
            scanner.fail("a name right after '%'", at=scanner.position)
        scanner.position = match.end()
        return match.group()

    def _declare(self, value: Value, at: int) -> None:
        if value.name in self.values:
            step = "give every value a name of its own"
            self.scanner.fail("a new name", at=at, found=f"{value.name!r} a second time", next_step=step)
        self.values[value.name] = value

    def _used(self) -> Value:
        at = self.scanner.blank()
        name = self._name()
        if name not in self.values:
            self.scanner.fail_unknown("a value defined above", name, self.values, at=at)
        return self.values[name]
