"""What many designs cost: one array per quantity, one element per design."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np


@dataclass(frozen=True, eq=False)
class PopulationReport:
    """The totals of `estimate.estimate` on every design of a population.

    Attributes
    ----------
    model, design, objective, bits : as in `Report`; `design` is the one that the columns vary.
    columns : the varied parameters, as given.
    cycles, dram_bytes : float64 of whole numbers (exact below 2**53), infinite where infeasible.
    latency_s : seconds, infinite where infeasible.
    energy_j : joules, infinite where infeasible; NaN where a coefficient has no source.
    area_mm2, leakage_watts : of the design, feasible or not; NaN where without a source.
    feasible : bool; False where not even the smallest tile of some node fits, or no such design can exist.
    """

    model: str
    design: str
    objective: str
    bits: str
    columns: Mapping[str, np.ndarray]
    cycles: np.ndarray
    latency_s: np.ndarray
    energy_j: np.ndarray
    dram_bytes: np.ndarray
    area_mm2: np.ndarray
    leakage_watts: np.ndarray
    feasible: np.ndarray

    def __len__(self) -> int:
        return len(self.cycles)

    def to_frame(self) -> Any:
        """A pandas DataFrame with a row per design: the columns, then the results."""
        import pandas

        results = {
            f.name: getattr(self, f.name)
            for f in fields(self)
            if isinstance(getattr(self, f.name), np.ndarray)
        }
        return pandas.DataFrame({**self.columns, **results})
