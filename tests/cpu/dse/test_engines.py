"""Every engine passes the suite that outsiders inherit; and what each promises beyond it."""

from __future__ import annotations

import numpy as np

from siliform.dse.engines import engine_named
from siliform.dse.engines.base import Engine
from siliform.dse.space import Space
from siliform.dse.testing import MIXED, EngineConformance


class Named(EngineConformance):
    """The suite for an engine of ours with some options."""

    name = ""
    options: dict[str, object] = {}  # noqa: RUF012

    def engine(
        self, space: Space, objectives: int, *, seed: int = 0, start: np.ndarray | None = None
    ) -> Engine:
        return engine_named(self.name, space, objectives, seed, self.options, start=start)


class TestRandom(Named):
    name = "random"


class TestExhaustive(Named):
    name = "exhaustive"
    points = MIXED.size
    seeded = False


class TestNsga2(Named):
    name = "nsga2"
    options = {"population": 40}  # noqa: RUF012


class TestNsga3(Named):
    name = "nsga3"
    options = {"population": 40}  # noqa: RUF012


class TestPredictor(Named):
    name = "predictor"
    points = 60
    options = {"first": 40, "batch": 10, "generations": 3, "population": 20}  # noqa: RUF012


class TestGaussianProcess(Named):
    name = "gp"
    points = 12
    options = {"startup": 10, "batch": 2}  # noqa: RUF012
