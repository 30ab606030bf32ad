"""The GPU model judged by measured kernels: public tables where they are installed, and lines of our own."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import jsonschema
import numpy as np
import pytest

import siliform as sf
from siliform import gpu_told, listing
from siliform.arch.design import load_design
from siliform.arch.gpu.gpu import Gpu
from siliform.arch.tech import fp8_products, measured
from siliform.cli import main
from siliform.graph_ir.errors import UserError

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
def test_products_of_fp8_are_near_with_what_makes_their_input(found: sf.gpu.Validation) -> None:
    """Constants of what makes inputs fp8 are of half of an H100's rows; a B200 has tiles of its own."""
    for design, most in ((H100, 0.13), (H200, 0.14), (B200, 0.15)):
        for framework in ("vllm", "trtllm", "sglang"):
            assert found.error("gemm", design, framework, "fp8_e4m3") <= most
    assert found.error("gemm", H100, "trtllm", "fp8_e4m3") <= 0.05


@needs_tables
def test_what_makes_inputs_fp8_is_refitted_to_what_was_written_down() -> None:
    gpu = Gpu.of(load_design(H100))
    rows = measured.rows_of(H100, "gemm", "trtllm", "fp8_e4m3")
    assert rows is not None
    some = rows.some(np.flatnonzero(~rows.held_out)[::20])
    known = fp8_products.QUANTISERS["trtllm"]
    made = fp8_products.refitted(some, gpu, fp8_products.Quantiser(2.0, 100.0, 4.0))
    assert made.launches == pytest.approx(known.launches, rel=0.03)
    assert made.element_bytes == pytest.approx(known.element_bytes, rel=0.05)


def test_a_product_with_a_scale_for_each_token_has_one_tile_for_its_rows() -> None:
    """129 rows take tiles of 128, so that 128 more cost next to nothing, and K is never cut."""
    gpu = Gpu.of(load_design(H100))
    m = np.array([64.0, 65.0, 128.0, 129.0, 256.0])
    n, k, memory = np.full(5, 512.0), np.full(5, 8192.0), np.zeros(5)
    by_token = fp8_products.fp8_product_cycles(gpu, "vllm", m, n, k, memory)
    free = fp8_products.fp8_product_cycles(gpu, "trtllm", m, n, k, memory)
    assert by_token[1] == by_token[2]
    assert by_token[3] == by_token[4]
    assert by_token[0] < by_token[1] < by_token[3]
    assert (free < by_token).all()


@needs_tables
@pytest.mark.parametrize("family", ["prefill", "decode", "encoder"])
def test_attention_of_vllm_on_h100_and_h200_is_within_its_bounds(family: str) -> None:
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
    assert out.startswith("mean absolute error of predicted time, held-out rows of public tables\n")
    for part in ("all frameworks together", "the worst ", "encoder  nvidia-l40s  vllm 0.24.0"):
        assert part in out
    drawn = picture.read_text()
    assert "measured, us" in drawn
    assert drawn.count("<image") == 1  # one GPU's points


@needs_tables
def test_the_page_is_generated() -> None:
    """Every row of every family, by library and of all together."""
    page = gpu_told.PAGE.read_text(encoding="utf-8")
    shown = page.partition(gpu_told.BEGIN)[2].partition(gpu_told.END)[0].splitlines()
    lines = gpu_told.as_page(sf.gpu.validate()).split("### The worst ten")[0].splitlines()
    rows = [line for line in lines if line.startswith("|")]
    assert {row.split("|")[1].strip() for row in rows} >= {"gemm", "prefill", "decode", "encoder"}
    missing = [row for row in rows if row not in shown]
    assert not missing, "bring the page up to date: python -m siliform.gpu_told --write"


@needs_tables
def test_a_name_given_twice_is_judged_once() -> None:
    judged = sf.gpu.validate(gpus=[L40S, L40S], families=["encoder", "encoder"])
    assert len({table.name for table in judged.tables}) == len(judged.tables)


@needs_tables
def test_a_part_that_the_tables_do_not_have_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder
) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["gpu", "validate", "--gpu", A100, "--family", "encoder", "--plot", str(tmp_path / "a.png")])
    assert stop.value.code == 2
    assert capsys.readouterr() == (
        "",
        "asked: the GPU model judged by measured kernels: encoder on nvidia-a100\n"
        "found: no rows of them in the public tables\n"
        "where: --gpu and --family\n"
        "next:  leave one of both out and see what there is: `siliform gpu validate --gpu nvidia-a100`\n",
    )
    assert not recwarn.list
    with pytest.raises(UserError, match=r"next: .*what there is: `siliform gpu validate`$"):
        sf.gpu.validate(families=["top_k"])  # of the bench alone


def test_mistakes_are_told_in_four_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError) as caught:
        sf.gpu.validate("rumour")
    assert str(caught.value) == (
        "asked: --source rumour\n"
        "found: the names are aiconfigurator, none\n"
        "where: --source\n"
        "next:  use one of the nearest: aiconfigurator, none"
    )
    monkeypatch.setattr(measured, "PACKAGE", "no_such_package_at_all")
    with pytest.raises(UserError) as caught:
        sf.gpu.validate(gpus=[H100], families=["gemm"])
    assert str(caught.value) == (
        "asked: the public tables of measured GPU kernels\n"
        "found: the package no-such-package-at-all is not installed\n"
        "where: --source aiconfigurator\n"
        "next:  pip install 'siliform[yardstick]'"
    )


@pytest.mark.parametrize("source", sf.gpu.SOURCES)
def test_an_unknown_gpu_or_family_names_the_nearest(source: str) -> None:
    with pytest.raises(UserError) as caught:
        sf.gpu.validate(source, gpus=["nvidia-h1000"])
    assert str(caught.value) == (
        "asked: --gpu nvidia-h1000\n"
        "found: the names are nvidia-h100, nvidia-h200, nvidia-a100, nvidia-l40s, nvidia-b200\n"
        "where: --gpu\n"
        "next:  use one of the nearest: nvidia-h100, nvidia-h200, nvidia-a100"
    )
    with pytest.raises(UserError, match="where: --family\nnext:  use one of the nearest: gemm"):
        sf.gpu.validate(source, families=["gem"])


@pytest.mark.parametrize(
    ("name", "found"), [("q.xyz", "the ending '.xyz'"), ("picture", "a name without an ending")]
)
def test_a_picture_of_no_known_ending_is_refused_before_the_work(
    name: str, found: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sf.gpu, "validate", lambda *_, **__: pytest.fail("work was done"))
    with pytest.raises(SystemExit) as stop:
        main(["gpu", "validate", "--plot", str(tmp_path / name)])
    assert stop.value.code == 2
    assert capsys.readouterr().err == (
        f"asked: the picture {tmp_path / name}\n"
        f"found: {found}\n"
        "where: --plot\n"
        "next:  end the name in one of .svg, .png, .pdf, .jpg, .jpeg, .webp, .tif, .tiff\n"
    )
