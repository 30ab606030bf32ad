"""Running cases: right before timed, a line each, going on where a run stopped; kernels are interpreted."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import torch

from siliform import listing
from siliform.graph_ir.errors import UserError
from siliform.kernels.bench import measurement, runner
from siliform.kernels.bench.case import Case, load
from siliform.kernels.bench.cuda import commit, find_gpu
from siliform.kernels.bench.families import FAMILIES
from siliform.kernels.bench.families.base import LIBRARY_BOUND, Missing, copied, kernel_of
from siliform.kernels.bench.one import run_case
from siliform.kernels.bench.report import told_run
from siliform.kernels.bench.runner import DeviceLost, run_cases
from tests.cpu.kernels.bench_fakes import FakeDevice, context

TINY = load()["tiny"]
SCHEMA = listing.schema("measurement")
MATMUL = next(case for case in TINY if case.family == "matmul")
COPY = next(case for case in TINY if case.family == "copy")
#: What takes a compiler or seconds, and what this CPU has no back end for.
SLOW = {"compile", "flex", "sdpa-nested"}


def absent(case: Case) -> str | None:
    """Why the case's kernel is not there."""
    try:
        kernel_of(case)
    except Missing as error:
        return str(error)
    return None


def quietly(_line: str) -> None:
    """Nobody listens."""


@pytest.mark.parametrize("case", TINY, ids=lambda case: case.name)
def test_every_tiny_case_is_right_under_the_interpreter(case: Case, tmp_path: Path):
    wanted = [name for name in case.implementations if name not in SLOW]
    path = tmp_path / "a.jsonl"
    for made in run_case(case, wanted, FakeDevice(), context(path)):
        jsonschema.validate(json.loads(made.line()), SCHEMA)
        if made.implementation != "siliform":
            assert made.status in ("measured", "refused"), made.reason
            continue
        if missing := absent(case):
            assert (made.status, made.reason) == ("missing", missing)
            continue
        assert made.status == "measured", made.reason
        assert made.error is not None
        assert made.error <= made.error_bound
        assert made.examined


def test_a_wrong_kernel_is_told_and_not_timed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    family = FAMILIES["matmul"]
    monkeypatch.setattr(type(family), "ours", lambda self, case, x: lambda: (x["a"] @ x["b"]) * 1.01)
    device = FakeDevice()
    (made,) = run_case(MATMUL, ["siliform"], device, context(tmp_path / "a"))
    assert made.status == "wrong"
    assert made.error == pytest.approx(0.01, rel=0.2)
    assert made.reason == f"error {made.error:.3g} above 0.004"
    assert not [what for what in device.asked if what.startswith("time")]


@pytest.mark.parametrize(
    "result",
    [
        lambda x: torch.full((65, 70), torch.nan),
        lambda x: torch.zeros(3, 3),
        lambda x: x["a"].new_empty(65, 70),
    ],
    ids=["NaN", "another shape", "not written"],
)
def test_nan_other_shapes_and_memory_not_written_are_wrong(result, monkeypatch, tmp_path: Path):
    monkeypatch.setattr(type(FAMILIES["matmul"]), "ours", lambda self, case, x: lambda: result(x))
    (made,) = run_case(MATMUL, ["siliform"], FakeDevice(), context(tmp_path / "a"))
    assert made.status in ("wrong", "failed")
    jsonschema.validate(json.loads(made.line()), SCHEMA)


@pytest.mark.parametrize("off", [1.02, 1.1])
def test_a_baseline_has_a_bound_too(off: float, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """One that rounds more than our kernel may is measured, one that computes something else is not."""

    def cublas(case: Case, x: dict[str, torch.Tensor]):
        return lambda: (x["a"] @ x["b"]) * off

    monkeypatch.setattr(type(FAMILIES["matmul"]), "baselines", lambda self: {"cublas": cublas})
    (made,) = run_case(MATMUL, ["cublas"], FakeDevice(), context(tmp_path / "a"))
    assert made.error_bound == LIBRARY_BOUND == 0.05
    if off > 1.05:
        assert (made.status, made.reason) == ("wrong", f"error {made.error:.3g} above 0.05")
    else:
        assert made.status == "measured"


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (RuntimeError("No available kernel. Aborting execution."), "refused"),
        (RuntimeError("CUDA error: CUBLAS_STATUS_NOT_SUPPORTED when calling cublasLtMatmul"), "refused"),
        (RuntimeError("self.size(0) needs to be greater than 16, but got 5"), "refused"),
        (NotImplementedError('"addmm_cuda" for Char'), "refused"),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied (3x4 and 5x6)"), "failed"),
        (RuntimeError("CUDA error: an illegal memory access was encountered"), "failed"),
        (ValueError("a fault of ours"), "failed"),
    ],
)
def test_a_baseline_that_breaks_is_refused_only_where_the_library_says_so(
    error: Exception, status: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    def broken(case: Case, x: object):
        raise error

    monkeypatch.setattr(type(FAMILIES["matmul"]), "baselines", lambda self: {"cublas": broken})
    (made,) = run_case(MATMUL, ["cublas"], FakeDevice(), context(tmp_path / "a"))
    assert (made.status, made.reason) == (status, f"{type(error).__name__}: {error}")


def test_a_missing_kernel_is_told_and_its_baselines_run(tmp_path: Path):
    gone = Case(**(vars(MATMUL) | {"kernel": "nothing.at_all"}))
    ours, cublas = run_case(gone, gone.implementations, FakeDevice(), context(tmp_path / "a"))
    assert (ours.status, ours.reason) == ("missing", "there is no kernels/gpu/nothing.py")
    assert cublas.status == "measured"
    gone = Case(**(vars(MATMUL) | {"kernel": "matmul.nothing"}))
    ours, _ = run_case(gone, gone.implementations, FakeDevice(), context(tmp_path / "a"))
    assert ours.reason == "kernels/gpu/matmul.py has no function nothing"


def test_operand_sets_are_twice_the_cache_or_told_warm(tmp_path: Path):
    device = FakeDevice(l2_bytes=8 * 2**10)
    (made,) = run_case(COPY, ["torch"], device, context(tmp_path / "a"))
    assert (made.sets, made.cycled_bytes, made.cache) == (6, 6 * 4000, "cold")
    (made,) = run_case(COPY, ["torch"], FakeDevice(l2_bytes=2**20), context(tmp_path / "a"))
    assert (made.sets, made.cache) == (64, "warm")
    (made,) = run_case(COPY, ["torch"], FakeDevice(l2_bytes=None), context(tmp_path / "a"))
    assert made.cache is None


def test_copies_of_operands_lie_as_the_first_do():
    x = torch.randn(3, 4, 5)
    for given in (x, x.transpose(1, 2), x[:, :1, None].expand(-1, 6, 2, -1), torch.tensor(1.0)):
        made = copied(given)
        assert [step == 0 for step in made.stride()] == [step == 0 for step in given.stride()]
        assert sorted(range(given.ndim), key=made.stride) == sorted(range(given.ndim), key=given.stride)
        assert torch.equal(made, given)
        assert made.data_ptr() != given.data_ptr()


def test_a_commit_is_told_by_git_or_by_whoever_copied(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.delenv("SILIFORM_COMMIT", raising=False)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert commit(tmp_path) is None
    monkeypatch.setenv("SILIFORM_COMMIT", "abc123")
    assert commit(tmp_path) == "abc123"


def test_energy_is_taken_where_it_is_asked_for(tmp_path: Path):
    asked = Case(**(vars(COPY) | {"energy": True}))
    device = FakeDevice(watts=400.0)
    (made,) = run_case(asked, ["torch"], device, context(tmp_path / "a", idle_w=100.0))
    batch = made.calls and int(4e-3 / (made.median_s * made.sets)) * made.sets
    assert made.energy_j == pytest.approx(300.0 * 1e-2 / batch, rel=0.05)  # a batch takes 10 ms here
    (made,) = run_case(asked, ["torch"], device, context(tmp_path / "a"))
    assert (made.energy_j, made.energy_reason) == (None, "no counter here")
    unasked = Case(**(vars(COPY) | {"energy": False}))
    (made,) = run_case(unasked, ["torch"], device, context(tmp_path / "a", idle_w=100.0))
    assert made.energy_reason == "not asked for"


def test_a_run_goes_on_where_it_stopped(tmp_path: Path):
    path, device = tmp_path / "a.jsonl", FakeDevice()
    cases = (COPY, MATMUL)
    first = run_cases(cases, device, context(path), budget_s=1e-9, say=quietly)
    assert [made.case for made in first.written] == [COPY.name]
    assert first.left == (MATMUL,)
    second = run_cases(cases, device, context(path), 100.0, quietly)
    assert [made.key for made in second.written] == [(MATMUL.name, "siliform"), (MATMUL.name, "cublas")]
    third = run_cases(cases, device, context(path), 100.0, quietly)
    assert (third.written, third.left) == ((), ())
    assert len(path.read_text().splitlines()) == 3


def test_nothing_begins_when_the_seconds_are_over_in_the_middle_of_a_case_either(tmp_path: Path):
    path = tmp_path / "a.jsonl"
    first = run_cases((MATMUL, COPY), FakeDevice(), context(path), budget_s=1e-9, say=quietly)
    assert [made.key for made in first.written] == [(MATMUL.name, "siliform")]
    assert first.left == (MATMUL, COPY)
    second = run_cases((MATMUL,), FakeDevice(), context(path), budget_s=1e-9, say=quietly)
    assert [made.key for made in second.written] == [(MATMUL.name, "cublas")]
    assert second.left == ()


def test_what_failed_before_comes_last(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    path = tmp_path / "a.jsonl"

    def broken(self: object, case: Case, operands: object) -> None:
        raise RuntimeError("an illegal memory access was encountered\nmore")

    with monkeypatch.context() as patched:
        patched.setattr(type(FAMILIES["matmul"]), "ours", broken)
        patched.setattr(runner, "_alive", lambda place: False)
        with pytest.raises(DeviceLost, match="illegal memory access"):
            run_cases((MATMUL, COPY), FakeDevice(), context(path), 100.0, quietly)
    (line,) = measurement.read(path)
    assert line.reason == "RuntimeError: an illegal memory access was encountered"
    outcome = run_cases((MATMUL, COPY), FakeDevice(), context(path), 100.0, quietly)
    assert [made.case for made in outcome.written] == [COPY.name, MATMUL.name, MATMUL.name]
    assert {m.status for m in measurement.read(path)} == {"measured"}


def test_measurements_of_two_devices_do_not_share_a_file(tmp_path: Path):
    path = tmp_path / "a.jsonl"
    run_cases((COPY,), FakeDevice(), context(path), 100.0, quietly)
    with pytest.raises(UserError) as caught:
        run_cases((COPY,), FakeDevice(name="Fake GPU 2"), context(path), 100.0, quietly)
    assert caught.value.asked == f"to add measurements of Fake GPU 2 to {path}"
    assert caught.value.found == "it holds measurements of Fake GPU 1"
    assert caught.value.where == "--out"


def test_what_does_not_fit_is_refused(tmp_path: Path):
    huge = Case(**(vars(COPY) | {"sizes": {"elements": 2**40}}))
    (made,) = run_case(huge, ["torch"], FakeDevice(), context(tmp_path / "a"))
    assert (made.status, made.reason) == ("refused", "4096.0 GiB do not fit here")


def test_the_whole_bench_on_a_device_that_is_told_of(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """From names to file, object and status, with the smallest cases in place of the suite's."""
    monkeypatch.setattr(runner, "find_gpu", FakeDevice)
    monkeypatch.setattr(runner, "chosen", lambda suite, only: (COPY, MATMUL))
    monkeypatch.setattr("siliform.kernels.bench.report.chosen", lambda suite, only: (COPY, MATMUL))
    said: list[str] = []
    outcome = runner.bench("quick", (), tmp_path / "a.jsonl", said.append)
    told = told_run(outcome, "quick", ())
    jsonschema.validate(json.loads(json.dumps(told.object)), listing.schema("gpu-bench"))
    assert told.status == 0
    assert said[0].startswith(
        "device: Fake GPU 1, compute capability 9.0, 4 multiprocessors, 1 GiB, driver unknown"
    )
    assert len(said) == 4
    assert told.object["counts"]["measured"] == 3
    name = runner.default_path(FakeDevice()).name
    assert name.startswith("fake-gpu-1-20")
    assert name.endswith(".jsonl")


def test_a_file_that_cannot_be_written_is_told_before_the_work(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setattr(runner, "find_gpu", FakeDevice)
    with pytest.raises(UserError) as caught:
        runner.bench("quick", (), tmp_path, quietly)
    assert caught.value.asked == f"to write measurements to {tmp_path}"
    assert caught.value.where == "--out"


def test_under_the_interpreter_nothing_is_timed():
    with pytest.raises(UserError) as caught:
        find_gpu()
    assert caught.value.found.startswith("TRITON_INTERPRET is set")
    assert caught.value.next_step == "unset TRITON_INTERPRET"
