"""Parts in rows that a reader can take in: by module, layers that differ in their number only together."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from siliform.simulator.report import Part, Report


@dataclass(frozen=True)
class Row:
    """Parts that share a row, and how many modules of that name they come from."""

    name: str
    times: int
    parts: Sequence[Part]

    @property
    def cycles(self) -> int:
        """Sum of the parts'."""
        return sum(p.cycles for p in self.parts)


def by_layer(report: Report, limit: int) -> list[Row]:
    """A row per module, at the deepest depth of the module path that has at most `limit` of them."""
    found = _plain(report.grouped(1))
    for depth in range(2, _depth(report) + 1):
        rows = _plain(report.grouped(depth))
        if len(rows) > limit:
            break
        found = rows
    return found


def by_module(report: Report, limit: int, depth: int | None = None) -> list[Row]:
    """The same with layer numbers starred, so that 80 layers take one row; or at a given depth."""
    if depth is not None:
        return _starred(report.grouped(depth))
    found = _starred(report.grouped(1))
    for deeper in range(2, _depth(report) + 1):
        rows = _starred(report.grouped(deeper))
        if len(rows) > limit:
            break
        found = rows
    return found


def by_kind(report: Report) -> list[Row]:
    """A row per kind of work, the longest first."""
    rows = _plain(report.by("kind"))
    return sorted(rows, key=lambda row: -row.cycles)


def _depth(report: Report) -> int:
    return 1 + max((p.module.count(".") for p in report.parts), default=0)


def _plain(groups: Mapping[str, list[Part]]) -> list[Row]:
    return [Row(name, 1, parts) for name, parts in groups.items()]


def _starred(groups: Mapping[str, list[Part]]) -> list[Row]:
    alike: dict[str, list[str]] = {}
    for name in groups:
        alike.setdefault(re.sub(r"(?<=\.)\d+(?=\.|$)", "*", name), []).append(name)
    return [
        Row(pattern if len(names) > 1 else names[0], len(names), [p for n in names for p in groups[n]])
        for pattern, names in alike.items()
    ]
