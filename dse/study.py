"""A study: what is searched, for what, by which engine, from which seed and for how long."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from siliform.arch.parameter import Table
from siliform.dse.objectives import Constraint, Objective
from siliform.graph_ir.errors import UserError

_BUDGET = re.compile(r"(\d+(?:\.\d+)?)\s*(s|sec|seconds?|m|min|minutes?|h|hours?)?")
_SECONDS = Table({"s": 1.0, "m": 60.0, "h": 3600.0})


@dataclass(frozen=True)
class Budget:
    """When a study ends: after so many evaluations, or after so much time; whichever is given.

    A study with a count of evaluations asks the same points whatever machine it runs on; one with a time
    does not.
    """

    evaluations: int | None = None
    seconds: float | None = None

    @staticmethod
    def parse(given: int | str, where: str = "--budget") -> Budget:
        """``500`` evaluations, or a time: ``90s``, ``2min``, ``1.5h``. UserError for anything else."""
        text = str(given).strip().lower()
        match = _BUDGET.fullmatch(text)
        if match and not isinstance(given, bool) and float(match[1]) > 0:
            if match[2]:
                return Budget(seconds=float(match[1]) * _SECONDS[match[2][0]])
            if "." not in match[1]:
                return Budget(evaluations=int(match[1]))
        raise UserError(
            asked=f"a budget of {given!r}",
            found="neither a whole number of evaluations above 0 nor a time",
            where=where,
            next_step='give a number such as 500, or a time such as "90s", "2min" or "1h"',
        )

    def __str__(self) -> str:
        return f"{self.seconds:g} s" if self.evaluations is None else f"{self.evaluations:,} evaluations"


@dataclass(frozen=True)
class Study:
    """One search.

    Attributes
    ----------
    name : of the study, for reports.
    objectives : one to make a ranking, more to make a front.
    constraints : limits that every design on the front keeps.
    engine, options : who asks (see `dse.engines`), and its settings by name.
    seed : of every random choice.
    budget : when to stop.
    confirm : how many designs of the front are simulated by events at the end.
    subject : what is evaluated, as plain data (network, design, bits, ...): with the space it decides whether
        a store holds answers to the same questions.
    """

    name: str
    objectives: tuple[Objective, ...]
    constraints: tuple[Constraint, ...] = ()
    engine: str = "nsga2"
    options: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    budget: Budget = Budget(evaluations=1000)
    confirm: int = 0
    subject: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "options", Table(dict(self.options)))
        object.__setattr__(self, "subject", Table(dict(self.subject)))
        names = [objective.name for objective in self.objectives]
        twice = [name for name in names if names.count(name) > 1]
        if not names or twice:
            raise UserError(
                asked=f"the study {self.name}",
                found=f"the objective {twice[0]} twice" if twice else "no objective",
                where=f"study {self.name}",
                next_step="name each objective once" if twice else "name at least one, such as latency_s",
            )
