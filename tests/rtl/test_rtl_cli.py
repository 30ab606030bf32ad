"""`siliform rtl`: what it lists, runs, prints, keeps of a failure and refuses."""

from __future__ import annotations

import json
import shlex
from datetime import date
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from siliform import listing
from siliform.arch.calibration import Calibration, Circuit, read_calibration
from siliform.cli import main
from siliform.commands_rtl import complete_unit
from siliform.graph_ir.errors import UserError
from siliform.rtl import catalogue
from siliform.rtl.common import campaign
from siliform.rtl.common import told as told_room
from siliform.rtl.common.campaign import SIZES, Job, Outcome
from siliform.rtl.common.cocotb_runner import require_cocotb
from siliform.rtl.common.verilator import Verilator, find_compiler, find_verilator
from tests.rtl.tiny_unit import RunningSum, WrongSum

TINY = {"running_sum": RunningSum, "wrong_sum": WrongSum}


@pytest.fixture(scope="module")
def verilator() -> Verilator:
    """The tools, or a skip that says what to install."""
    try:
        find_compiler()
        return find_verilator()
    except UserError as missing:
        pytest.skip(f"{missing.found}: {missing.next_step}")


@pytest.fixture(autouse=True)
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two small units are all there is, and the folder is empty."""
    known = dict.fromkeys(TINY, "")
    named = catalogue.unit_named
    monkeypatch.setattr(catalogue, "UNITS", known)
    monkeypatch.setattr(catalogue, "unit_named", lambda kind: TINY[kind] if kind in TINY else named(kind))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "140")


def rtl(capsys: pytest.CaptureFixture[str], *arguments: str, status: int = 0) -> tuple[str, str]:
    with pytest.raises(SystemExit) as stop:
        main(["rtl", *arguments])
    out, err = capsys.readouterr()
    assert stop.value.code == status, out + err
    return out, err


def told(capsys: pytest.CaptureFixture[str], *arguments: str, status: int = 0) -> Any:
    out, _ = rtl(capsys, *arguments, "--json", status=status)
    assert out.count("\n") == 1
    found = json.loads(out)
    jsonschema.validate(found, listing.schema(f"rtl-{arguments[0]}"))
    return found


def test_a_unit_that_holds_has_a_row_and_exit_status_0(
    verilator: Verilator, capsys: pytest.CaptureFixture[str]
) -> None:
    out, _ = rtl(capsys, "test", "running_sum", "--jobs", "1")
    row = next(line for line in out.splitlines() if line.startswith("running_sum"))
    cells = " ".join(row.split())
    assert cells.startswith("running_sum ctypes 2 160 ")
    assert " exact 4 of 4 80 trials, " in cells
    assert cells.endswith("% held holds")
    assert out.splitlines()[-1].startswith("2 elaborations, 160 trials, ")
    assert out.rstrip().endswith("all hold")


def test_the_json_counts_what_was_covered(verilator: Verilator, capsys: pytest.CaptureFixture[str]) -> None:
    (found,) = told(capsys, "test", "running_sum", "--seed", "0", "--seeds", "20", "--stalled")[
        "elaborations"
    ]
    assert found["trials"] == found["stalled_trials"] == 20
    assert found["coverage"]["missed"] == []
    covered = found["coverage"]["covered"]
    assert covered["one row"] + covered["rows"] == 20
    assert 0 < covered["stalls on x"] <= 20
    assert found["held_cycles"] > 0


def test_a_failure_names_its_seed_its_replay_and_its_waveform(
    verilator: Verilator, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (found,) = told(
        capsys, "test", "wrong_sum", "--set", "width=5", "--seeds", "3", "--waveforms", "kept", status=1
    )["elaborations"]
    assert not found["holds"]
    assert len(found["failures"]) == found["trials"] == 6
    first, *others = found["failures"]
    assert first["waveform"].startswith("kept/wrong_sum-2x5-seed")
    assert all(failure["waveform"] is None for failure in others)
    recorded = (tmp_path / first["waveform"]).read_text()
    assert "$scope module running_sum $end" in recorded
    assert recorded.count("\n#") == 2 * (first["cycles"] + 1)  # each cycle settled, and after its edge
    assert first["shape"]["rows"] * first["shape"]["length"] == first["cycles"]


def test_the_replay_of_a_failure_is_one_trial_and_fails_alike(
    verilator: Verilator, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also of the first elaboration, which needs no --set."""
    (found,) = told(capsys, "test", "wrong_sum", "--seed", "2", "--seeds", "2", status=1)["elaborations"]
    for failure in found["failures"]:
        words = shlex.split(failure["replay"])
        assert words[:3] == ["siliform", "rtl", "test"]
        (again,) = told(capsys, *words[2:], status=1)["elaborations"]
        (same,) = again["failures"]
        assert again["name"] == found["name"]
        for part in ("seed", "stalled", "shape", "complaints", "cycles", "replay"):
            assert same[part] == failure[part]


def test_a_failure_is_told_in_lines(verilator: Verilator, capsys: pytest.CaptureFixture[str]) -> None:
    out, _ = rtl(capsys, "test", "wrong_sum", "--shape", "rows=2,length=1", "--free", "--seed", "7", status=1)
    lines = out.splitlines()
    at = lines.index("wrong_sum 2x8: 1 of 1 trials fail")
    assert lines[at + 1] == "  seed 7: rows 2, length 1"
    assert " values of y differ, the first in beat " in lines[at + 2]
    assert lines[at + 3 : at + 5] == [
        "    repeat it: siliform rtl test wrong_sum --shape rows=2,length=1 --seed 7 --seeds 1 --free",
        "    waveform:  out/rtl/wrong_sum-2x8-seed7.vcd",
    ]
    assert lines[-1].startswith("1 elaboration, 1 trial, 2 cycles in ")
    assert lines[-1].endswith(" s: 1 of them fail")


def test_a_circuit_that_does_not_compile_fails_and_the_others_go_on(
    verilator: Verilator, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(WrongSum, "source", "module running_sum; wrong endmodule")
    found = told(capsys, "test", "--seeds", "1", "--jobs", "1", status=1)
    assert [e["refusal"] is None for e in found["elaborations"]] == [True, True, False, False]
    assert "running_sum: Verilator exited with 1" in found["elaborations"][2]["refusal"]
    out, _ = rtl(capsys, "test", "wrong_sum", "--seeds", "1", "--jobs", "1", status=1)
    assert "wrong_sum 2x8 was not built:" in out.splitlines()


def test_workers_find_what_one_process_finds(
    verilator: Verilator, capsys: pytest.CaptureFixture[str]
) -> None:
    alone, together = (told(capsys, "test", "--seeds", "2", "--jobs", n, status=1) for n in ("1", "2"))
    for found in (alone, together):
        for elaboration in found["elaborations"]:
            del elaboration["seconds"]
    assert alone["elaborations"] == together["elaborations"]


def test_a_bin_that_a_whole_run_leaves_uncovered_fails(
    verilator: Verilator, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RunningSum, "bins", lambda self: frozenset({"one row", "a hundred rows"}))
    whole = ("test", "running_sum", "--sizes", "full", "--jobs", "1")
    out, _ = rtl(capsys, *whole, "--coverage", status=1)
    assert "running_sum 2x8: no trial covers a hundred rows" in out.splitlines()
    assert " 4 of 5 " in out
    rows = [" ".join(line.split()) for line in out.splitlines()]
    assert any(row.startswith("running_sum ctypes a hundred rows 0 2x8, 3x7-negative, ") for row in rows)
    assert any(row.startswith("running_sum ctypes one row ") for row in rows)
    for smaller in (["--seeds", "2"], ["--stalled"]):
        out, _ = rtl(capsys, *whole, *smaller)
        assert "no trial covers" not in out


def test_the_cocotb_bench_fails_alike_and_its_replay_names_it(
    verilator: Verilator, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        require_cocotb()
    except UserError as missing:
        pytest.skip(f"{missing.found}: {missing.next_step}")
    asked = ("test", "wrong_sum", "--seed", "3", "--free")
    (here,) = told(capsys, *asked, "--bench", "cocotb", status=1)["elaborations"]
    (there,) = told(capsys, *asked, status=1)["elaborations"]
    assert (here["bench"], there["bench"]) == ("cocotb", "ctypes")
    (mine,), (theirs,) = here["failures"], there["failures"]
    assert mine["replay"] == f"{theirs['replay']} --bench cocotb"
    assert (mine["shape"], mine["cycles"]) == (theirs["shape"], theirs["cycles"])
    assert mine["waveform"] == theirs["waveform"]


def test_without_cocotb_the_command_says_what_to_install(
    verilator: Verilator, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr(told_room, "find_verilator", lambda: verilator)
    out, err = rtl(capsys, "test", "--bench", "both", status=2)
    assert out == ""
    assert "next:  pip install cocotb==2.1.0 find_libpython==0.5.1, or 'siliform[rtl]'" in err


def test_sizes_say_how_much_is_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    planned: list[Job] = []

    def run_jobs(jobs: list[Job], workers: int, told: object) -> list[Outcome]:
        planned[:] = jobs
        return [Outcome(job) for job in jobs]

    monkeypatch.setattr(campaign, "run_jobs", run_jobs)
    rtl(capsys, "test", "running_sum")
    assert [(j.unit, len(j.trials)) for j in planned] == [(u, 80) for u in RunningSum.elaborations()[:2]]
    rtl(capsys, "test", "running_sum", "--sizes", "full")
    assert [(j.unit, len(j.trials)) for j in planned] == [(u, 240) for u in RunningSum.elaborations()]
    rtl(capsys, "test", "running_sum", "--sizes", "nightly", "--bench", "both")
    assert {j.bench for j in planned} == {"ctypes", "cocotb"}
    assert max(len(j.trials) for j in planned) == 2 * SIZES["nightly"]["ctypes"].seeds == 2400


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (
            ["running_su"],
            "asked: the hardware unit 'running_su'\nfound: units running_sum, wrong_sum\nwhere: rtl\n"
            "next:  use one of the nearest: running_sum, wrong_sum\n",
        ),
        (
            ["--set", "width=3"],
            "asked: --set on 2 units\n"
            "found: parameters, seeds and sizes that mean something else for each unit\nwhere: --set\n"
            "next:  name one unit: siliform rtl test running_sum ...\n",
        ),
        (
            ["running_sum", "--set", "depth=3"],
            "asked: running_sum with depth = 3\nfound: parameters lanes, width, negative\n"
            "where: --set depth=3\nnext:  use one of the nearest: width\n",
        ),
        (
            ["running_sum", "--set", "negative=perhaps"],
            "asked: running_sum with negative = perhaps\nfound: a word that is no truth value\n"
            "where: --set negative=perhaps\nnext:  give a value such as False\n",
        ),
        (
            ["running_sum", "--shape", "rows=1"],
            "asked: a case of running_sum with rows = 1\nfound: cases of rows, length, whole numbers\n"
            "where: --shape\nnext:  give all of them: --shape rows=6,length=6\n",
        ),
        (
            ["running_sum", "--shape", "rows"],
            "asked: --shape rows\nfound: no NAME=NUMBER with commas between\nwhere: --shape\n"
            "next:  write --shape m=1,n=8\n",
        ),
        (
            ["--sizes", "large"],
            "asked: --sizes large\nfound: no such choice\nwhere: --sizes\n"
            "next:  use one of: quick, full, nightly\n",
        ),
        (
            ["--bench", "vunit"],
            "asked: --bench vunit\nfound: no such choice\nwhere: --bench\n"
            "next:  use one of: ctypes, cocotb, both\n",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_is_told_in_four_parts(
    arguments: list[str], error: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert rtl(capsys, "test", *arguments, status=2) == ("", error)


def test_without_a_compiler_it_says_what_to_install(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXX", "/no/such/compiler")
    out, err = rtl(capsys, "test", status=2)
    assert out == ""
    assert "found: no /no/such/compiler, which CXX names\n" in err
    assert "next:  install one (Debian and Ubuntu: apt install g++)" in err


def test_calibrates_what_holds_and_nothing_else(
    verilator: Verilator, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    found = told(capsys, "calibrate", "--out", "kept", "--jobs", "1", status=1)
    assert [c["unit"] for c in found["calibrations"]] == ["running_sum"]
    assert {e["unit"] for e in found["failed"]} == {"wrong_sum"}
    assert [p.name for p in (tmp_path / "kept").iterdir()] == ["running_sum.toml"]
    read = read_calibration(tmp_path / "kept" / "running_sum.toml")
    assert [c.name for c in read.circuits] == [unit.name for unit in RunningSum.elaborations()]
    assert {(c.cases, c.shapes) for c in read.circuits} == {(40, 40)}
    assert {c.deviation_cycles for c in read.circuits} == {0}
    out, _ = rtl(capsys, "calibrate", "running_sum", "--out", "kept", "--jobs", "1")
    assert "running_sum 5 200 200 " in " ".join(out.split())


def test_lists_the_units(capsys: pytest.CaptureFixture[str]) -> None:
    first, _ = told(capsys, "list")["units"]
    assert first["unit"] == "running_sum"
    assert (
        first["about"]
        == "Running sums of rows, `lanes` side by side, that wrap at `width` bits; `negative` subtracts"
    )
    assert first["elaborations"] == [unit.name for unit in RunningSum.elaborations()]
    assert first["calibration"] is None
    out, _ = rtl(capsys, "list")
    assert any(line.startswith("running_sum ") for line in out.splitlines())


@pytest.mark.parametrize(("changed", "shown"), [((), "2026-01-02"), (("arch/law.py",), "stale")])
def test_the_list_tells_which_units_are_calibrated(
    changed: tuple[str, ...], shown: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    circuit = Circuit("2x8", {}, {}, 40, 40, 999, 0)
    known = Calibration(
        "running_sum", "running_sum", ("arch/f.py:f",), date(2026, 1, 2), 0, "", {}, {}, (circuit,)
    )
    monkeypatch.setattr(Calibration, "changed", lambda self: changed)
    monkeypatch.setattr(told_room, "calibrations", lambda: (known,))
    found = told(capsys, "list")["units"][0]["calibration"]
    assert found["changed_since"] == list(changed)
    assert found["summary"] == "1 circuit, 40 cases, 999 cycles, each as the law says"
    out, _ = rtl(capsys, "list")
    assert next(line for line in out.splitlines() if line.startswith("running_sum ")).split()[-1] == shown


def test_the_shell_completes_units() -> None:
    assert [name for name, _ in complete_unit("run")] == ["running_sum"]


def test_every_example_of_the_help_is_understood(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With units that the examples name, and nothing run."""
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(campaign, "run_jobs", lambda jobs, workers, told: [Outcome(job) for job in jobs])
    monkeypatch.setattr("siliform.arch.calibration.HERE", tmp_path)
    for command in ("list", "test", "calibrate"):
        out, _ = rtl(capsys, command, "--help")
        lines = [line.strip() for line in out.partition("Examples:\n")[2].strip().splitlines()]
        assert lines
        for line in lines:
            rtl(capsys, *shlex.split(line)[2:])
