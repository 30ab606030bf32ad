"""Where the time and the energy of one design go, by the closed form: what a click on the page shows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from siliform.dse.codesign import CoDesign
from siliform.graph_ir.errors import UserError

if TYPE_CHECKING:
    from siliform.simulator.report import Report

#: Modules that a breakdown lists at most.
_MODULES = 24
#: Designs that are broken down at most: each takes an estimate of every node by itself.
BREAKDOWNS = 48


def breakdown(problem: CoDesign, row: np.ndarray) -> dict[str, Any]:
    """A design's "modules", "energy_by_cause_j", "area_parts_mm2" and "provenance", as plain data.

    "reason" alone where the design cannot be estimated.
    """
    from siliform.simulator.estimate import estimate

    try:
        chip = problem.hardware.with_choices(problem.choices(row)[1])
        report = estimate(problem.graph(row), chip, bits="traced", objective=problem.objective)
    except UserError as error:
        return {"reason": f"{error.asked}: {error.found}; {error.next_step}"}
    return {
        "cycles": report.cycles,
        "bottleneck": report.bottleneck,
        "utilization": report.utilization,
        "modules": _modules(report),
        "energy_by_cause_j": energy_by_cause(report),
        "area_parts_mm2": dict(report.area_parts_mm2),
        "provenance": {
            key: [origin.kind, origin.source, origin.relative_uncertainty]
            for key, origin in report.provenance.items()
        },
    }


def _modules(report: Report) -> list[dict[str, Any]]:
    """Groups of modules with cycles by bottleneck, energy, bytes and MACs; they sum to the totals."""
    from siliform.simulator.grouping import by_module

    found = []
    for row in by_module(report, _MODULES):
        bound: dict[str, int] = {}
        for part in row.parts:
            bound[part.bottleneck] = bound.get(part.bottleneck, 0) + part.cycles
        energies = [part.energy_j for part in row.parts]
        found.append(
            {
                "name": row.name,
                "times": row.times,
                "cycles": row.cycles,
                "bound": bound,
                "energy_j": None if None in energies else math.fsum(e for e in energies if e is not None),
                "dram_bytes": sum(part.dram_bytes for part in row.parts),
                "macs": sum(part.macs for part in row.parts),
            }
        )
    return found


def energy_by_cause(report: Report) -> Mapping[str, float] | None:
    """Joules of the whole by cause; None where the design has no source for some."""
    found: dict[str, list[float]] = {}
    for part in report.parts:
        if part.energy_by_cause_j is None:
            return None
        for cause, joules in part.energy_by_cause_j.items():
            found.setdefault(cause, []).append(joules)
    return {cause: math.fsum(joules) for cause, joules in found.items()}
