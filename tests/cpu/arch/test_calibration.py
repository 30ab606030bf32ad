"""Files of calibrations: what they tell, when they are stale, which units they are of."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from siliform.arch.calibration import (
    HERE,
    ROOT,
    Calibration,
    Circuit,
    calibration_of,
    calibrations,
    file_hash,
    read_calibration,
)
from siliform.arch.units.array import SystolicArray
from siliform.arch.units.vector import VectorUnit

TEXT = """\
circuit = "array"
unit = "array"
laws = ["arch/units/array.py:tiled_array_cycles"]
measured = 2026-11-22
slack_cycles = 0
slack_reason = ""

[tools]
verilator = "Verilator 5.048"

[files]
"arch/law.py" = "{law}"
"rtl/cell.sv" = "{cell}"

[[circuits]]
name = "4x4"
parameters = {{rows = 4, overlap = "none"}}
selects = {{overlap = "none", dataflow = "weight-stationary", formats = ["int8", "int4"]}}
cases = 40
shapes = 40
cycles = 1234
deviation_cycles = 0

[[circuits]]
name = "8x8"
parameters = {{rows = 8, overlap = "none"}}
selects = {{overlap = "none", dataflow = "weight-stationary", formats = ["int8", "int4"]}}
cases = 40
shapes = 38
cycles = 2000
deviation_cycles = -1
"""


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """A folder of rooms with two sources, and the file that was measured on them."""
    for name in ("arch/law.py", "rtl/cell.sv"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"this is {name}")
    hashes = {
        name: file_hash(tmp_path / path) for name, path in (("law", "arch/law.py"), ("cell", "rtl/cell.sv"))
    }
    (tmp_path / "array.toml").write_text(TEXT.format(**hashes))
    return tmp_path / "array.toml"


def test_a_file_is_read_whole(written: Path) -> None:
    told = read_calibration(written)
    assert told.laws == ("arch/units/array.py:tiled_array_cycles",)
    assert told.measured == date(2026, 11, 22)
    assert [c.name for c in told.circuits] == ["4x4", "8x8"]
    assert told.circuits[0].parameters == {"rows": 4, "overlap": "none"}
    assert told.path == "arch/calibration/array.toml"
    assert told.summary() == "2 circuits, 80 cases, 3,234 cycles, -1 from the law at most"
    exact = replace(told, circuits=told.circuits[:1])
    assert exact.summary() == "1 circuit, 40 cases, 1,234 cycles, each as the law says"
    assert calibrations(written.parent) == (told,)


@pytest.mark.parametrize("name", ["arch/law.py", "rtl/cell.sv"])
def test_a_changed_law_or_circuit_makes_it_stale(written: Path, name: str) -> None:
    told, root = read_calibration(written), written.parent
    assert told.changed(root) == ()
    (root / name).write_text((root / name).read_text() + " ")
    assert told.changed(root) == (name,)
    (root / name).unlink()
    assert told.changed(root) == (name,)


def array(**changed: object) -> SystolicArray:
    parameters = {"name": "cells", "rows": 32, "columns": 16, "overlap": "none"}
    return SystolicArray(**{**parameters, **changed})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("unit", "formats", "claimed"),
    [
        (array(), ("int8", "int8"), True),
        (array(rows=3), ("int8", "int4"), True),
        (array(), ("int8@tensor", "int4@channel0"), True),
        (array(), (), True),
        (array(formats=("fp16",)), ("fp16", "fp16"), False),
        (array(), ("int8", "int16"), False),
        (array(overlap="double-buffered"), ("int8", "int8"), False),
        (array(overlap="bound"), ("int8", "int8"), False),
        (array(dataflow="output-stationary"), ("int8", "int8"), False),
        (VectorUnit(name="vector", lanes=4), (), False),
    ],
)
def test_it_is_claimed_of_units_that_are_one_of_its_circuits(
    written: Path, unit: SystolicArray, formats: tuple[str, ...], claimed: bool
) -> None:
    told = read_calibration(written)
    assert calibration_of(unit, formats, (told,)) == (told if claimed else None)


def test_what_selects_nothing_is_of_every_unit_of_the_kind() -> None:
    circuit = Circuit("any", {}, {}, 40, 40, 100, 0)
    told = Calibration("rows", "vector", (), date(2026, 1, 1), 0, "", {}, {}, (circuit,))
    assert calibration_of(VectorUnit(name="lanes", lanes=7), ("fp32",), (told,)) is told


def test_the_package_claims_only_what_is_not_stale(monkeypatch: pytest.MonkeyPatch) -> None:
    """By default those of the folder are looked in, less the stale ones."""
    from siliform.arch import calibration

    units = [array(overlap=overlap) for overlap in ("none", "double-buffered", "bound")]
    for unit in units:
        found = calibration_of(unit, ("int8", "int8"))
        fresh = [c for c in calibrations() if not c.changed() and c.unit == "array"]
        assert (found in fresh) if unit.overlap != "bound" and fresh else found is None
    calibration._fresh.cache_clear()
    monkeypatch.setattr(Calibration, "changed", lambda self: ("rtl/array/mac_plane.sv",))
    assert calibration_of(units[0], ("int8", "int8")) is None
    calibration._fresh.cache_clear()


def test_the_folder_stands_among_the_rooms() -> None:
    assert (ROOT / "rtl" / "array" / "unit.py").is_file()
    assert HERE == ROOT / "arch" / "calibration"
