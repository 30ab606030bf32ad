"""``--json``: one JSON object alone on stdout, in its published shape, whatever else a command does."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from siliform import listing
from siliform.cli import main
from siliform.options import SCHEMAS

ROOT = Path(__file__).parents[2]
EDGE = ("estimate", "--design", "edge-32x32", "--json", "--model")

#: A module and a callable that print wherever they can.
LOUD = """\
import os
import sys
import warnings

import torch

print("loud: import")


class Loud(torch.nn.Linear):
    def forward(self, x):
        print("loud: forward")
        return super().forward(x)


def build():
    print("loud: build")
    os.system("echo loud: shell")
    warnings.warn("loud: warning")
    return Loud(4, 4), (torch.zeros(2, 4),)
"""

#: The command, and the schema of what it prints.
COMMANDS: dict[str, tuple[tuple[str, ...], str]] = {
    "estimate": ((*EDGE, "gemm:16,16,16,int8"), "report"),
    "estimate with files": (
        (*EDGE, "gemm:8,8,8,int8", "--csv", "a.csv", "--program", "p.json", "--pictures", "pictures"),
        "report",
    ),
    "estimate on a GPU": (
        ("estimate", "--design", "nvidia-h100", "--model", "bert-tiny", "--seq", "16", "--json"),
        "report",
    ),
    "bound": ((*EDGE, "bert-tiny", "--seq", "16", "--law", "bound"), "report"),
    "expanded formats": ((*EDGE, "py:mine.py:build", "--bits", "mxfp4"), "report"),
    "trace": (("trace", "--model", "bert-tiny", "--seq", "16", "--json"), "graph"),
    "trace to a file": (("trace", "--model", "gemm:1,2,3", "--out", "a.graph", "--json"), "graph"),
    "designs": (("designs", "--json"), "designs"),
    "one design": (("designs", "nvidia-a100", "--json"), "shown-design"),
    "models": (("models", "--json"), "models"),
    "methods": (("methods", "--json"), "methods"),
    "one method": (("methods", "softmax", "--json"), "methods"),
}


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[Any, str]:
    with pytest.raises(SystemExit) as stop:
        main(list(arguments))
    out, err = capsys.readouterr()
    assert stop.value.code == 0, err
    assert out.count("\n") == 1
    return json.loads(out), err


@pytest.mark.parametrize(("arguments", "schema"), COMMANDS.values(), ids=COMMANDS)
def test_prints_one_object_of_its_schema(
    arguments: tuple[str, ...],
    schema: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(LOUD)
    told, _ = run(capsys, *arguments)
    jsonschema.validate(told, listing.schema(schema))


@pytest.mark.parametrize("name", SCHEMAS)
def test_publishes_valid_schemas(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    told, _ = run(capsys, "schema", name)
    jsonschema.Draft202012Validator.check_schema(told)
    assert told == listing.schema(name)


def test_a_shown_design_is_one_of_the_schema_of_designs(capsys: pytest.CaptureFixture[str]) -> None:
    told, _ = run(capsys, "designs", "edge-32x32", "--set", "array.rows=16", "--json")
    assert told["parameters"]["units"]["array"]["rows"] == 16
    jsonschema.validate(told["parameters"], listing.schema("design"))


def test_names_the_files_on_stderr_and_writes_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments, _ = COMMANDS["estimate with files"]
    told, err = run(capsys, *arguments)
    pictures = sorted((tmp_path / "pictures").iterdir())
    assert [f"wrote pictures/{p.name}" for p in pictures] == sorted(err.splitlines())
    assert len(pictures) == 4
    assert (tmp_path / "a.csv").read_text().startswith("name,module,op,kind,unit")
    blocks = json.loads((tmp_path / "p.json").read_text())["blocks"]
    assert [block["name"] for block in blocks] == [part["name"] for part in told["parts"]]


def process(*arguments: str, cwd: Path, stderr: int = subprocess.PIPE) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "siliform", *arguments]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "TERM": "xterm", "COLUMNS": "200"}
    return subprocess.run(
        command, cwd=cwd, env=environment, text=True, stdout=subprocess.PIPE, stderr=stderr, check=True
    )


def test_a_model_that_prints_prints_on_stderr(tmp_path: Path) -> None:
    """From Python and from a program that it starts, in a real process with its real descriptors."""
    (tmp_path / "mine.py").write_text(LOUD)
    done = process(*EDGE, "py:mine.py:build", cwd=tmp_path)
    assert json.loads(done.stdout)["model"] == "build"
    for word in ("import", "build", "shell", "forward"):
        assert f"loud: {word}\n" in done.stderr


def test_long_work_shows_a_spinner_on_a_terminal_only(tmp_path: Path) -> None:
    """With --json too; a pipe sees nothing of it."""
    arguments = (*EDGE, "gemm:16,16,16,int8")
    assert process(*arguments, cwd=tmp_path).stderr == ""
    terminal, end = pty.openpty()
    done = process(*arguments, cwd=tmp_path, stderr=end)
    os.close(end)
    shown = os.read(terminal, 1 << 16).decode()
    os.close(terminal)
    assert json.loads(done.stdout)["model"] == "gemm:16,16,16,int8"
    assert "tracing gemm:16,16,16,int8" in shown
    assert "mapping gemm:16,16,16,int8 onto edge-32x32 (the first time, kernels are compiled" in shown
