"""The Liberty format as it is written: groups of attributes and groups."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

TOKEN = re.compile(r'"((?:[^"\\]|\\.|\\\n)*)"|([^\s"{}();:,\\]+)|([{}();:,\n])')
COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)


@dataclass(frozen=True)
class Group:
    """``name (arguments) { attributes and groups }``; an attribute holds its values in a list."""

    name: str
    arguments: tuple[str, ...]
    attributes: Mapping[str, tuple[str, ...]]
    groups: tuple[Group, ...]

    def of(self, name: str) -> Iterator[Group]:
        """The groups of that name."""
        return (group for group in self.groups if group.name == name)

    def text(self, name: str, otherwise: str = "") -> str:
        """The first value of an attribute."""
        return self.attributes.get(name, (otherwise,))[0]

    def number(self, name: str, otherwise: float = 0.0) -> float:
        """An attribute that is a number."""
        return float(self.text(name, str(otherwise)))


def parsed(text: str) -> Group:
    """The library in a text; ValueError where there is none or it breaks off."""
    reader = _Reader(COMMENT.sub(" ", text.replace("\\\n", " ")))
    while reader.left:
        if reader.next() == ("word", "library") and reader.peek() == "(":
            reader.next()
            arguments = reader.arguments()
            reader.skip_lines()
            reader.next()  # the brace that opens it
            return reader.group("library", arguments)
    raise ValueError("no library in it")


class _Reader:
    """Tokens, the position among them, and what can be read from there."""

    def __init__(self, text: str) -> None:
        kinds = {1: "text", 2: "word", 3: "sign"}
        self._tokens = [(kinds[m.lastindex or 3], m[m.lastindex or 3]) for m in TOKEN.finditer(text)]
        self._at = 0

    @property
    def left(self) -> bool:
        return self._at < len(self._tokens)

    def peek(self) -> str:
        """The sign that comes next; empty where a word does."""
        self.skip_lines()
        kind, word = self._tokens[self._at] if self.left else ("sign", "the end")
        return word if kind == "sign" else ""

    def next(self) -> tuple[str, str]:
        if not self.left:
            raise ValueError("a group that is never closed")
        self._at += 1
        return self._tokens[self._at - 1]

    def skip_lines(self) -> None:
        while self.left and self._tokens[self._at] == ("sign", "\n"):
            self._at += 1

    def arguments(self) -> tuple[str, ...]:
        """What lies between an open parenthesis, which was read, and the one that closes it."""
        found: list[str] = []
        while (token := self.next()) != ("sign", ")"):
            if token[0] != "sign":
                found.append(token[1])
        return tuple(found)

    def value(self) -> str:
        """A simple attribute's value: up to a semicolon, the end of the line or of the group."""
        self.skip_lines()
        words: list[str] = []
        while self._tokens[self._at] not in (("sign", "\n"), ("sign", ";"), ("sign", "}")):
            words.append(self.next()[1])
        return " ".join(words)

    def group(self, name: str, arguments: tuple[str, ...]) -> Group:
        """A group behind its open brace, up to the one that closes it."""
        attributes: dict[str, tuple[str, ...]] = {}
        groups: list[Group] = []
        while True:
            kind, word = self.next()
            if (kind, word) == ("sign", "}"):
                return Group(name, arguments, attributes, tuple(groups))
            if kind == "sign":
                continue
            sign = self.peek()
            if sign not in (":", "("):
                raise ValueError(f"neither a value nor a group behind {word!r} in the group {name}")
            self.next()
            if sign == ":":
                attributes[word] = (self.value(),)
                continue
            values = self.arguments()
            if self.peek() == "{":
                self.next()
                groups.append(self.group(word, values))
            else:
                attributes[word] = values
