"""Units in gates as data: what ``siliform rtl synth --json`` prints and what its tables hold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

from siliform.arch.tech.netlists import NetlistRow, merged
from siliform.rtl.common.unit import HardwareUnit, parameters_of
from siliform.rtl.synthesis.energy import Energy, switching_energy
from siliform.rtl.synthesis.rows import (
    ARRAYS,
    CELL,
    cell_circuits,
    cell_row,
    expected_sources,
    table_units,
    unit_row,
)
from siliform.rtl.synthesis.synth import Synthesis, synthesise
from siliform.rtl.synthesis.yosys import find_yosys


@dataclass(frozen=True)
class Made:
    """A unit in gates, and the energy of its cases where it was asked for."""

    unit: HardwareUnit
    synthesis: Synthesis
    energy: Energy | None


def make(unit: HardwareUnit, liberty: Path | None, *, energy: bool, keep: Path | None = None) -> Made:
    """The unit in gates; see `synthesise` and `switching_energy` for what they raise."""
    synthesis = synthesise(unit.design(), liberty, keep=keep)
    return Made(unit, synthesis, switching_energy(unit, synthesis) if energy else None)


def updated_rows(
    known: Sequence[NetlistRow], kinds: Sequence[str], liberty: Path, told: Callable[[int, int], None]
) -> tuple[list[NetlistRow], list[Made]]:
    """The table's rows with those of `kinds` made anew where sources or tools are not what they were.

    Also the units that were made. Rows of circuits that have none any more are dropped; `told` is called
    with how many circuits of how many are done.
    """
    expected, tools, today = expected_sources(), find_yosys().version, date.today()
    fresh = {
        (r.circuit, r.name)
        for r in known
        if r.tools == tools and r.sources == expected.get((r.circuit, r.name))
    }
    units = [u for u in table_units() if u.kind in kinds and (u.kind, u.name) not in fresh]
    arrays = {kind.kind for _, kind in ARRAYS} & set(kinds)
    cells = [c for c in cell_circuits() if arrays and (CELL, c.name) not in fresh]
    made, rows = [], []
    for done, unit in enumerate(units):
        told(done, len(units) + len(cells))
        made.append(make(unit, liberty, energy=True))
        rows.append(unit_row(unit, made[-1].synthesis, made[-1].energy, today))
    for done, cell in enumerate(cells, len(units)):
        told(done, len(units) + len(cells))
        rows.append(cell_row(cell, liberty, today))
    return [row for row in merged(known, rows) if (row.circuit, row.name) in expected], made


def synthesis_json(made: Sequence[Made], seconds: float) -> dict[str, Any]:
    """A whole run."""
    return {
        "format": "siliform-rtl-synth",
        "version": 1,
        "circuits": [circuit_json(one) for one in made],
        "seconds": seconds,
    }


def circuit_json(made: Made) -> dict[str, Any]:
    """One circuit; what has no number without a library is null."""
    synthesis, library, energy = made.synthesis, made.synthesis.library, made.energy
    return {
        "unit": made.unit.kind,
        "name": made.unit.name,
        "parameters": parameters_of(made.unit),
        "tools": synthesis.tools,
        "library": {"name": library.name, "volts": library.volts} if library else None,
        "cells": dict(synthesis.netlist.cells),
        "cell_count": synthesis.cells,
        "area_um2": synthesis.area_um2,
        "gate_equivalents": synthesis.gate_equivalents,
        "flip_flops": synthesis.flip_flops,
        "transistors": synthesis.transistors,
        "memories": [asdict(memory) for memory in synthesis.memories],
        "longest_path": asdict(synthesis.path) if synthesis.path else None,
        "leakage_watts": synthesis.leakage_watts if library else None,
        "energy": energy_json(energy) if energy else None,
    }


def energy_json(energy: Energy) -> dict[str, Any]:
    """The energy of a unit's cases."""
    return {
        "cycles": energy.cycles,
        "operations": energy.operations,
        "operation": energy.operation,
        "internal_pj": energy.internal_pj,
        "load_pj": energy.load_pj,
        "clock_pj": energy.clock_pj,
        "pj_per_cycle": energy.pj_per_cycle,
        "pj_per_operation": energy.pj_per_operation,
    }
