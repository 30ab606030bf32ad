"""arch/tech/netlists.csv and the table of rtl/README.md are of the sources as they are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from siliform.arch.tech.netlists import netlists
from siliform.graph_ir.errors import UserError
from siliform.rtl import document
from siliform.rtl.common.unit import parameters_of
from siliform.rtl.synthesis import rows as making
from siliform.rtl.synthesis.rows import (
    CELL,
    cell_circuits,
    cell_row,
    expected_sources,
    sources_hash,
    table_units,
)
from siliform.rtl.synthesis.told import updated_rows
from siliform.rtl.synthesis.yosys import find_yosys
from tests.rtl.liberty_case import write_library
from tests.rtl.tiny_unit import RunningSum

UPDATE = "siliform rtl synth --update-tables, with --liberty osu018_stdcells.lib where it is not installed"


@pytest.fixture
def liberty(tmp_path: Path) -> Path:
    try:
        find_yosys()
    except UserError as missing:
        pytest.skip(f"{missing.found}: {missing.next_step}")
    return write_library(tmp_path)


def test_every_row_is_of_the_sources_as_they_are() -> None:
    expected = expected_sources()
    found = {(row.circuit, row.name): row.sources for row in netlists()}
    missing, gone = sorted(expected.keys() - found.keys()), sorted(found.keys() - expected.keys())
    changed = sorted(key for key in expected.keys() & found.keys() if expected[key] != found[key])
    assert (missing, gone, changed) == ([], [], []), f"bring the table up to date: {UPDATE}"


def test_every_row_has_the_parameters_of_its_unit() -> None:
    found = {(row.circuit, row.name): row for row in netlists()}
    for unit in table_units():
        row = found[unit.kind, unit.name]
        assert row.parameters == {name: str(value) for name, value in parameters_of(unit).items()}
        assert row.gate_equivalents == pytest.approx(row.area_um2 / 24.0, rel=1e-4)  # NAND2X1: 24 um2
        assert row.path_ns is not None
        assert row.pj_per_cycle is not None, f"gates of {unit.kind} {unit.name} were not simulated"


def test_the_table_of_the_readme_is_generated() -> None:
    text = document.PAGE.read_text(encoding="utf-8")
    shown = text.partition(document.BEGIN)[2].partition(document.END)[0].strip()
    assert shown == document.circuit_table().strip(), "python -m siliform.rtl.document --write"


def test_comments_and_blanks_do_not_change_what_a_circuit_is() -> None:
    unit = RunningSum()
    (name, text) = unit.design().generated[0]

    class Commented(RunningSum):
        source = "// a comment\n" + text.replace(";\n", ";  /* so */\n")

    class Another(RunningSum):
        source = text.replace("? '0 :", "? '1 :")

    assert name == "running_sum.sv"
    assert sources_hash(Commented()) == sources_hash(unit)
    assert sources_hash(Another()) != sources_hash(unit)
    assert sources_hash(replace(unit, lanes=3)) != sources_hash(unit)


def test_a_cell_is_what_an_array_grows_by(liberty: Path) -> None:
    from datetime import date

    first = next(iter(cell_circuits()))
    assert first.name == "weight-stationary-none-int4-sum32"
    row = cell_row(first, liberty, date(2026, 11, 22))
    assert row.flip_flops == 4 + 4 + 32  # an activation, a weight, a sum
    assert (row.circuit, row.memory_bits, row.path_ns) == (CELL, 0, None)
    # A flip-flop is 5 gates of 2 um2 in this library; a 4 x 4 product and an addition of 32 bits come on top.
    assert 40 * 5 < row.gate_equivalents < 40 * 5 + 1500
    assert row.gate_equivalents == pytest.approx(row.area_um2 / 2.0)


def test_only_what_changed_is_made_anew(liberty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    units = [RunningSum(1, 2), RunningSum(1, 3)]
    monkeypatch.setattr(making, "table_units", lambda: units)
    monkeypatch.setattr("siliform.rtl.synthesis.told.table_units", lambda: units)
    monkeypatch.setattr("siliform.rtl.synthesis.told.make", _without_energy)
    told: list[tuple[int, int]] = []

    def update(known: list[object]) -> tuple[list[object], list[str]]:
        rows, made = updated_rows(known, ["running_sum"], liberty, lambda *counts: told.append(counts))  # type: ignore[arg-type]
        return list(rows), [one.unit.name for one in made]

    rows, names = update([])
    assert names == ["1x2", "1x3"]
    assert told == [(0, 2), (1, 2)]
    assert update(rows) == (rows, [])
    stale = [replace(rows[0], sources="0"), rows[1], replace(rows[1], name="gone")]  # type: ignore[type-var]
    again, names = update(stale)
    assert names == ["1x2"]
    assert {row.name for row in again} == {"1x2", "1x3"}  # type: ignore[attr-defined]


def _without_energy(unit: RunningSum, liberty: Path, *, energy: bool) -> object:
    from siliform.rtl.synthesis.synth import synthesise
    from siliform.rtl.synthesis.told import Made

    assert energy
    return Made(unit, synthesise(unit.design(), liberty), None)
