"""`siliform simulate`: its outputs, files and refusals, and what Ctrl-C leaves."""

from __future__ import annotations

import gzip
import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import siliform as sf
from siliform import listing
from siliform.cli import main
from siliform.graph_ir.graph import Builder
from siliform.graph_ir.ops import OPS
from siliform.graph_ir.types import tensor

ROOT = Path(__file__).parents[2]
SIMULATE = ("simulate", "--model", "chain.graph", "--design", "edge-32x32")


def chain(layers: int, width: int) -> str:
    """Square products one after the other, as text."""
    b = Builder("chain")
    x = b.input("x", tensor("fp32", width, width))
    for layer in range(layers):
        with b.at(f"layers.{layer}.up", "chain.py:1"):
            x = b(OPS["linear"], x, b.parameter(f"w{layer}", tensor("fp32", width, width)))
    return str(b.finish(x))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "chain.graph").write_text(chain(4, 64))
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *arguments: str, status: int = 0) -> tuple[str, str]:
    with pytest.raises(SystemExit) as stop:
        main([*SIMULATE, *arguments])
    out, err = capsys.readouterr()
    assert stop.value.code == status, err
    return out, err


def test_prints_its_schema_and_writes_files(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = ("--csv", "p.csv", "--timeline", "t.json.gz", "--html", "r.html", "--pictures", "p")
    out, err = run(capsys, "--json", *files)
    report = json.loads(out)
    jsonschema.validate(report, listing.schema("report"))
    assert out.count("\n") == 1
    assert report["simulation"]["partial"] is False
    with gzip.open("t.json.gz", "rt") as file:
        trace = json.load(file)
    assert trace["otherData"]["cycles"] == report["cycles"]
    assert f'id="cycles" value="{report["cycles"]}"' in (folder / "r.html").read_text()
    pictures = sorted(path.name for path in (folder / "p").iterdir())
    assert "chain-edge-32x32-prefill-gantt.png" in pictures
    assert sorted(err.splitlines()) == [f"wrote p/{name}" for name in pictures]


def test_a_table_says_what_json_says(capsys: pytest.CaptureFixture[str]) -> None:
    text, _ = run(capsys)
    report = json.loads(run(capsys, "--json")[0])
    lines = text.splitlines()
    for cause, cycles in report["simulation"]["stalls_cycles"].items():
        assert any(re.match(rf"{cause} +{cycles:,} ", line) for line in lines) == (cycles > 0)
    for use in report["simulation"]["resources"]:
        busy = rf"{use['busy_cycles']:,} +{100 * use['busy_share']:.1f} %"
        shown = rf"{use['name']} +{busy} +{use['waited_cycles']:,} "
        assert any(re.match(shown, line) for line in lines)
    assert not any("partial" in line for line in lines)


def test_a_timeline_says_on_stderr_what_it_leaves_out(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("siliform.simulator.events.recording.RECORDED", 3)
    _, err = run(capsys, "--no-fold", "--timeline", "t.json", "--json")
    assert re.fullmatch(
        r"t\.json: [\d,]+ tiles and transfers from cycle [\d,]+ on are not shown: 3 were recorded; "
        r"nodes are all shown\n",
        err,
    )


def test_the_api_writes_the_same_files(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, "--timeline", "a.json.gz", "--html", "a.html")
    graph = sf.trace("chain.graph")
    sf.simulate(graph, sf.accelerator("edge-32x32"), timeline="b.json.gz", html=folder / "b.html")
    assert Path("a.json.gz").read_bytes() == Path("b.json.gz").read_bytes()
    assert Path("a.html").read_text() == Path("b.html").read_text()


REFUSED = {
    "no folder": (
        ("--timeline", "none/t.json"),
        "to write none/t.json",
        "there is no folder none",
        "mkdir -p none",
    ),
    "a folder": (("--timeline", "."), "to write .", ". is a folder", "give the name of a file in it"),
    "no folder for a page": (
        ("--html", "none/r.html"),
        "to write none/r.html",
        "there is no folder none",
        "mkdir",
    ),
    "a file as folder": (("--pictures", "chain.graph"), "to write chain.graph", "File exists", "give a path"),
    "a full disk": (
        ("--timeline", "/dev/full"),
        "to write /dev/full",
        "No space left on device",
        "give a path",
    ),
    "a full disk for a page": (("--html", "/dev/full"), "to write /dev/full", "No space left", "give a path"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refuses_files_that_cannot_be_written(case: str, capsys: pytest.CaptureFixture[str]) -> None:
    options, asked, found, advice = REFUSED[case]
    out, err = run(capsys, *options, status=2)
    assert out == ""
    lines = err.splitlines()
    assert lines[0] == f"asked: {asked}"
    assert lines[1].startswith(f"found: {found}")
    assert lines[2] == f"where: {options[0]}"
    assert advice in lines[3]


# -- Ctrl-C --------------------------------------------------------------------------------------


def interrupted(folder: Path, *options: str) -> tuple[int, str, str]:
    """Run for long, press Ctrl-C as soon as the progress bar says that some nodes are done."""
    (folder / "long.graph").write_text(chain(400, 512))
    command = [
        sys.executable,
        "-m",
        "siliform",
        "simulate",
        "--model",
        "long.graph",
        "--design",
        "edge-32x32",
    ]
    command += ["--no-fold", "--set", "scratchpad.bytes=4096", *options]
    ours, theirs = pty.openpty()  # progress is for terminals
    environment = os.environ | {"PYTHONPATH": str(ROOT), "TERM": "xterm", "COLUMNS": "120"}
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=theirs,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    os.close(theirs)
    shown = ""
    give_up = time.monotonic() + 90
    while not re.search(r"\b[1-9]\d*/401\b", shown):
        assert time.monotonic() < give_up, shown
        shown += os.read(ours, 4096).decode(errors="replace")
    process.send_signal(signal.SIGINT)
    rest = []
    with process:
        assert process.stdout is not None
        os.set_blocking(ours, False)
        out = process.stdout.read()
    while True:
        try:
            rest.append(os.read(ours, 4096))
        except OSError:  # nothing more, or the other end is closed
            break
        if not rest[-1]:
            break
    os.close(ours)
    return process.returncode, out, shown + b"".join(rest).decode(errors="replace")


def test_ctrl_c_leaves_a_partial_result(folder: Path) -> None:
    files = ("--timeline", "t.json.gz", "--html", "r.html")
    status, out, err = interrupted(folder, "--json", *files)
    assert status == 130, err
    report = json.loads(out)
    jsonschema.validate(report, listing.schema("report"))
    known = report["simulation"]
    assert known["partial"] is True
    assert 0 < known["blocks_done"] < known["blocks"] == 401
    done = [part for part in report["parts"] if part["op"] != "overlap"]
    assert len(done) == known["blocks_done"]
    said = f"partial: stopped after {known['blocks_done']} of 401 nodes"
    with gzip.open(folder / "t.json.gz", "rt") as file:
        trace: dict[str, Any] = json.load(file)
    assert said in trace["otherData"]["notes"]
    nodes = [e for e in trace["traceEvents"] if e["ph"] == "X" and "bound_by" in e["args"]]
    assert len(nodes) == len(done)
    assert said in (folder / "r.html").read_text()
    assert said in err


def test_ctrl_c_leaves_a_table_that_says_so(folder: Path) -> None:
    status, out, _ = interrupted(folder)
    assert status == 130
    assert re.match(r"partial: stopped after \d+ of 401 nodes; totals are of these\n", out)
    assert re.search(r"^stalled for", out, re.MULTILINE)
