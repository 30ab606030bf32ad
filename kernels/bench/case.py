"""What is run: cases of `cases.toml`, each an op with its kernel, sizes, formats, options and seed."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from siliform.graph_ir.errors import UserError, nearest

CASES = Path(__file__).with_name("cases.toml")
#: `tiny` is checked by the interpreter on a CPU and never timed; `full` holds `quick`.
SUITES = ("tiny", "quick", "full")
#: Keys of a group that are no suite.
_KEYS = {"family", "op", "kernel", "axes", "formats", "options", "baselines", "seed", "energy"}


@dataclass(frozen=True)
class Case:
    """One op at one size.

    Attributes
    ----------
    kernel : ``file.function`` below `siliform.kernels.gpu`; None where only libraries run.
    baselines : names of what runs beside it; its family knows them.
    energy : whether energy is taken, which needs more than a second.
    """

    family: str
    op: str
    kernel: str | None
    sizes: Mapping[str, int]
    formats: Mapping[str, str]
    options: Mapping[str, Any]
    baselines: tuple[str, ...]
    seed: int
    energy: bool

    @property
    def name(self) -> str:
        """Family, op, formats, options and sizes: no two cases share it."""
        formats = ",".join(dict.fromkeys(self.formats.values()))
        words = [f"{self.family}/{self.op}", formats]
        words += [f"{k}={v}" for k, v in (*self.options.items(), *self.sizes.items())]
        return " ".join(words)

    @property
    def implementations(self) -> tuple[str, ...]:
        """Our kernel, where there is one, and then the baselines."""
        return (*(("siliform",) if self.kernel else ()), *self.baselines)


def load(path: Path = CASES) -> Mapping[str, tuple[Case, ...]]:
    """The cases of each suite, in the order in which they are run: `full` begins with all of `quick`."""
    groups = tomllib.loads(path.read_text(encoding="utf-8"))["group"]
    own = {suite: [c for group in groups for c in _cases(group, suite)] for suite in SUITES}
    return {"tiny": (*own["tiny"],), "quick": (*own["quick"],), "full": (*own["quick"], *own["full"])}


def _cases(group: Mapping[str, Any], suite: str) -> list[Case]:
    """The cases of a group that stand under that suite, a row of sizes each."""
    unknown = set(group) - _KEYS - set(SUITES)
    if unknown:
        raise ValueError(f"a group of {group.get('family')} with {', '.join(sorted(unknown))}")
    made = []
    for row in group.get(suite, ()):
        if len(row) != len(group["axes"]):
            raise ValueError(f"{group['family']}: {row} for the axes {', '.join(group['axes'])}")
        made.append(
            Case(
                family=group["family"],
                op=group["op"],
                kernel=group.get("kernel"),
                sizes=dict(zip(group["axes"], row, strict=True)),
                formats=group["formats"],
                options=group.get("options", {}),
                baselines=tuple(group.get("baselines", ())),
                seed=group["seed"],
                energy=group.get("energy", False),
            )
        )
    return made


def chosen(suite: str, only: Sequence[str] = ()) -> tuple[Case, ...]:
    """The cases of a suite, of some families alone where `only` names them; UserError for unknown names."""
    suites = load()
    if suite not in SUITES[1:]:
        raise UserError(
            asked=f"the suite {suite!r}",
            found="no suite of that name",
            where="--suite",
            next_step=f"use one of {', '.join(SUITES[1:])}",
        )
    cases = suites[suite]
    families = dict.fromkeys(c.family for c in suites["full"])
    for name in only:
        if name not in families:
            raise UserError(
                asked=f"the cases of {name!r}",
                found="no family of that name",
                where="--only",
                next_step=f"use {nearest(name, families, 1)}; there are {', '.join(families)}",
            )
    made = tuple(c for c in cases if not only or c.family in only)
    if not made:
        raise UserError(
            asked=f"the cases of {', '.join(only)} in the suite {suite}",
            found="none: they stand in the suite full",
            where="--only",
            next_step="add --suite full",
        )
    return made
