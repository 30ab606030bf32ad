"""A first `import siliform` and `siliform --help` are quick, and leave the heavy libraries alone."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LIMIT_S = 0.3  # processor time, user and system, interpreter included: what feels immediate
HEAVY = ("torch", "transformers", "triton", "cocotb", "matplotlib", "pandas", "networkx", "numba")
STARTS = {
    "import": [sys.executable, "-c", "import siliform"],
    "help": [sys.executable, "-m", "siliform", "--help"],
    "estimate help": [sys.executable, "-m", "siliform", "estimate", "--help"],
}


def cpu_seconds(command: list[str]) -> float:
    """User and system time of one run; the run must succeed."""
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, f"{command} ended with {process.returncode}"
    return usage.ru_utime + usage.ru_stime


@pytest.mark.parametrize("command", STARTS.values(), ids=STARTS)
def test_starts_quickly(command: list[str]) -> None:
    """The best of five runs: what the program costs, less what else the machine was doing."""
    times = [cpu_seconds(command) for _ in range(5)]
    assert min(times) < LIMIT_S, f"{command[1:]} took {min(times):.3f} s of processor time"


@pytest.mark.parametrize("module", ["siliform", "siliform.cli"])
def test_leaves_heavy_libraries_alone(module: str) -> None:
    """No heavy library is loaded, and none is absent for the wrong reason."""
    code = f"import {module}, sys; print(*set({HEAVY}).intersection(sys.modules))"
    loaded = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert loaded.stdout.split() == []
    assert importlib.util.find_spec("torch"), "torch is not installed, so this test shows nothing"


@pytest.mark.parametrize("model", ["gemm:16,16,16,int8", "saved.graph"])
def test_estimates_without_torch(model: str, tmp_path: Path) -> None:
    """What was traced once is costed without PyTorch, nor anything for pictures and tables."""
    (tmp_path / "saved.graph").write_text(
        'graph "saved" {\n  input %x : fp32[2,4]\n  weight %w : fp32[8,4]\n'
        "  %y : fp32[2,8] = linear(%x, %w)\n  return %y\n}\n"
    )
    unwelcome = set(HEAVY) - {"numba"}
    code = (
        "import sys, siliform as sf\n"
        f"print(sf.estimate(sf.trace({model!r}), sf.accelerator('edge-32x32')).macs > 0)\n"
        f"print(*{unwelcome}.intersection(sys.modules))"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert (done.stdout, done.returncode) == ("True\n\n", 0), done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["estimate", "--help"],
        ["designs"],
        ["models", "--json"],
        ["estimate", "--model", "gemm:16,16,16,int8", "--design", "edge-32x32", "--json"],
    ],
    ids=" ".join,
)
def test_commands_leave_torch_alone(arguments: list[str]) -> None:
    """Where torch cannot even be imported, all that needs no model still works."""
    code = (
        "import sys; sys.modules['torch'] = sys.modules['transformers'] = None\n"
        f"from siliform.cli import main; main({arguments})"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout
