"""Knobs: what may be chosen about a network, its number formats or its hardware.

Units, networks and quantisers declare knobs here, below every room that has some; a search gathers them
into one space. A knob is a finite list of values, so that a point of a space is a row of indices.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from siliform.graph_ir.errors import UserError, nearest

Value = bool | int | float | str


@dataclass(frozen=True)
class When:
    """A knob has a meaning only where another one, `knob`, has one of `values`."""

    knob: str
    values: tuple[Value, ...]


@dataclass(frozen=True)
class Knob:
    """One choice: a name, its values, and when it matters at all.

    Attributes
    ----------
    name : such as "array.rows", "depth" or "attention[3]".
    values : distinct, of one type (whole numbers and fractions may mix).
    ordered : whether neighbours among the values are alike, as numbers in increasing order are; of a knob
        that is not, a search may only compare for equality.
    when : the condition under which it is active; None means always. An inactive parent makes its
        children inactive.
    meaning : one line for documentation and reports.

    Raises
    ------
    UserError : no value, a value twice, numbers of an ordered knob that do not increase, mixed types.
    """

    name: str
    values: Sequence[Value]
    ordered: bool = False
    when: When | None = None
    meaning: str = ""

    def __post_init__(self) -> None:
        if isinstance(self.values, range):
            if not len(self.values) or self.values.step < 1:
                raise _refused(
                    self.name, f"{self.values!r}, which is empty or falls", "low <= high, step >= 1"
                )
            return
        object.__setattr__(self, "values", tuple(self.values))
        if not self.values:
            raise _refused(self.name, "no value", "at least one value")
        kinds = {_kind(value, self.name) for value in self.values}
        if len(kinds) > 1:
            raise _refused(
                self.name, f"values of several types: {', '.join(sorted(kinds))}", "values of one type"
            )
        twice = [value for value, count in Counter(self.values).items() if count > 1]
        if twice:
            raise _refused(self.name, f"{twice[0]!r} more than once", "each value once")
        if self.ordered and kinds == {"number"} and list(self.values) != sorted(self.values):
            raise _refused(self.name, f"{self.values}, which do not increase", "numbers in increasing order")

    def __len__(self) -> int:
        return len(self.values)

    def index(self, value: Value) -> int:
        """The position of a value; UserError if it is none of this knob's."""
        found = self._positions.get((isinstance(value, bool), value))
        if found is None:
            told = [str(each) for each in self.values[:1000]]
            raise UserError(
                asked=f"{self.name} = {value!r}",
                found="no value of that knob",
                where=f"knob {self.name}",
                next_step=f"use one of the nearest: {nearest(str(value), told)}",
            )
        return found

    @cached_property
    def _positions(self) -> Mapping[tuple[bool, Value], int]:
        return {(isinstance(value, bool), value): index for index, value in enumerate(self.values)}

    def under(self, prefix: str) -> Knob:
        """The same knob, and its condition, with `prefix` before the names."""
        when = None if self.when is None else replace(self.when, knob=prefix + self.when.knob)
        return replace(self, name=prefix + self.name, when=when)


def integer(
    name: str, low: int, high: int, step: int = 1, *, when: When | None = None, meaning: str = ""
) -> Knob:
    """Every `step`-th whole number from `low` to `high`, both inclusive."""
    if step < 1:
        raise _refused(name, f"a step of {step}", "a step of 1 or more")
    return Knob(name, range(low, high + 1, step), True, when, meaning)


def ordered(name: str, values: Iterable[Value], *, when: When | None = None, meaning: str = "") -> Knob:
    """Values of which neighbours are alike, such as powers of two."""
    return Knob(name, tuple(values), True, when, meaning)


def categorical(name: str, values: Iterable[Value], *, when: When | None = None, meaning: str = "") -> Knob:
    """Values without an order, such as dataflows."""
    return Knob(name, tuple(values), False, when, meaning)


def per_layer(knob: Knob, depth: Knob) -> tuple[Knob, ...]:
    """One knob a layer, ``name[0]``, ``name[1]``, ...; layer i is active where `depth` is above i.

    Raises
    ------
    UserError : a depth that is no knob of whole numbers; a knob with a condition of its own.
    """
    if knob.when is not None:
        raise _refused(
            knob.name, "a condition of its own", "a knob without one: its layers depend on the depth"
        )
    layers = [value for value in depth.values if isinstance(value, int) and not isinstance(value, bool)]
    if len(layers) != len(depth.values):
        raise _refused(
            knob.name, f"the depth {depth.name} with values {depth.values}", "a depth in whole numbers"
        )
    return tuple(
        replace(
            knob,
            name=f"{knob.name}[{layer}]",
            when=None if layer < min(layers) else When(depth.name, tuple(n for n in layers if n > layer)),
        )
        for layer in range(max(layers))
    )


def _kind(value: object, name: str) -> str:
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        if value != value:
            raise _refused(name, "NaN", "numbers that compare")
        return "number"
    if isinstance(value, str):
        return "text"
    raise _refused(name, f"{value!r}, a {type(value).__name__}", "numbers, text, or true and false")


def _refused(name: str, found: str, allowed: str) -> UserError:
    return UserError(asked=f"the knob {name}", found=found, where=f"knob {name}", next_step=f"give {allowed}")
