"""Random points: the yardstick of every other engine, and the fastest."""

from __future__ import annotations

import numpy as np

from siliform.dse.engines.base import Answers, Engine
from siliform.dse.engines.options import at_least
from siliform.dse.space import Space


class RandomPoints(Engine):
    """Points at random, each once, until the space is exhausted.

    Parameters
    ----------
    batch : points asked at once.
    """

    name = "random"

    def __init__(
        self,
        space: Space,
        objectives: int,
        *,
        seed: int = 0,
        start: np.ndarray | None = None,
        batch: int = 1024,
    ) -> None:
        super().__init__(space, objectives, seed=seed, start=start)
        self.batch = at_least(self.name, "batch", batch, 1)

    def ask(self) -> np.ndarray:
        """`start` first, then random points."""
        rows = self.unasked.take(self.start)
        return np.concatenate([rows, self.unasked.draw(self.batch - len(rows), self.random)])

    def tell(self, rows: np.ndarray, answers: Answers) -> None:
        """Nothing is learnt."""
