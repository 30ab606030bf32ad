"""On a GPU: every family's small cases are right as compiled kernels, times make sense, a file comes out."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from siliform.kernels.bench import measurement, runner
from siliform.kernels.bench.case import Case, load
from siliform.kernels.bench.cuda import Gpu, find_gpu, versions
from siliform.kernels.bench.lines import Context
from siliform.kernels.bench.one import run_case
from siliform.kernels.bench.timing import time_calls

ROOT = Path(__file__).parents[2]
TINY = load()["tiny"]


@pytest.fixture(scope="module")
def gpu() -> Gpu:
    return find_gpu()


@pytest.fixture
def context(tmp_path: Path) -> Context:
    return Context(tmp_path / "a.jsonl", "tiny", versions(), None, 0.02, None, "not asked for")


@pytest.mark.parametrize("case", TINY, ids=lambda case: case.name)
def test_compiled_kernels_are_right(case: Case, gpu: Gpu, context: Context):
    for made in run_case(case, case.implementations, gpu, context):
        if made.implementation != "siliform":
            assert made.status in ("measured", "refused"), made.reason
            continue
        refused = made.status == "refused" and gpu.report["capability"] < "9.0"  # fp8 needs sm_89 or later
        assert made.status == "measured" or refused, made.reason
        assert made.timed in ("graph", None), made.reason


def test_a_large_product_takes_longer_than_a_small_one(gpu: Gpu):
    def product(size: int) -> float:
        x = torch.randn(size, size, device=gpu.torch_device, dtype=torch.bfloat16)
        return time_calls(gpu.capture(lambda: x @ x), 1, gpu, 0.1).median_s

    small, large = product(1024), product(8192)
    assert 20 * small < large < 2000 * small


def test_clocks_are_read_and_left_alone(gpu: Gpu):
    found = gpu.sensors.clocks()
    assert found["sm_hz"] is None or 1e8 < found["sm_hz"] < 5e9
    assert found["temperature_c"] is None or 0 < found["temperature_c"] < 120
    assert gpu.report["driver"] is None or gpu.report["driver"][0].isdigit()


def test_the_command_writes_a_file_and_goes_on(tmp_path: Path):
    path = tmp_path / "a.jsonl"
    command = [sys.executable, "-m", "siliform.kernels.bench", "--only", "launch", "--out", str(path)]
    environment = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"} | {"PYTHONPATH": str(ROOT)}
    for written in (2, 0):
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
        assert done.returncode == 0, done.stderr
        assert f"{written} lines added to {path}" in done.stdout
    assert {m.status for m in measurement.read(path)} == {"measured"}
    assert runner.default_path(find_gpu()).parent == measurement.FOLDER
