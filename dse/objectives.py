"""What a search wants: quantities to make small or large, and limits on others."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from siliform.graph_ir.errors import UserError

#: Quantities of which more is better wherever nothing else is said.
MAXIMISED = ("accuracy", "utilization")


@dataclass(frozen=True)
class Objective:
    """A quantity to make small, or large.

    Attributes
    ----------
    name : of a quantity that the problem yields, such as "latency_s".
    maximise : whether more is better.
    ideal, reference : the values that count as 0 and as 1 when fronts are compared; the hypervolume lies
        between the front and the reference. None: taken from the first round of a study, whose best and
        worst feasible values they then are.
    log : whether distances are measured on a logarithmic scale.

    Raises
    ------
    UserError : an ideal that is not better than the reference; a logarithm of numbers not above zero.
    """

    name: str
    maximise: bool = False
    ideal: float | None = None
    reference: float | None = None
    log: bool = False

    def __post_init__(self) -> None:
        for label, value in (("ideal", self.ideal), ("reference", self.reference)):
            if value is not None and (not math.isfinite(value) or (self.log and value <= 0)):
                raise self._refused(
                    f"{label} = {value}", "a number above zero" if self.log else "a finite number"
                )
        if self.ideal is not None and self.reference is not None:
            better = self.ideal > self.reference if self.maximise else self.ideal < self.reference
            if not better:
                raise self._refused(
                    f"ideal = {self.ideal}, reference = {self.reference}",
                    f"an ideal {'above' if self.maximise else 'below'} the reference",
                )

    def _refused(self, found: str, allowed: str) -> UserError:
        return UserError(
            asked=f"the objective {self.name}",
            found=found,
            where=f"objective {self.name}",
            next_step=f"give {allowed}",
        )

    def cost(self, values: np.ndarray) -> np.ndarray:
        """The values with less being better: their negatives where more is."""
        return -values if self.maximise else values

    def scaled(self, values: np.ndarray) -> np.ndarray:
        """0 at the ideal, 1 at the reference, linear (or logarithmic) between; both must be known."""
        assert self.ideal is not None
        assert self.reference is not None
        ends = np.array([self.ideal, self.reference])
        if self.log:
            with np.errstate(divide="ignore", invalid="ignore"):
                values, ends = np.log(values), np.log(ends)
        return np.asarray((values - ends[0]) / (ends[1] - ends[0]))


@dataclass(frozen=True)
class Constraint:
    """A limit that a design must keep: a quantity at most, or at least, a number or another quantity.

    Attributes
    ----------
    name : of a quantity that the problem yields, or of a hardware parameter.
    at_most, at_least : the limit, exactly one of the two; text names another quantity.
    """

    name: str
    at_most: float | str | None = None
    at_least: float | str | None = None

    def __post_init__(self) -> None:
        if (self.at_most is None) == (self.at_least is None):
            raise UserError(
                asked=f"a limit on {self.name}",
                found="no limit" if self.at_most is None else "two limits",
                where=f"constraint {self.name}",
                next_step="give either at_most or at_least",
            )

        limit = self.at_least if self.at_most is None else self.at_most
        if not isinstance(limit, str) and math.isnan(limit):  # type: ignore[arg-type]
            raise UserError(
                asked=f"a limit on {self.name}",
                found="NaN, which no design keeps",
                where=f"constraint {self.name}",
                next_step="give a number, or the name of another quantity",
            )

    @property
    def names(self) -> tuple[str, ...]:
        """The quantities that it reads."""
        return (self.name, *(limit for limit in (self.at_most, self.at_least) if isinstance(limit, str)))

    def violation(self, values: Mapping[str, np.ndarray]) -> np.ndarray:
        """By how much each design misses the limit, as a share of it (of 1 where the limit is 0); 0 where
        it keeps it.

        A value that is not known (NaN) breaks the limit infinitely.
        """
        limit = self.at_most if self.at_least is None else self.at_least
        bound = values[limit] if isinstance(limit, str) else np.float64(limit)
        over = values[self.name] - bound if self.at_least is None else bound - values[self.name]
        share = np.maximum(over, 0.0) / np.where(bound == 0, 1.0, np.abs(bound))
        return np.where(np.isnan(over), np.inf, np.where(over > 0, share, 0.0))

    def __str__(self) -> str:
        return (
            f"{self.name} <= {self.at_most}" if self.at_least is None else f"{self.name} >= {self.at_least}"
        )


def costs(objectives: Sequence[Objective], values: Mapping[str, np.ndarray]) -> np.ndarray:
    """The objectives of each design with less being better, float64 [designs, objectives]."""
    return np.stack([o.cost(np.asarray(values[o.name], float)) for o in objectives], axis=1)
