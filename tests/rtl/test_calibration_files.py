"""What is calibrated: the committed files are of the circuits and laws that are here, and read back."""

from __future__ import annotations

import ast
import inspect
from datetime import date
from pathlib import Path

import pytest

from siliform.arch.calibration import Calibration, Circuit, calibrations, read_calibration
from siliform.arch.units import UNITS as LAW_UNITS
from siliform.arch.units.engine import Engine
from siliform.arch.units.matrix import MatrixUnit
from siliform.rtl.catalogue import UNITS, unit_named
from siliform.rtl.common.calibrate import CASES, calibration_jobs, calibration_toml, watched
from siliform.rtl.common.regression import draw
from siliform.rtl.common.unit import parameters_of

FILES = {c.circuit: c for c in calibrations()}


@pytest.mark.parametrize("kind", UNITS)
def test_every_unit_is_calibrated_as_it_stands(kind: str) -> None:
    """No law and no circuit has changed since, nor have the elaborations."""
    again = f"run `siliform rtl calibrate {kind}` and commit arch/calibration/{kind}.toml"
    assert kind in FILES, again
    told, unit = FILES[kind], unit_named(kind)
    assert not told.changed(), f"{', '.join(told.changed())} changed since: {again}"
    assert [c.name for c in told.circuits] == [u.name for u in unit.elaborations()], again
    for circuit, elaboration in zip(told.circuits, unit.elaborations(), strict=True):
        assert dict(circuit.parameters) == parameters_of(elaboration), again
        assert circuit.selects == {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in elaboration.selects().items()
        }, again
        assert abs(circuit.deviation_cycles) <= unit.slack_cycles
    assert told.laws, f"the cases of {kind} ask no law of arch/units"


def test_no_file_is_left_of_a_unit_that_is_gone() -> None:
    assert set(FILES) <= set(UNITS)


@pytest.mark.parametrize("kind", UNITS)
def test_what_a_circuit_selects_are_parameters_of_a_unit_in_designs(kind: str) -> None:
    unit = unit_named(kind)
    holder = LAW_UNITS.get(unit.law_unit or unit.kind)
    for elaboration in unit.elaborations():
        for name in elaboration.selects():
            assert holder is not None
            assert name == "formats" or hasattr(holder, name) or name in holder.__dataclass_fields__


def reached(holder: type) -> set[str]:
    """Names that the methods of a class mention, and those of functions of its module that they call."""
    tree = ast.parse(Path(inspect.getfile(holder)).read_text(encoding="utf-8"))
    bodies = {n.name: n for n in tree.body if isinstance(n, ast.ClassDef | ast.FunctionDef)}
    found, left = set[str](), [holder.__name__]
    while left:
        for node in ast.walk(bodies[left.pop()]):
            if isinstance(node, ast.Name) and node.id not in found:
                found.add(node.id)
                left += [node.id] if isinstance(bodies.get(node.id), ast.FunctionDef) else []
    return found


@pytest.mark.parametrize("kind", FILES)
def test_estimates_use_the_law_that_was_measured(kind: str) -> None:
    """What a report may claim: the engine's or matrix unit's own methods come to each law of the file."""
    told = FILES[kind]
    holder = LAW_UNITS.get(told.unit)
    if holder is None or not issubclass(holder, Engine | MatrixUnit):
        pytest.skip(f"no estimate claims {kind}: it is no engine and no matrix unit of designs")
    assert {law.partition(":")[2] for law in told.laws} <= reached(holder)


def test_laws_and_sources_are_watched_not_declared() -> None:
    laws, files = watched(unit_named("array").elaborations()[:2])
    assert laws == ("arch/units/array.py:tiled_array_cycles",)
    assert {"arch/law.py", "arch/units/array.py", "rtl/array/mac_plane.sv", "rtl/common/skew.sv"} <= set(
        files
    )
    assert not any(name.endswith("unit.py") for name in files)


def test_a_generated_circuit_depends_on_its_generator() -> None:
    """Of the binary unit, whose trees of counters are made with PyRTL."""
    _, files = watched(unit_named("binary").elaborations()[:1])
    assert {"rtl/common/popcount.py", "rtl/binary/binary_cell.sv"} <= set(files)


def test_every_trial_of_a_calibration_has_another_shape() -> None:
    unit = unit_named("array").elaborations()[0]
    (job,) = calibration_jobs([unit])
    shapes = {tuple(draw(unit, trial).shape.items()) for trial in job.trials}
    assert len(shapes) == len(job.trials) == CASES
    assert not any(trial.stalled for trial in job.trials)


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    circuit = Circuit(
        "2x3-µ", {"rows": 2, "wide": True, "law": 'a "word"'}, {"formats": ["int8", "int4"]}, 40, 38, 12, 1
    )
    told = Calibration(
        "array",
        "array",
        ("arch/units/array.py:f",),
        date(2026, 2, 3),
        2,
        "why: 2 × 1",
        {"c++": "g++ 12"},
        {"arch/law.py": "00ff"},
        (circuit, circuit),
    )
    (tmp_path / "array.toml").write_text(calibration_toml(told), encoding="utf-8")
    assert read_calibration(tmp_path / "array.toml") == told
