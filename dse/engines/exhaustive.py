"""Every point of a space, in order: the exact front of a space small enough."""

from __future__ import annotations

import numpy as np

from siliform.dse.engines.base import Answers, Engine
from siliform.dse.engines.options import at_least
from siliform.dse.space import Space


class Exhaustive(Engine):
    """All points, by their numbers.

    Parameters
    ----------
    chunk : points asked at once.

    Raises
    ------
    UserError : a space of 2**63 points or more.
    """

    name = "exhaustive"

    def __init__(
        self,
        space: Space,
        objectives: int,
        *,
        seed: int = 0,
        start: np.ndarray | None = None,
        chunk: int = 32768,
    ) -> None:
        super().__init__(space, objectives, seed=seed, start=start)
        self.chunk = at_least(self.name, "chunk", chunk, 1)
        self._next = 0
        space.at(np.zeros(0, np.int64))  # refuses, before anything is asked, a space too large to number
        self.start = self.unasked.take(self.start)

    def ask(self) -> np.ndarray:
        """`start` first, then the next chunk of those that were not in it."""
        rows, self.start = self.start, self.start[:0]
        while not len(rows) and self._next < self.space.size:
            end = min(self._next + self.chunk, self.space.size)
            rows, self._next = self.space.at(np.arange(self._next, end)), end
            if self.unasked.count < self.space.size:
                rows = self.unasked.among(rows)
        return rows

    def tell(self, rows: np.ndarray, answers: Answers) -> None:
        """Nothing is learnt."""
