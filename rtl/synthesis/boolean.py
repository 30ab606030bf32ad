"""Boolean functions as liberty files write them, read, evaluated and written as Verilog.

Operators by how tightly they bind: ``x'`` and ``!x``; ``^``; ``&``, ``*`` or nothing between; ``|`` or ``+``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import product

TOKEN = re.compile(r"\s*([A-Za-z_][\w\[\].]*|[01]|[!'^&*|+()])")
SIGNS = {"not": "~", "xor": "^", "and": "&", "or": "|"}


@dataclass(frozen=True)
class Function:
    """A function: `operator` is "name", "constant", "not", "xor", "and" or "or"; a leaf has a `leaf`."""

    operator: str
    parts: tuple[Function, ...] = ()
    leaf: str = ""

    def value(self, of: Mapping[str, bool]) -> bool:
        """Its value where names have these values."""
        if self.operator == "constant":
            return self.leaf == "1"
        if self.operator == "name":
            return of[self.leaf]
        values = [part.value(of) for part in self.parts]
        if self.operator == "not":
            return not values[0]
        return {"xor": sum(values) % 2 == 1, "and": all(values), "or": any(values)}[self.operator]

    def verilog(self, called: Callable[[str], str]) -> str:
        """The function in Verilog, with what `called` calls each name."""
        if self.operator == "constant":
            return f"1'b{self.leaf}"
        if self.operator == "name":
            return called(self.leaf)
        sign, parts = SIGNS[self.operator], [part.verilog(called) for part in self.parts]
        return f"~{parts[0]}" if self.operator == "not" else f"({f' {sign} '.join(parts)})"

    def names(self) -> tuple[str, ...]:
        """The names in it, each once, in their order."""
        own = (self.leaf,) if self.operator == "name" else ()
        return tuple(dict.fromkeys([*own, *(n for part in self.parts for n in part.names())]))

    def table(self) -> tuple[bool, ...]:
        """Its values over all inputs, the first name's slowest."""
        names = self.names()
        rows = product((False, True), repeat=len(names))
        return tuple(self.value(dict(zip(names, row, strict=True))) for row in rows)


def read_function(text: str) -> Function:
    """The function that a text tells; ValueError where it tells none."""
    tokens, at = [], 0
    while at < len(text.rstrip()):
        match = TOKEN.match(text, at)
        if match is None:
            raise ValueError(f"{text[at:]!r} in the function {text!r}")
        tokens.append(match[1])
        at = match.end()
    found, rest = _either(tokens)
    if rest:
        raise ValueError(f"{rest[0]!r} in the function {text!r}")
    return found


def _chain(
    operator: str, signs: str, below: Callable[[list[str]], tuple[Function, list[str]]], tokens: list[str]
) -> tuple[Function, list[str]]:
    """Operands of one operator; where `signs` has a blank, they may follow each other without a sign."""
    first, tokens = below(tokens)
    parts = [first]
    while tokens and (tokens[0] in signs or (" " in signs and tokens[0] not in "|+)^")):
        following, tokens = below(tokens[1:] if tokens[0] in signs else tokens)
        parts.append(following)
    return (parts[0] if len(parts) == 1 else Function(operator, tuple(parts))), tokens


def _either(tokens: list[str]) -> tuple[Function, list[str]]:
    return _chain("or", "|+", _both, tokens)


def _both(tokens: list[str]) -> tuple[Function, list[str]]:
    return _chain("and", "&* ", _odd, tokens)


def _odd(tokens: list[str]) -> tuple[Function, list[str]]:
    return _chain("xor", "^", _single, tokens)


def _single(tokens: list[str]) -> tuple[Function, list[str]]:
    """A name, a constant, a function in parentheses; with its negations."""
    if not tokens:
        raise ValueError("a function that ends too early")
    head, tokens = tokens[0], tokens[1:]
    if head == "!":
        found, tokens = _single(tokens)
        return Function("not", (found,)), tokens
    if head == "(":
        found, tokens = _either(tokens)
        if not tokens or tokens[0] != ")":
            raise ValueError("a parenthesis that is never closed")
        tokens = tokens[1:]
    elif head in ("0", "1"):
        found = Function("constant", leaf=head)
    elif re.match(r"[A-Za-z_]", head):
        found = Function("name", leaf=head)
    else:
        raise ValueError(f"{head!r} where an operand ought to be")
    while tokens and tokens[0] == "'":
        found, tokens = Function("not", (found,)), tokens[1:]
    return found, tokens
