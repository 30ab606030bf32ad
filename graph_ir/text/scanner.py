"""Reading a text piece by piece, with errors that point at the place."""

from __future__ import annotations

import re
from collections.abc import Iterable
from json import JSONDecodeError, JSONDecoder
from typing import Any, NoReturn

from siliform.graph_ir.errors import UserError, nearest

_BLANK = re.compile(r"(?:[ \t\r\n]+|#[^\n]*)*")
_PIECE = re.compile(r'"(?:[^"\\\n]|\\.)*"|[%A-Za-z0-9_.$/@\-]+|.')
_DECODER = JSONDecoder()


class Scanner:
    """A position in a text. Every `take_*` skips blanks and comments first.

    `place` names the text in errors: a file, or what the caller calls it.
    """

    def __init__(self, text: str, place: str) -> None:
        self.text = text
        self.place = place
        self.position = 0

    def blank(self) -> int:
        """Skip blanks and comments; the position after them."""
        match = _BLANK.match(self.text, self.position)
        assert match is not None
        self.position = match.end()
        return self.position

    def next_is(self, mark: str) -> bool:
        """Whether `mark` comes next (and, where it is a word, ends there)."""
        start = self.blank()
        if not self.text.startswith(mark, start):
            return False
        after = self.text[start + len(mark) : start + len(mark) + 1]
        return not (mark[-1].isalnum() and (after.isalnum() or after == "_"))

    def take_if(self, mark: str) -> bool:
        """Step over `mark` where it comes next."""
        if not self.next_is(mark):
            return False
        self.position += len(mark)
        return True

    def take(self, mark: str, expected: str = "") -> None:
        """Step over `mark`, or fail naming what was expected."""
        if not self.take_if(mark):
            self.fail(expected or repr(mark))

    def take_match(self, pattern: re.Pattern[str], expected: str) -> str:
        """Step over what `pattern` matches."""
        match = pattern.match(self.text, self.blank())
        if match is None:
            self.fail(expected)
        self.position = match.end()
        return match.group()

    def take_json(self, expected: str) -> Any:
        """Step over one JSON value (lists come back as tuples)."""
        start = self.blank()
        try:
            value, self.position = _DECODER.raw_decode(self.text, start)
        except JSONDecodeError as error:
            self.fail(expected, at=max(start, min(error.pos, len(self.text))))
        except RecursionError:
            self.fail("a literal nested less deeply", at=start)
        return frozen(value)

    def take_string(self, expected: str) -> str:
        """Step over a JSON string."""
        if not self.next_is('"'):
            self.fail(expected)
        return str(self.take_json(expected))

    def fail(self, expected: str, *, at: int | None = None, found: str = "", next_step: str = "") -> NoReturn:
        """Raise a UserError at a position: file, line, column, the line and a caret."""
        where = self.blank() if at is None else at
        line = self.text.count("\n", 0, where) + 1
        start = self.text.rfind("\n", 0, where) + 1
        end = self.text.find("\n", where)
        shown = self.text[start : len(self.text) if end < 0 else end].replace("\t", " ").rstrip("\r")
        caret = " " * (where - start) + "^"
        raise UserError(
            asked=f"the graph in {self.place}",
            found=f"{found or self._piece(where)} where {expected} is expected",
            where=f"{self.place}:{line}:{where - start + 1}\n  {shown}\n  {caret}",
            next_step=next_step or "correct that line; siliform.graph_ir.text describes the text form",
        )

    def fail_unknown(self, what: str, name: str, known: Iterable[str], *, at: int) -> NoReturn:
        """Raise a UserError about a name that nothing has, with the nearest names."""
        names = list(known)
        step = (
            f"use one of the nearest: {nearest(name, names)}" if names else f"declare {name} before its use"
        )
        self.fail(f"the name of {what}", at=at, found=f"the unknown name {name!r}", next_step=step)

    def _piece(self, where: int) -> str:
        match = _PIECE.match(self.text, where)
        if match is None:
            return "the end of the line" if where < len(self.text) else "the end of the text"
        return repr(match.group())


def frozen(value: Any) -> Any:
    """A JSON value with tuples for lists."""
    if isinstance(value, list):
        return tuple(frozen(v) for v in value)
    if isinstance(value, dict):
        return {k: frozen(v) for k, v in value.items()}
    return value
