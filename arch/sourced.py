"""A number that knows where it is from, or that it is unknown and why."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import fsum


@dataclass(frozen=True)
class Sourced:
    """A quantity with provenance.

    Attributes
    ----------
    value : the number, or None where nobody has published or measured it. Never 0 for unknown.
    unit : "pJ", "pJ/B", "mm2", "um2", "W".
    source : publication, tool run or "assumption: <rule>"; where the value is None, the reason.
    """

    value: float | None
    unit: str
    source: str

    def __post_init__(self) -> None:
        if not self.source:
            raise ValueError(f"a number needs a source: {self.value} {self.unit}")
        if self.value is not None and not self.value >= 0:
            raise ValueError(f"{self.value} {self.unit} ({self.source}) is negative or not a number")

    @property
    def number(self) -> float:
        """The number; ValueError with the reason where there is none."""
        if self.value is None:
            raise ValueError(f"no number: {self.source}")
        return self.value

    @property
    def known(self) -> bool:
        """Whether there is a number."""
        return self.value is not None

    def times(self, factor: float, why: str = "", unit: str = "") -> Sourced:
        """The number times `factor`, in `unit`; `why` is added to the source. Unknown stays so."""
        if self.value is None:
            return Sourced(None, unit or self.unit, self.source)
        source = f"{self.source}; {why}" if why else self.source
        return Sourced(self.value * factor, unit or self.unit, source)


def unknown(unit: str, reason: str) -> Sourced:
    """A number that nobody has."""
    return Sourced(None, unit, reason)


def total(terms: Iterable[Sourced], unit: str) -> Sourced:
    """The sum of terms in one unit; unknown as soon as one term is, with that term's reason."""
    terms = list(terms)
    for term in terms:
        if term.unit != unit:
            raise ValueError(f"a sum in {unit} has a term in {term.unit} ({term.source})")
        if term.value is None:
            return unknown(unit, term.source)
    sources = dict.fromkeys(term.source for term in terms)
    return Sourced(fsum(term.number for term in terms), unit, " + ".join(sources) or "nothing there")
