"""``siliform gpu bench`` where no GPU is: what it says, with which status, by either door; its script."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import jsonschema
import pytest

from siliform import listing
from siliform.cli import main
from siliform.kernels.bench import report, runner
from siliform.kernels.bench.__main__ import main as plain
from siliform.kernels.bench.one import LOST

ROOT = Path(__file__).parents[2]
NO_GPU = """\
asked: GPU kernels measured on this machine
found: no CUDA device (torch {torch}, built {built})
where: siliform gpu bench
next:  run it on a machine with an NVIDIA GPU, its driver and a torch built for CUDA; without one, \
`siliform gpu validate` judges the model of GPUs on the measurements that are committed
"""


def siliform(*arguments: str) -> int:
    with pytest.raises(SystemExit) as stop:
        main(["gpu", "bench", *arguments])
    return int(stop.value.code or 0)


@pytest.fixture
def without_gpu(monkeypatch: pytest.MonkeyPatch) -> str:
    """No interpreter and no GPU, also where there is one; what is said then."""
    import torch

    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    built = f"for CUDA {torch.version.cuda}" if torch.version.cuda else "without CUDA"
    return NO_GPU.format(torch=torch.__version__, built=built)


@pytest.mark.parametrize("arguments", [(), ("--suite", "full", "--json"), ("--only", "matmul")])
def test_without_a_gpu_it_says_what_to_do(arguments, without_gpu: str, capsys: pytest.CaptureFixture[str]):
    assert siliform(*arguments) == 2
    assert capsys.readouterr() == ("", without_gpu)
    assert plain(list(arguments)) == 2
    assert capsys.readouterr() == ("", without_gpu)


def test_nothing_is_written_without_a_gpu(without_gpu: str, tmp_path: Path):
    assert siliform("--out", str(tmp_path / "a.jsonl")) == 2
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("--suite", "fast"), "found: no suite of that name"),
        (("--only", "matmull"), "next:  use matmul; there are copy, launch, matmul, "),
    ],
)
def test_unknown_names_come_before_the_device(arguments, line, capsys: pytest.CaptureFixture[str]):
    assert siliform(*arguments) == 2
    assert line in capsys.readouterr().err


def test_a_lost_device_has_a_status_of_its_own(monkeypatch: pytest.MonkeyPatch, capsys):
    def lost(*_arguments: object, **_named: object) -> None:
        raise runner.DeviceLost("rows/softmax (siliform): an illegal memory access was encountered")

    monkeypatch.setattr(runner, "bench", lost)
    monkeypatch.setattr("siliform.kernels.bench.__main__.bench", lost)
    for door in (siliform, lambda: plain([])):
        assert door() == LOST == 75
        assert "the same command goes on" in capsys.readouterr().err


def test_what_is_found_is_one_object_of_its_schema(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys):
    """A run that wrote nothing and left what its budget did not hold: status 1."""
    case = report.chosen("quick", ("copy",))[0]
    outcome = runner.Outcome(tmp_path / "a.jsonl", (), (case,))
    monkeypatch.setattr(runner, "bench", lambda *arguments: outcome)
    assert siliform("--json") == 1
    told = json.loads(capsys.readouterr().out)
    jsonschema.validate(told, listing.schema("gpu-bench"))
    assert told["left"] == [case.name]
    assert siliform() == 1
    assert f"the time budget left 1 cases: the same command with --out {tmp_path}" in capsys.readouterr().out


def test_the_script_ends_as_the_bench_does(tmp_path: Path):
    """run.sh hands on the bench's status, and starts it again where the device was lost."""
    calls = tmp_path / "calls"
    python = tmp_path / "python"
    # Stands for python: pytest is not there, and the bench loses its device twice.
    python.write_text(
        f'#!/bin/sh\n[ "$1" = -c ] && exit 1\necho "$@" >> {calls}\n'
        f'[ "$(wc -l < {calls})" -lt 3 ] && exit 75\nexit 0\n'
    )
    python.chmod(0o755)
    done = subprocess.run(
        [ROOT / "kernels/measurements/run.sh", "--out", "x.jsonl"],
        env=os.environ | {"PYTHON": str(python)},
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    told = [line.split() for line in calls.read_text().splitlines()]
    wanted = ["-m", "siliform.kernels.bench", "--suite", "full", "--seconds", "--out", "x.jsonl"]
    assert [words[:5] + words[6:] for words in told] == [wanted] * 3
    assert all(440 <= int(words[5]) <= 450 for words in told)
    assert done.stderr.count("ended with a lost device") == 2


@pytest.mark.parametrize(
    ("measured", "checked", "status"), [(0, 0, 0), (1, 0, 1), (0, 1, 1), (0, 124, 1), (0, 5, 0), (2, 0, 2)]
)
def test_the_script_checks_when_it_has_measured(measured: int, checked: int, status: int, tmp_path: Path):
    """The status is the bench's where that is not 0, else 1 where a check failed or found no time."""
    calls = tmp_path / "calls"
    python = tmp_path / "python"
    python.write_text(
        f'#!/bin/sh\n[ "$1" = -c ] && exit 0\necho "$@" >> {calls}\n[ "$2" = pytest ] && exit {checked}\n'
        f"exit {measured}\n"
    )
    python.chmod(0o755)
    done = subprocess.run(
        [ROOT / "kernels/measurements/run.sh"],
        env=os.environ | {"PYTHON": str(python), "MEASURE_S": "7"},
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode == status
    told = calls.read_text().splitlines()
    assert told[0].startswith("-m siliform.kernels.bench --suite full --seconds ")
    assert told[1:] == ([] if measured == 2 else ["-m pytest -q tests/gpu"])
    assert ("no time was left" in done.stderr) == (checked == 124)


def test_the_script_cuts_a_bench_short_that_does_not_end(tmp_path: Path):
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\nexec sleep 60\n")
    python.chmod(0o755)
    done = subprocess.run(
        [ROOT / "kernels/measurements/run.sh"],
        env=os.environ | {"PYTHON": str(python), "MEASURE_S": "0", "WHOLE_S": "1"},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == 1
    assert done.stderr == "cut short after 1 s: run this again to go on\n"


def test_the_readme_names_every_exit_status():
    text = (ROOT / "kernels/measurements/README.md").read_text()
    assert all(f"| {status} | " in text for status in (0, 1, 2, LOST))


def test_the_seconds_of_a_run_are_handed_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys):
    given: list[object] = []

    def measured(*arguments: object) -> runner.Outcome:
        given.append(arguments[-1])
        return runner.Outcome(tmp_path / "a.jsonl", ())

    monkeypatch.setattr(runner, "bench", measured)
    monkeypatch.setattr("siliform.kernels.bench.__main__.bench", measured)
    siliform("--seconds", "12")
    plain(["--seconds", "12"])
    plain([])
    assert given == [12.0, 12.0, None]


def test_the_plain_door_loads_no_package_of_the_command_line():
    """torch, triton, NumPy, ml_dtypes and safetensors are all that a machine with a GPU must have."""
    code = """
import sys
for name in "typer rich click pandas pydantic simpy transformers pynvml matplotlib numba".split():
    sys.modules[name] = None
from siliform.kernels.bench.__main__ import main
sys.exit(main(["--only", "matmul"]))
"""
    environment = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}
    environment |= {"PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.returncode == 2, done.stderr
    assert "no CUDA device" in done.stderr


def test_the_names_are_those_of_the_readme():
    text = (ROOT / "kernels/measurements/README.md").read_text()
    assert "kernels/measurements/run.sh" in text
    fields = listing.schema("measurement")["properties"]
    named = {word for word in fields if f"`{word}`" in text}
    assert set(fields) - named == {"format", "version", "suite"}


def test_a_gpu_without_triton_is_told(monkeypatch: pytest.MonkeyPatch, capsys):
    import importlib.util

    import torch

    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    monkeypatch.setattr(torch, "cuda", SimpleNamespace(is_available=lambda: True))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert plain([]) == 2
    assert "next:  pip install 'siliform[gpu]'" in capsys.readouterr().err
