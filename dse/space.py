"""The space of a search: knobs, some of which matter only where others have certain values.

A point is a mapping from the names of its active knobs to their values. A search works on *rows* instead:
one index per knob, int64, inactive ones zero. A row in that form is canonical: equal points have equal rows.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from json import dumps
from typing import Any

import numpy as np

from siliform.graph_ir.errors import UserError, nearest
from siliform.graph_ir.knobs import Knob, Value

#: A design by what was chosen: the values of its active knobs by name.
DesignPoint = Mapping[str, Value]


@dataclass(frozen=True)
class Space:
    """Knobs, each with its condition.

    Raises
    ------
    UserError : no knob, a name twice, a condition on an unknown knob, on values that it never has, or on
        a knob that in turn depends on this one.
    """

    knobs: tuple[Knob, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "knobs", tuple(self.knobs))
        if not self.knobs:
            raise _refused("a space without a knob", "no choice at all", "give at least one knob")
        names = [knob.name for knob in self.knobs]
        for knob in self.knobs:
            if names.count(knob.name) > 1:
                raise _refused(f"the knob {knob.name}", "two knobs of that name", "name each knob once")
            if knob.when is not None:
                self._check_condition(knob)
        _ = self.order

    def _check_condition(self, knob: Knob) -> None:
        assert knob.when is not None
        if knob.when.knob not in self.positions:
            near = nearest(knob.when.knob, self.names)
            raise _refused(
                f"the knob {knob.name} when {knob.when.knob} has certain values",
                f"no knob {knob.when.knob!r}",
                f"use one of the nearest: {near}",
            )
        if not knob.when.values:
            raise _refused(f"the knob {knob.name}", "a condition without values", "name at least one value")
        for value in knob.when.values:
            self.knobs[self.positions[knob.when.knob]].index(value)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The knobs' names, in the order of a row."""
        return tuple(knob.name for knob in self.knobs)

    @cached_property
    def positions(self) -> Mapping[str, int]:
        """Where each knob stands in a row."""
        return {knob.name: position for position, knob in enumerate(self.knobs)}

    @cached_property
    def cardinalities(self) -> np.ndarray:
        """Number of values of each knob, int64 [knobs]."""
        return np.array([len(knob) for knob in self.knobs], np.int64)

    @cached_property
    def parents(self) -> tuple[int, ...]:
        """The position of the knob that each one depends on, or -1."""
        return tuple(-1 if k.when is None else self.positions[k.when.knob] for k in self.knobs)

    @cached_property
    def order(self) -> tuple[int, ...]:
        """Positions with every knob behind the one that it depends on."""
        found: list[int] = []
        left = list(range(len(self.knobs)))
        while left:
            ready = [p for p in left if self.parents[p] == -1 or self.parents[p] in found]
            if not ready:
                circle = ", ".join(self.names[p] for p in left)
                raise _refused(f"the knobs {circle}", "conditions in a circle", "let one of them be free")
            found += ready
            left = [p for p in left if p not in ready]
        return tuple(found)

    @cached_property
    def _opens(self) -> tuple[np.ndarray, ...]:
        """For each knob, which values of the one it depends on make it active, bool [values]."""
        masks = []
        for knob in self.knobs:
            if knob.when is None:
                masks.append(np.ones(1, bool))
                continue
            parent = self.knobs[self.positions[knob.when.knob]]
            mask = np.zeros(len(parent), bool)
            mask[[parent.index(value) for value in knob.when.values]] = True
            masks.append(mask)
        return tuple(masks)

    # -- size, and points by number ------------------------------------------------------------------

    @cached_property
    def size(self) -> int:
        """How many different points there are, exactly."""
        return math.prod(self._counts[p][-1] for p, parent in enumerate(self.parents) if parent == -1)

    @cached_property
    def _children(self) -> tuple[tuple[int, ...], ...]:
        return tuple(
            tuple(c for c, parent in enumerate(self.parents) if parent == p) for p in range(len(self.knobs))
        )

    @cached_property
    def _counts(self) -> tuple[list[int], ...]:
        """For each knob: settings of it and of all that hangs on it, up to and with each of its values."""
        counts: list[list[int]] = [[] for _ in self.knobs]
        for p in reversed(self.order):
            total = 0
            for value in range(len(self.knobs[p])):
                total += math.prod(counts[c][-1] for c in self._children[p] if self._opens[c][value])
                counts[p].append(total)
        return tuple(counts)

    def at(self, numbers: np.ndarray) -> np.ndarray:
        """The points of these numbers, each from 0 up to `size`, as rows; every point has one number.

        Raises
        ------
        UserError : a space of 2**63 points or more, whose points have no number of 64 bits.
        """
        if self.size >= 2**63:
            raise _refused(
                "all points of the space one after another",
                f"{self.size:.3g} points",
                "search it (nsga2, predictor, random), or leave knobs and values out",
            )
        rows = np.zeros((len(numbers), len(self.knobs)), np.int64)
        rest = np.asarray(numbers, np.int64)
        within: dict[int, np.ndarray] = {}
        for p in reversed([p for p, parent in enumerate(self.parents) if parent == -1]):
            rest, within[p] = np.divmod(rest, self._counts[p][-1])
        for p in self.order:
            ends = np.array(self._counts[p], np.int64)
            value = np.searchsorted(ends, within[p], side="right")
            rows[:, p] = value
            rest = within[p] - np.concatenate(([0], ends))[value]
            for c in reversed(self._children[p]):
                rest, within[c] = np.divmod(rest, np.where(self._opens[c][value], self._counts[c][-1], 1))
        return self.canonical(rows)

    # -- rows ----------------------------------------------------------------------------------------

    def active(self, rows: np.ndarray) -> np.ndarray:
        """Which knobs matter in each row, bool [rows, knobs]."""
        active = np.ones(rows.shape, bool)
        for p in self.order:
            parent = self.parents[p]
            if parent != -1:
                active[:, p] = active[:, parent] & self._opens[p][rows[:, parent]]
        return active

    def canonical(self, rows: np.ndarray) -> np.ndarray:
        """The same points with inactive knobs at zero."""
        return np.where(self.active(rows), rows, 0)

    def sample(self, count: int, random: np.random.Generator) -> np.ndarray:
        """Random rows: of each active knob every value is equally likely."""
        return self.canonical(random.integers(0, self.cardinalities, (count, len(self.knobs))))

    def keys(self, rows: np.ndarray) -> list[bytes]:
        """Canonical rows as bytes, equal where the points are."""
        kind = np.dtype(np.min_scalar_type(int(self.cardinalities.max()) - 1)).newbyteorder(">")
        packed = np.ascontiguousarray(rows.astype(kind))
        found: list[bytes] = packed.view(f"V{packed.shape[1] * packed.itemsize}").ravel().tolist()
        return found

    def rows_of(self, keys: Sequence[bytes]) -> np.ndarray:
        """The rows of keys."""
        kind = np.dtype(np.min_scalar_type(int(self.cardinalities.max()) - 1)).newbyteorder(">")
        return np.frombuffer(b"".join(keys), kind).reshape(-1, len(self.knobs)).astype(np.int64)

    def column(self, name: str, rows: np.ndarray) -> np.ndarray:
        """A knob's values in each row (of an inactive knob its first)."""
        p = self.positions[name]
        return np.asarray(self.knobs[p].values)[rows[:, p]]

    def features(self, rows: np.ndarray) -> np.ndarray:
        """Rows as numbers to fit on, float64 [rows, features].

        An ordered knob is its rank over its number of values, a categorical one a 0 or 1 per value; both
        are 0 where inactive.
        """
        active = self.active(rows)
        columns = []
        for p, knob in enumerate(self.knobs):
            if knob.ordered:
                columns.append(np.where(active[:, p], (rows[:, p] + 1) / len(knob), 0.0)[:, None])
            else:
                columns.append(
                    ((rows[:, p, None] == np.arange(len(knob))) & active[:, p, None]).astype(float)
                )
        return np.concatenate(columns, axis=1)

    # -- points --------------------------------------------------------------------------------------

    def decode(self, row: np.ndarray) -> DesignPoint:
        """The active knobs of one row [knobs] and their values."""
        active = self.active(row[None, :])[0]
        return {knob.name: knob.values[int(row[p])] for p, knob in enumerate(self.knobs) if active[p]}

    def encode(self, point: DesignPoint) -> np.ndarray:
        """The row of a point, int64 [knobs].

        Raises
        ------
        UserError : an unknown knob, a value that it does not have, an active knob left out or an inactive
            one given.
        """
        for name in point:
            if name not in self.positions:
                raise _refused(
                    f"{name} = {point[name]!r}",
                    "no knob of that name",
                    f"use one of the nearest: {nearest(name, self.names)}",
                )
        row = np.array([[k.index(point[k.name]) if k.name in point else 0 for k in self.knobs]], np.int64)
        for knob, active in zip(self.knobs, self.active(row)[0], strict=True):
            if active and knob.name not in point:
                raise _refused("a point", f"no value of {knob.name}", f"give one of {list(knob.values)[:10]}")
            if not active and knob.name in point:
                assert knob.when is not None
                raise _refused(
                    f"{knob.name} = {point[knob.name]!r}",
                    f"{knob.when.knob} = {point.get(knob.when.knob)!r}, with which {knob.name} means nothing",
                    f"leave {knob.name} out, or set {knob.when.knob} to one of {list(knob.when.values)}",
                )
        return row[0]

    def part(self, names: Iterable[str]) -> tuple[int, ...]:
        """Positions of some knobs, in the order of a row."""
        wanted = set(names)
        return tuple(p for p, name in enumerate(self.names) if name in wanted)

    # -- as data -------------------------------------------------------------------------------------

    def to_json(self) -> list[dict[str, Any]]:
        """Every knob as a plain object."""
        return [
            {
                "name": knob.name,
                "values": list(knob.values),
                "ordered": knob.ordered,
                "when": None if knob.when is None else {knob.when.knob: list(knob.when.values)},
                "meaning": knob.meaning,
            }
            for knob in self.knobs
        ]

    @cached_property
    def digest(self) -> str:
        """A hash of knobs, values and conditions: rows of two spaces with equal digests mean the same."""
        told = [{k: v for k, v in knob.items() if k != "meaning"} for knob in self.to_json()]
        return sha256(dumps(told, sort_keys=True).encode()).hexdigest()


def _refused(asked: str, found: str, next_step: str) -> UserError:
    return UserError(asked=asked, found=found, where="the search space", next_step=next_step)
