"""Regressions as data: what ``siliform rtl test --json`` and ``siliform rtl list --json`` print."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from siliform.arch.calibration import Calibration, calibrations
from siliform.rtl.common.campaign import Outcome
from siliform.rtl.common.unit import HardwareUnit, parameters_of
from siliform.rtl.common.verilator import find_compiler, find_verilator, run


def tools() -> dict[str, str]:
    """The tools that build models, with their versions; UserError with what to install."""
    compiler = find_compiler()
    told = run([compiler, "--version"], Path.cwd()).stdout.splitlines()
    return {"verilator": find_verilator().version, "compiler": told[0] if told else compiler}


def outcome_json(outcome: Outcome) -> dict[str, Any]:
    """One elaboration on one bench."""
    unit = outcome.job.unit
    return {
        "unit": unit.kind,
        "bench": outcome.job.bench,
        "name": unit.name,
        "parameters": parameters_of(unit),
        "holds": outcome.holds,
        "trials": outcome.trials,
        "stalled_trials": outcome.stalled_trials,
        "cycles": outcome.cycles,
        "held_cycles": outcome.held_cycles,
        "deviation_cycles": outcome.deviation_cycles,
        "slack_cycles": unit.slack_cycles,
        "slack_reason": unit.slack_reason or None,
        "coverage": {"covered": dict(outcome.covered), "missed": list(outcome.missed)},
        "failures": [asdict(failure) for failure in outcome.failures],
        "refusal": outcome.refusal or None,
        "seconds": outcome.seconds,
    }


def regression_json(outcomes: Sequence[Outcome], seconds: float) -> dict[str, Any]:
    """A whole regression."""
    return {
        "format": "siliform-rtl-test",
        "version": 1,
        "tools": tools(),
        "holds": all(outcome.holds for outcome in outcomes),
        "elaborations": [outcome_json(outcome) for outcome in outcomes],
        "seconds": seconds,
    }


def calibration_json(
    rows: Sequence[tuple[Calibration, Path]], versions: Mapping[str, str], outcomes: Sequence[Outcome]
) -> dict[str, Any]:
    """What was measured and written."""
    return {
        "format": "siliform-rtl-calibrate",
        "version": 1,
        "tools": dict(versions),
        "holds": all(outcome.holds for outcome in outcomes),
        "calibrations": [
            {
                "unit": told.circuit,
                "law_unit": told.unit,
                "laws": list(told.laws),
                "measured": told.measured.isoformat(),
                "file": str(path),
                "circuits": [asdict(circuit) for circuit in told.circuits],
            }
            for told, path in rows
        ],
        "failed": [outcome_json(outcome) for outcome in outcomes if not outcome.holds],
    }


def unit_json(kind: type[HardwareUnit]) -> dict[str, Any]:
    """What a unit is built of, and which elaborations there are."""
    elaborations = kind.elaborations()
    first = elaborations[0]
    return {
        "unit": kind.kind,
        "about": first_sentence(kind),
        "parameters": parameters_of(first),
        "elaborations": [unit.name for unit in elaborations],
        "streams": [{"name": s.name, "direction": s.direction} for s in first.design().streams],
        "bins": sorted({name for unit in elaborations for name in unit.bins()}),
        "mutants": [mutant.mistake for mutant in kind.mutants()],
        "calibration": _calibration_json(kind.kind),
    }


def _calibration_json(kind: str) -> dict[str, Any] | None:
    """When the unit was measured, and what has changed since; None where it never was."""
    found = next((c for c in calibrations() if c.circuit == kind), None)
    if found is None:
        return None
    return {
        "measured": found.measured.isoformat(),
        "laws": list(found.laws),
        "summary": found.summary(),
        "changed_since": list(found.changed()),
    }


def first_sentence(kind: type[HardwareUnit]) -> str:
    """What the unit is, from its own documentation."""
    text = " ".join((kind.__doc__ or "").split("\n\n")[0].split())
    return text.split(". ")[0].rstrip(".")


def by_unit(outcomes: Sequence[Outcome]) -> Mapping[tuple[str, str], list[Outcome]]:
    """Outcomes by unit and bench, in the order of their first."""
    groups: dict[tuple[str, str], list[Outcome]] = {}
    for outcome in outcomes:
        groups.setdefault((outcome.job.unit.kind, outcome.job.bench), []).append(outcome)
    return groups
