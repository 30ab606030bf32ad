"""What is told of a run that is through: an object, a text and an exit status."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from siliform.kernels.bench import measurement, summary
from siliform.kernels.bench.case import chosen
from siliform.kernels.bench.runner import Outcome


@dataclass(frozen=True)
class Told:
    """`status` 0 where all that was asked is measured or refused, else 1."""

    object: Mapping[str, Any]
    text: str
    status: int


def told_run(outcome: Outcome, suite: str, only: Sequence[str]) -> Told:
    """Of what was asked, as the file has it now: what earlier runs wrote there counts as well."""
    asked = {case.name for case in chosen(suite, only)}
    held = measurement.read(outcome.path) if outcome.path.exists() else ()
    found = tuple(m for m in held if m.case in asked)
    left = [case.name for case in outcome.left]
    made: dict[str, Any] = {
        "format": "siliform-gpu-bench",
        "version": 1,
        "suite": suite,
        "only": list(only),
        "file": str(outcome.path),
        "device": dict(found[0].device) if found else None,
        "written": len(outcome.written),
        "left": left,
        **summary.summary(found),
    }
    words = [summary.text(found), f"{len(outcome.written)} lines added to {outcome.path}\n"]
    if left:
        words.append(
            f"the time budget left {len(left)} cases: the same command with --out {outcome.path} goes on\n"
        )
    return Told(made, "".join(words), 1 if left or summary.bad(found) else 0)
