"""Which points of a space nobody asked yet: no engine asks a point twice."""

from __future__ import annotations

import numpy as np

from siliform.dse.space import Space

#: Rounds of drawing that may find nothing new in a space too large to list before it counts as exhausted.
FRUITLESS_ROUNDS = 1000  # assumption: a round draws 64 points or more


class Unasked:
    """The points of a space that were not taken yet.

    What was taken is remembered by key, so it costs a hundred bytes or so a point.
    """

    def __init__(self, space: Space) -> None:
        self.space = space
        self._taken: set[bytes] = set()
        self._listed: np.ndarray | None = None

    @property
    def count(self) -> int:
        """How many points are left. Not `len`, which ends at 2**63: spaces of formats by layer do not."""
        return self.space.size - len(self._taken)

    def among(self, rows: np.ndarray) -> np.ndarray:
        """Those of these canonical rows that are left, each once, in their order."""
        return rows[self.places(rows)]

    def places(self, rows: np.ndarray) -> list[int]:
        """Where among these canonical rows those stand that are left, each once."""
        return self._new(rows)[0]

    def take(self, rows: np.ndarray) -> np.ndarray:
        """The same, and they are no longer left."""
        places, keys = self._new(rows)
        self._taken.update(keys)
        return rows[places]

    def _new(self, rows: np.ndarray) -> tuple[list[int], list[bytes]]:
        first: dict[bytes, int] = {}
        for place, key in enumerate(self.space.keys(rows) if len(rows) else ()):
            if key not in self._taken:
                first.setdefault(key, place)
        return list(first.values()), list(first)

    def draw(self, count: int, random: np.random.Generator) -> np.ndarray:
        """Take `count` random points, or as many as are left, int64 [points, knobs]."""
        found = [np.zeros((0, len(self.space.knobs)), np.int64)]
        missing, rounds, even = min(count, self.count), 0, False
        while missing > 0:
            if len(self._taken) >= self.count:  # at least half is taken: what is left can be listed
                return np.concatenate([*found, self._rest(missing, random)])
            drawn = max(missing, 64)
            if even and self.space.size < 2**63:
                rows = self.space.at(random.integers(0, self.space.size, drawn))
            else:
                rows = self.space.sample(drawn, random)
            rows = self.take(self.among(rows)[:missing])
            # Where the few points of one value of a condition are taken, most draws fall on them: from
            # there on every point, not every value, is equally likely.
            even = even or len(rows) * 8 < min(missing, drawn)
            rounds = 0 if len(rows) else rounds + 1
            if rounds == FRUITLESS_ROUNDS:
                break
            found.append(rows)
            missing -= len(rows)
        return np.concatenate(found)

    def _rest(self, count: int, random: np.random.Generator) -> np.ndarray:
        """Points of a list of those left, made and shuffled once; what was taken since is passed over."""
        if self._listed is None:
            left = self.among(self.space.at(np.arange(self.space.size)))
            self._listed = left[random.permutation(len(left))]
        found = [self._listed[:0]]
        while count > 0 and len(self._listed):
            found.append(self.take(self._listed[:count]))
            self._listed = self._listed[count:]
            count -= len(found[-1])
        return np.concatenate(found)


def spread(space: Space, count: int, random: np.random.Generator) -> np.ndarray:
    """Canonical rows in which every knob takes its values about equally often (a Latin hypercube).

    int64 [count, knobs]; the same row may occur twice.
    """
    strata = random.permuted(np.tile(np.arange(count), (len(space.knobs), 1)), axis=1).T
    within = random.random(strata.shape)
    return space.canonical(((strata + within) / max(count, 1) * space.cardinalities).astype(np.int64))
