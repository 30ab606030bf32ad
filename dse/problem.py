"""What a search evaluates: rows of a space in, quantities out, and a reason where a design cannot be."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from siliform.dse.space import Space
from siliform.graph_ir.graph import Graph
from siliform.graph_ir.knobs import Knob, Value

#: Told of long work: what is being done, how much of it is done, how much there is.
Tell = Callable[[str, int, int], None]


@dataclass(frozen=True, eq=False)
class Results:
    """What some designs cost.

    Attributes
    ----------
    values : by quantity, float64 [designs]; NaN where a design has no such value.
    reasons : for each design, why it cannot exist or cannot run the network, or "".
    """

    values: Mapping[str, np.ndarray]
    reasons: Sequence[str]

    def __len__(self) -> int:
        return len(self.reasons)


class Problem(Protocol):
    """What can be asked of a design.

    Evaluation is in two steps, since they differ a thousandfold in price. `cost` is closed form, for many
    rows in one call. `measure` runs a network, say for its accuracy, once for each distinct setting of the
    knobs at `network` that is worth it. Both are deterministic, and a design that cannot be is a reason in
    the results, never an exception.
    """

    @property
    def space(self) -> Space:
        """What may be chosen."""

    @property
    def quantities(self) -> tuple[str, ...]:
        """Names of what `cost` yields."""

    @property
    def measured(self) -> tuple[str, ...]:
        """Names of what `measure` yields; empty where there is nothing to measure."""

    @property
    def network(self) -> tuple[int, ...]:
        """Positions, in a row, of the knobs that `measure` reads."""

    def cost(self, rows: np.ndarray) -> Results:
        """Closed form of canonical rows, int64 [designs, knobs]."""

    def measure(self, row: np.ndarray) -> Mapping[str, float]:
        """Quantities of the network of one row, int64 [knobs]; the other knobs do not matter."""


class Network(Protocol):
    """A network that a search can vary; `models` has some.

    Making one is cheap and it pickles small: what it needs to measure is loaded at first use, in each
    process.
    """

    @property
    def name(self) -> str:
        """For reports."""

    def knobs(self) -> tuple[Knob, ...]:
        """What may be chosen about it."""

    def prepare(self, folder: Path, progress: Tell) -> None:
        """Train, or load from `folder`, what `measure` needs."""

    def graph(self, choices: Mapping[str, Value]) -> Graph:
        """The network of these choices as it is deployed, its number formats assigned."""

    def measure(self, choices: Mapping[str, Value]) -> Mapping[str, float]:
        """Measured quantities, such as "accuracy" on a held-out split with its interval."""

    def full(self) -> Mapping[str, Value]:
        """The choices of the largest network in its widest formats: what savings are measured against."""
