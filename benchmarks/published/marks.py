"""Tables of a page between marks, so that a program can write them anew and a test compare them.

A mark is an HTML comment on a line of its own, which no reader sees::

    <!-- NAME: begin -->
    what is written
    <!-- NAME: end -->
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

BEGIN, END = "<!-- {}: begin -->\n", "<!-- {}: end -->\n"


def marked(name: str, inner: str) -> str:
    """A text, which ends with a line's end, between the marks of a name."""
    return f"{BEGIN.format(name)}{inner}{END.format(name)}"


def shown(page: Path, name: str) -> str:
    """What the page shows of a name, marks included; empty where it has no such marks."""
    begin, end = BEGIN.format(name), END.format(name)
    _, found, rest = page.read_text(encoding="utf-8").partition(begin)
    inner, closed, _ = rest.partition(end)
    return f"{begin}{inner}{end}" if found and closed else ""


def replace(page: Path, parts: Mapping[str, str]) -> None:
    """Put marked texts in the place of those of their names; the rest of the page stays.

    Raises
    ------
    ValueError : a name of which the page has no marks.
    """
    text = page.read_text(encoding="utf-8")
    for name, part in parts.items():
        before = shown(page, name)
        if not before:
            raise ValueError(f"{page} has no marks of {name}")
        text = text.replace(before, part)
    page.write_text(text, encoding="utf-8")
