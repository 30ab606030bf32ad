"""The estimate of many designs at once; see `estimate.estimate_population`."""

from siliform.simulator.population.estimate import estimate_population
from siliform.simulator.population.report import PopulationReport

__all__ = ["PopulationReport", "estimate_population"]
