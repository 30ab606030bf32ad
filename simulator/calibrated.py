"""Which parts of a report rest on laws that circuits were measured to keep, and how a report says so."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache

from siliform.arch.accelerator import Accelerator
from siliform.arch.calibration import calibration_of, calibrations
from siliform.arch.program import Product, Scalars, Stage
from siliform.simulator.report import Part


def calibrations_of(stages: Iterable[Stage], accelerator: Accelerator) -> dict[str, str]:
    """The units of the stages whose circuit keeps the law, each with the file that says so.

    Products on matrix units and whole nodes on engines are timed by the law that circuits are measured at.
    Single operations on lanes and bytes that are moved are not.
    """
    found = {}
    for stage in stages:
        whole = isinstance(stage, Scalars) and stage.engine_cycles is not None
        if not whole and not isinstance(stage, Product):
            continue
        formats = stage.formats if isinstance(stage, Product) else ()
        calibration = calibration_of(accelerator.unit(stage.unit), formats)
        if calibration is not None:
            found[stage.unit] = calibration.path
    return found


def calibrated_text(parts: Sequence[Part]) -> str:
    """A sentence for the provenance of cycles: units, files, what was measured, in how much of the report.

    Empty where no part has a unit with a calibration that holds.
    """
    total = sum(p.cycles for p in parts)
    told = []
    for unit, path in dict.fromkeys(pair for p in parts for pair in p.calibration.items()):
        own = [p for p in parts if p.calibration.get(unit) == path]
        share = 100 * sum(p.cycles for p in own) / total if total else 100.0
        where = f"{len(own)} of {len(parts)} nodes with {share:.0f} % of the cycles"
        told.append(f"{unit} by {path} ({_summaries()[path]}), in {where}")
    return f" | RTL-calibrated: {'; '.join(told)}; transfers are not" if told else ""


@cache
def _summaries() -> dict[str, str]:
    return {c.path: c.summary() for c in calibrations()}
