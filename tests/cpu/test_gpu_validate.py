"""The GPU model judged by measured kernels: public tables where they are installed, and lines of our own."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

import siliform as sf
from siliform import gpu_told, listing
from siliform.arch.tech import fit_gpu_laws, measured
from siliform.cli import main
from siliform.graph_ir.errors import UserError
from siliform.kernels.bench.measurement import FORMAT, VERSION, Measurement

needs_tables = pytest.mark.skipif(
    find_spec(measured.PACKAGE) is None or find_spec("pyarrow") is None,
    reason="the public tables of measured kernels are not installed: pip install 'siliform[yardstick]'",
)
H100, A100, H200, L40S, B200 = (f"nvidia-{name}" for name in ("h100", "a100", "h200", "l40s", "b200"))


@pytest.fixture(scope="module")
def found() -> sf.gpu.Validation:
    return sf.gpu.validate(families=["gemm"])


@needs_tables
@pytest.mark.parametrize(
    ("design", "most"),
    # What was asked of bf16 products, all libraries together; to the last three no constant has been fitted.
    [(H100, 0.08), (A100, 0.10), (H200, 0.10), (L40S, 0.15), (B200, 0.15)],
)
def test_products_are_within_what_was_asked(found: sf.gpu.Validation, design: str, most: float) -> None:
    errors = {d: figures.mean for family, d, form, figures in found.pooled() if form == "bf16"}
    assert errors[design] <= most
    if design in (H100, H200, A100):
        for framework in ("vllm", "trtllm", "sglang"):
            assert found.error("gemm", design, framework) <= most


@needs_tables
@pytest.mark.parametrize("family", ["prefill", "decode", "encoder"])
def test_attention_is_within_what_was_asked(family: str) -> None:
    judged = sf.gpu.validate(families=[family], gpus=[H100, H200])
    assert judged.error(family, H100, "vllm") <= 0.12
    assert judged.error(family, H200, "vllm") <= 0.125  # never fitted


@needs_tables
def test_a_naive_roofline_is_far_worse(found: sf.gpu.Validation) -> None:
    table = found.table("gemm", H100, "vllm")
    m, n, k = table.sizes.T.astype(float)
    roofline = np.maximum(2 * m * n * k / 989.4e12, 2 * (m * k + n * k + m * n) / 3.35e12)
    errors = np.abs(roofline / table.measured_s - 1)
    assert np.mean(errors[table.held_out]) > 5 * found.error("gemm", H100, "vllm")


@needs_tables
def test_the_fitted_half_is_no_better_than_the_held_out_one(found: sf.gpu.Validation) -> None:
    for framework in ("vllm", "trtllm", "sglang"):
        parts = found.table("gemm", H100, framework).parts()
        held, rest = parts["held_out"], parts["rest"]
        assert held is not None
        assert rest is not None
        assert held.mean == pytest.approx(rest.mean, rel=0.03)  # a few constants learn no shapes by heart


def test_halves_are_even_and_the_same_everywhere() -> None:
    m, n, k = (np.random.default_rng(i).integers(1, 10**5, 4000) for i in range(3))
    held = measured.held_out(m, n, k)
    assert 0.47 < held.mean() < 0.53
    assert 0.45 < measured.held_out(np.full(1000, 16), n[:1000], k[:1000]).mean() < 0.55
    # Pinned: the halves that constants were fitted to must never move.
    rows = np.array([1, 16, 256, 1024, 4096])
    assert measured.held_out(rows, np.full(5, 8192), np.full(5, 1024)).tolist() == PINNED


PINNED = [True, False, False, True, True]


@needs_tables
def test_the_json_is_of_its_schema_and_says_what_the_api_says(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["gpu", "validate", "--gpu", A100, "--family", "decode", "--json"])
    out, err = capsys.readouterr()
    assert stop.value.code == 0, err
    told = json.loads(out)
    jsonschema.validate(told, listing.schema("gpu-validate"))
    judged = sf.gpu.validate(gpus=[A100], families=["decode"])
    assert told == json.loads(json.dumps(gpu_told.as_object(judged)))
    assert [t["framework"] for t in told["tables"]] == ["vllm", "trtllm", "sglang"]
    table = judged.table("decode", A100, "vllm")
    assert told["tables"][0]["held_out"]["mean"] == pytest.approx(
        np.mean(np.abs(table.predicted_s / table.measured_s - 1)[table.held_out])
    )
    assert len(told["worst"]) <= 10
    assert all(worst["reason"] for worst in told["worst"])


@needs_tables
def test_the_text_and_the_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = tmp_path / "made.svg"
    with pytest.raises(SystemExit) as stop:
        main(["gpu", "validate", "--gpu", L40S, "--family", "encoder", "--plot", str(picture)])
    out, err = capsys.readouterr()
    assert stop.value.code == 0, err
    assert out.startswith("mean absolute error of predicted time, held-out rows\n")
    for part in ("all frameworks together", "the worst ", "encoder  nvidia-l40s  vllm 0.24.0"):
        assert part in out
    drawn = picture.read_text()
    assert "measured, us" in drawn
    assert drawn.count("<image") == 1  # one GPU's points


@needs_tables
def test_the_page_is_generated(found: sf.gpu.Validation) -> None:
    """A sample: every table of products as the page shows it."""
    page = gpu_told.PAGE.read_text(encoding="utf-8")
    shown = page.partition(gpu_told.BEGIN)[2].partition(gpu_told.END)[0]
    lines = gpu_told.as_page(found).split("### The worst ten")[0].splitlines()
    rows = [line for line in lines if line.startswith("| gemm")]
    assert len(rows) > 25
    missing = [row for row in rows if row not in shown]
    assert not missing, "bring the page up to date: python -m siliform.gpu_told --write"


@needs_tables
def test_the_fit_ends_where_it_was_written_down() -> None:
    """From other constants, on few rows, the fit comes back to about the committed ones."""
    rows = [
        (design, generation, some.some(np.arange(0, len(some), 5)))
        for design, generation, some in fit_gpu_laws.training([("gemm", "trtllm")])
    ]
    start = fit_gpu_laws.now()
    bounds = {name: fit_gpu_laws.PRODUCTS[name] for name in ("hopper.step_cycles", "fill_cycles")}
    fitted = fit_gpu_laws.fitted(start | {"hopper.step_cycles": 120.0, "fill_cycles": 2000.0}, bounds, rows)
    for name in bounds:
        assert fitted[name] == pytest.approx(start[name], rel=0.15)


def line(case: str, operands: tuple[str, ...] | None, median_s: float | None, **more: Any) -> dict[str, Any]:
    held: dict[str, Any] = {
        "case": case,
        "suite": "quick",
        "family": "matmul",
        "op": "matmul",
        "kernel": "matmul.matmul",
        "sizes": {},
        "formats": {"operands": "bf16"},
        "options": {},
        "operands": operands,
        "attributes": {},
        "seed": 1,
        "implementation": "siliform",
        "status": "measured" if median_s else "failed",
        "reason": None if median_s else "made up",
        "median_s": median_s,
        "device": {"name": "NVIDIA H100 80GB HBM3"},
        "versions": {},
        "date": "2026-01-01",
    }
    names = Measurement.__dataclass_fields__
    return {"format": FORMAT, "version": VERSION} | dict.fromkeys(names) | held | more


def write(path: Path, *lines: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(each) + "\n" for each in lines))
    return path


def test_lines_of_our_own_are_judged_by_the_estimate(tmp_path: Path) -> None:
    graph = sf.trace("gemm:512,512,512,bf16")
    expected = sf.estimate(graph, sf.accelerator(H100), bits="traced").latency_s
    attention = ("bf16[2,8,256,64]",) * 3
    path = write(
        tmp_path / "made.jsonl",
        line("one", ("bf16[512,512]", "bf16[512,512]"), 10e-6),
        line("one", ("bf16[512,512]", "bf16[512,512]"), 8e-6, implementation="cublas"),
        line("two", attention, 20e-6, family="attention", op="attention", attributes={"pattern": "causal"}),
        line("three", None, 5e-6, family="copy", op="nothing"),
        line(
            "four",
            None,
            900e-6,
            family="network",
            options={"model": "bert-tiny"},
            sizes={"batch": 2, "tokens": 64},
        ),
        line("five", ("bf16[8,8]", "bf16[8,8]"), None),
    )
    judged = sf.gpu.validate("none", measurements=path)
    table = judged.table("matmul", H100, "siliform")
    assert table.predicted_s[0] == pytest.approx(expected, rel=0.05)
    assert table.measured_s.tolist() == [10e-6]
    assert judged.table("matmul", H100, "cublas").predicted_s == table.predicted_s
    assert judged.table("attention", H100, "siliform").predicted_s[0] > 1e-6
    assert judged.table("network", H100, "siliform").predicted_s[0] > 1e-5
    assert [(each.case, each.reason) for each in judged.refused] == [
        ("three", "the line names no op of the catalogue")
    ]
    told = gpu_told.as_object(judged)
    jsonschema.validate(told, listing.schema("gpu-validate"))
    assert "no prediction of 1" in gpu_told.as_text(judged)


def test_mistakes_are_told_in_four_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError) as caught:
        sf.gpu.validate("rumour")
    assert str(caught.value) == (
        "asked: source 'rumour'\n"
        "found: aiconfigurator, none\n"
        "where: siliform.gpu.validate\n"
        "next:  use one of the nearest: aiconfigurator, none"
    )
    strange = write(tmp_path / "a.jsonl", line("x", None, 1e-6, device={"name": "Voodoo 2"}))
    with pytest.raises(UserError) as caught:
        sf.gpu.validate("none", measurements=strange)
    assert "found: a device 'Voodoo 2'" in str(caught.value)
    assert "measure on one of H200, H100, A100, L40S, B200" in str(caught.value)
    with pytest.raises(UserError) as caught:
        sf.gpu.validate("none", measurements=write(tmp_path / "b.jsonl", line("x", None, None)))
    assert "found: no measured kernel" in str(caught.value)
    monkeypatch.setattr(measured, "PACKAGE", "no_such_package_at_all")
    with pytest.raises(UserError) as caught:
        sf.gpu.validate(gpus=[H100], families=["gemm"])
    assert str(caught.value) == (
        "asked: the public tables of measured GPU kernels\n"
        "found: the package no-such-package-at-all is not installed\n"
        "where: --source aiconfigurator\n"
        "next:  pip install 'siliform[yardstick]'"
    )


@needs_tables
def test_an_unknown_gpu_or_family_names_the_nearest() -> None:
    with pytest.raises(UserError, match="use one of the nearest: nvidia-h100"):
        sf.gpu.validate(gpus=["nvidia-h1000"])
    with pytest.raises(UserError, match="use one of the nearest: gemm"):
        sf.gpu.validate(families=["gem"])
