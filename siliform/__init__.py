"""Siliform: transformers and the silicon that runs them, designed together.

>>> import siliform as sf
>>> graph = sf.trace("bert-base", seq=128)
>>> report = sf.estimate(graph, sf.accelerator("edge-32x32"))
>>> report.latency_s, report.energy_j, report.bottleneck
"""

from siliform import gpu
from siliform.api import (
    accelerator,
    cluster,
    compile,
    estimate,
    estimate_population,
    generate,
    long_context,
    search,
    serve,
    simulate,
)
from siliform.graph_ir.errors import UserError
from siliform.graphs import describe, trace

__version__ = "0.1.0"

__all__ = [
    "UserError",
    "accelerator",
    "cluster",
    "compile",
    "describe",
    "estimate",
    "estimate_population",
    "generate",
    "gpu",
    "long_context",
    "search",
    "serve",
    "simulate",
    "trace",
]
