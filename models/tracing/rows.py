"""The answers of a long run as they come: a file of JSON Lines from which a stopped run continues."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from siliform.models.tracing.attempt import Attempt
from siliform.models.tracing.trials import Run


@dataclass(frozen=True)
class Rows:
    """A file with one answer a line; of several lines for one architecture the last holds.

    Attributes
    ----------
    path : of the file, which need not exist; None keeps nothing.
    versions : of the libraries; answers of other versions do not count.
    run : how architectures are tried; answers that it would better do not count.
    """

    path: Path | None
    versions: str
    run: Run

    def kept(self) -> dict[str, Attempt]:
        """The answers that count, by model type."""
        return {a.model_type: a for a in (Attempt.of(line["answer"]) for line in self._lines())}

    def _lines(self) -> Iterator[Mapping[str, Any]]:
        if self.path is None or not self.path.exists():
            return
        for text in self.path.read_text(encoding="utf-8").splitlines():
            try:
                line = json.loads(text)
            except json.JSONDecodeError:  # the line that a killed run was writing
                continue
            if self._counts(line):
                yield line

    def _counts(self, line: Mapping[str, Any]) -> bool:
        """Not with other libraries, uncompared where that is wanted, or given up earlier than now."""
        impatient = line["answer"]["outcome"] == "time" or "not compared within" in line["answer"]["found"]
        return (
            line["versions"] == self.versions
            and line["check"] >= self.run.check
            and not (impatient and line["timeout_s"] < self.run.timeout_s)
        )

    def keep(self, answer: Attempt) -> None:
        """Append one answer, on a line of its own even where the last line was cut short."""
        if self.path is None:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        line = {
            "versions": self.versions,
            "check": self.run.check,
            "timeout_s": self.run.timeout_s,
            "answer": asdict(answer),
        }
        with self.path.open("a+b") as file:
            size = file.seek(0, 2)
            file.seek(max(size - 1, 0))
            cut = size and file.read(1) != b"\n"
            file.write((b"\n" if cut else b"") + json.dumps(line).encode() + b"\n")
