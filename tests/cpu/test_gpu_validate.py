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
from siliform import gpu_lines, gpu_networks, gpu_told, listing
from siliform.arch.design import load_design
from siliform.arch.gpu.gpu import Gpu
from siliform.arch.tech import fit_gpu_laws, fp8_products, measured
from siliform.cli import main
from siliform.gpu_line_reasons import line_reason
from siliform.graph_ir.errors import UserError
from siliform.kernels.bench import measurement
from siliform.kernels.bench.checks import FORMAT, VERSION
from siliform.kernels.bench.measurement import Measurement

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
    assert out.startswith("mean absolute error of predicted time, held-out rows of public tables\n")
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


#: What an H100 of 80 GB on an SXM board says of itself (torch.cuda.get_device_properties).
BOARD = {
    "name": "NVIDIA H100 80GB HBM3",
    "capability": "9.0",
    "multiprocessors": 132,
    "memory_bytes": 84_929_347_584,
    "l2_bytes": 50 * 2**20,
    "driver": None,
}


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
        "device": BOARD,
        "versions": dict.fromkeys(("python", "torch", "triton", "cuda")),
        "date": "2026-01-01T12:00:00Z",
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
        line("five", ("bf16[8,8]", "bf16[8,8]"), None),
    )
    judged = sf.gpu.validate("none", measurements=path)
    table = judged.table("matmul", H100, "siliform")
    assert table.predicted_s[0] == pytest.approx(expected, rel=0.05)
    assert table.measured_s.tolist() == [10e-6]
    assert judged.table("matmul", H100, "cublas").predicted_s == table.predicted_s
    assert judged.table("attention", H100, "siliform").predicted_s[0] > 1e-6
    assert [(each.case, each.reason) for each in judged.refused] == [
        ("three", "the line names no op of the catalogue")
    ]
    told = gpu_told.as_object(judged)
    jsonschema.validate(told, listing.schema("gpu-validate"))
    assert "no prediction of 1" in gpu_told.as_text(judged)


def network(case: str, tokens: int, context: int, **more: Any) -> dict[str, Any]:
    sizes = {"batch": 2, "tokens": tokens, "context": context}
    told = {"family": "network", "op": "network", "options": {"model": "gpt2"}, "sizes": sizes}
    return line(case, None, more.pop("median_s", 900e-6), implementation="transformers", **told, **more)


def test_networks_are_judged_as_replayed_and_as_launched_one_by_one(tmp_path: Path) -> None:
    """A host that takes long for an operator is what an eager run waits for; one that does not is not."""
    empty = line("empty", None, 2e-6, family="launch", op="increment", implementation="torch", host_s=5e-6)
    both = {"timed": "graph", "eager_s": 5e-3}
    path = write(
        tmp_path / "made.jsonl",
        empty,
        line("emptier", None, 2e-6, family="launch", op="increment", implementation="torch", host_s=4e-5),
        network("prefill", 64, 0, **both),
        network("decode", 1, 64, **both),
        network("no graph", 1, 32, timed="eager", reason="made up", median_s=6e-3),
    )
    judged = sf.gpu.validate("none", measurements=path)
    replayed, eager = (judged.table("network", H100, f"transformers{how}") for how in ("", " eager"))
    assert [replayed.shapes(i) for i in range(2)] == ["prefill", "decode"]
    assert [eager.shapes(i) for i in range(3)] == ["prefill", "decode", "no graph"]
    assert replayed.measured_s.tolist() == [900e-6, 900e-6]
    assert eager.measured_s.tolist() == [5e-3, 5e-3, 6e-3]
    for place, phase in enumerate(("prefill", "decode")):
        sizes = (
            {"batch": 2, "tokens": 64, "context": 0} if phase == "prefill" else {"batch": 2, "context": 64}
        )
        found = gpu_networks.launched(gpu_networks.launched_graph("gpt2", sizes), sf.accelerator(H100))
        assert 18 * 12 < found.kernels < 22 * 12  # by hand: 19 of each of 12 layers, and two more of a cache
        assert replayed.predicted_s[place] == pytest.approx(found.graph_s)
        assert eager.predicted_s[place] == pytest.approx(max(found.graph_s, 5e-6 * found.kernels))
        assert found.eager_s(1.0) == found.kernels
    assert "no graph" in {each.shape for each in judged.worst()}
    reasons = {each.shape: each.reason for each in judged.worst()}
    assert reasons["no graph"].startswith("launched one by one (made up)")
    alone = sf.gpu.validate(
        "none", measurements=write(tmp_path / "b.jsonl", network("prefill", 8, 0, **both))
    )
    assert [t.framework for t in alone.tables] == ["transformers"]
    assert [each.reason for each in alone.refused] == [
        "launched one by one: the file has no launch by torch, whose host time that would take"
    ]


def test_a_network_is_predicted_as_the_library_launches_it() -> None:
    """No operator joined to another: longer than an estimate, which fuses; logits of one token."""
    graph = gpu_networks.launched_graph("gpt2", {"batch": 1, "tokens": 256, "context": 0})
    head = [n for n in graph.nodes if n.module == "lm_head"]
    assert sum(node.macs_dense for node in head) == 768 * 50257
    found = gpu_networks.launched(graph, sf.accelerator(H100))
    fused = sf.estimate(sf.trace("gpt2", seq=256), sf.accelerator(H100), bits="bf16")
    assert found.kernels > 2 * len(fused.parts)
    assert found.graph_s > 1.2 * fused.latency_s


def test_every_line_that_the_bench_writes_is_predicted_or_refused_with_a_reason(tmp_path: Path) -> None:
    """Types with scales, operands that a library widens, and what computes another function."""
    block = ("bf16[64,256]", "int4@block32:bf16[128,256]")
    binary = ("binary[64,256]", "binary[128,256]")
    path = write(
        tmp_path / "made.jsonl",
        line("block", block, 5e-6, family="fp4_matmul", op="linear"),
        line("narrow", binary, 5e-6, family="binary_matmul", op="linear", implementation="cublas-int8"),
        line("none", binary, 5e-6, family="binary_matmul", op="linear"),
        line("flash", ("bf16[4]",), 5e-6, family="gated_linear", op="silu", implementation="sdpa-flash"),
        line("odd", ("strange",), 5e-6),
        line("does not fit", ("bf16[8,9]", "bf16[8,9]"), 5e-6),
    )
    judged = sf.gpu.validate("none", measurements=path)
    assert {t.framework for t in judged.tables} == {"siliform", "cublas-int8"}
    int8 = sf.estimate(sf.trace("gemm:64,128,256,int8"), sf.accelerator(H100), bits="traced").latency_s
    assert judged.table("binary_matmul", H100, "cublas-int8").predicted_s[0] == pytest.approx(int8, rel=0.05)
    reasons = {each.case: each.reason for each in judged.refused}
    assert reasons.pop("none").startswith("tensor takes ")
    assert reasons == {
        "flash": "sdpa-flash computes another function of the same operands",
        "odd": "an operand 'strange' that is no type of a graph",
        "does not fit": "a has 9 columns, b has 8 rows",
    }


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"cache": "warm"}, "operands lay in the level-2 cache; an estimate reads them from DRAM"),
        ({"spread": 0.3}, "samples differ: interquartile range 30% of the median"),
        ({}, "the law, as far as the line tells"),
    ],
)
def test_lines_say_why_they_are_far_off(more: dict[str, Any], reason: str) -> None:
    made = [Measurement.of(line("a", None, 1e-6, **more))]
    assert line_reason(made[0], 5e-6, H100, made) == reason


def test_other_lines_say_why_one_is_far_off() -> None:
    slow = Measurement.of(line("a", None, 90e-6, clocks={"sm_hz": 1.2e9}))
    beside = Measurement.of(line("a", None, 12e-6, implementation="cublas"))
    assert line_reason(slow, 10e-6, H100, [slow, beside]) == "cublas took 12.0 us of the same"
    assert line_reason(slow, 10e-6, H100, [slow]) == "the clock was 1.20 GHz, the design's is 1.83"


def test_committed_lines_are_judged_unless_a_part_of_the_tables_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measurement, "FOLDER", tmp_path)
    with pytest.raises(UserError) as caught:
        sf.gpu.validate("none")
    assert str(caught.value) == (
        "asked: the GPU model judged by measured kernels: all families on all GPUs\n"
        "found: no public tables, by --source none, and no measurements in kernels/measurements\n"
        "where: --source\n"
        "next:  leave --source out, or measure some with `siliform gpu bench` on a machine with a GPU and give "
        "--measurements FILE"
    )
    path = write(tmp_path / "made.jsonl", *ONE_OF_EACH)
    assert [t.family for t in sf.gpu.validate("none").tables] == ["matmul", "attention"]
    assert [t.family for t in sf.gpu.validate("none", families=["matmul"]).tables] == ["matmul"]
    with pytest.raises(UserError) as caught:
        sf.gpu.validate("none", measurements=path, gpus=[A100], families=["decode", "gemm"])
    assert str(caught.value) == (
        f"asked: the measurements of {path}\n"
        "found: no line of decode, gemm on nvidia-a100\n"
        "where: --gpu and --family\n"
        "next:  ask for matmul, attention, on nvidia-h100"
    )


SQUARE = ("bf16[512,512]", "bf16[512,512]")
ONE_OF_EACH = (
    line("one", SQUARE, 10e-6),
    line("two", ("bf16[2,8,256,64]",) * 3, 20e-6, family="attention", op="attention"),
)


def test_measured_lines_are_filtered_and_nothing_is_judged_twice(tmp_path: Path) -> None:
    path = write(tmp_path / "made.jsonl", *ONE_OF_EACH)
    for families in (["attention"], ["attention", "attention"]):
        judged = sf.gpu.validate("none", measurements=path, gpus=[H100, H100], families=families)
        assert [(t.family, len(t.measured_s)) for t in judged.tables] == [("attention", 1)]


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


def test_lines_of_different_implementations_are_not_pooled(tmp_path: Path) -> None:
    """Nor called held-out rows: that is what a half of the public tables is."""
    lines = (*ONE_OF_EACH, line("one", SQUARE, 90e-6, implementation="cublas"))
    judged = sf.gpu.validate("none", measurements=write(tmp_path / "made.jsonl", *lines))
    assert list(judged.pooled()) == []
    text = gpu_told.as_text(judged)
    assert text.startswith("mean absolute error of predicted time, lines of `siliform gpu bench`\n  family ")
    assert "held-out" not in text
    assert "all frameworks together" not in text
    told = gpu_told.as_object(judged)
    jsonschema.validate(told, listing.schema("gpu-validate"))
    assert told["gpus"] == []
    assert all(table["own"] for table in told["tables"])


@pytest.mark.parametrize(
    ("changed", "found"),
    [
        (
            {"name": "NVIDIA A100-PCIE-40GB", "multiprocessors": 108, "memory_bytes": 40 * 2**30},
            "108 {} 40 GiB",
        ),
        ({"name": "NVIDIA GH200 480GB", "memory_bytes": 95 * 2**30}, "132 {} 95 GiB"),
        ({"name": "NVIDIA H100 PCIe", "multiprocessors": 114}, "114 {} 79 GiB"),
        ({"name": "NVIDIA H100 NVL"}, "132 {} 79 GiB"),
        ({"multiprocessors": 16}, "16 {} 79 GiB"),  # a part of a GPU
    ],
)
def test_a_board_that_only_resembles_one_of_ours_is_refused(changed, found: str, tmp_path: Path) -> None:
    other = line("x", SQUARE, 1e-6, device=BOARD | changed)
    path = write(tmp_path / "a.jsonl", other)
    reason = f"there is no design of a device {(BOARD | changed)['name']!r} of {found.format('multiprocessors and')}"
    with pytest.raises(UserError) as caught:
        sf.gpu.validate("none", measurements=path)
    assert str(caught.value) == (
        f"asked: the measurements of {path}\n"
        f"found: no prediction of any of 1 cases, such as x: {reason}\n"
        "where: --measurements\n"
        "next:  measure some with `siliform gpu bench` on a machine with a GPU that there is a design of: "
        "NVIDIA A100-SXM4-80GB, NVIDIA H100 80GB HBM3, NVIDIA H200, NVIDIA L40S, NVIDIA B200"
    )
    beside = sf.gpu.validate("none", measurements=write(path, other, line("one", SQUARE, 10e-6)))
    assert [(each.case, each.reason) for each in beside.refused] == [("x", reason)]
    assert [table.design for table in beside.tables] == [H100]


def test_boards_have_the_multiprocessors_of_their_designs() -> None:
    counts = {design: gpu_lines._multiprocessors(design) for design in gpu_lines.BOARDS.values()}
    assert counts == {A100: 108, H100: 132, H200: 132, L40S: 142, B200: 148}  # as their data sheets say


def test_a_fault_of_the_estimate_is_not_taken_for_a_line_without_a_prediction(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ValueError("a fault of ours")

    monkeypatch.setattr("siliform.api.estimate", broken)
    path = write(tmp_path / "a.jsonl", line("one", ("bf16[480,512]", "bf16[512,480]"), 1e-6))
    with pytest.raises(ValueError, match="a fault of ours"):
        sf.gpu.validate("none", measurements=path)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"operands": ["bf16[8,8]"]}, "1 operands of matmul, which takes a, b"),
        ({"operands": ["bf16[8,8]"] * 3}, "3 operands of matmul, which takes a, b"),
        ({"operands": ["bf16[8,,8]"] * 2}, "an operand 'bf16[8,,8]' that is no type of a graph"),
        ({"operands": ["bf16[" + "9" * 5000 + "]"] * 2}, "an operand 'bf16[999"),
        ({"operands": ["floats[8,8]"] * 2}, "'floats' is no number format"),
        ({"attributes": {"axis": [1, [2]]}}, "matmul has no attribute ['axis']"),
        ({"attributes": {"axis": {"a": 1}}}, "matmul has no attribute ['axis']"),
        ({"op": "gather", "attributes": {"axis": [1]}}, ""),
        ({"family": "network", "options": {"model": "no-such"}, "sizes": {"batch": 1, "tokens": 2}}, "no "),
        ({"family": "network", "options": {"model": "gpt2"}, "sizes": {"batch": 0, "tokens": 2}}, ""),
    ],
)
def test_operands_that_no_op_takes_are_told(changed, reason: str, tmp_path: Path) -> None:
    lines = (line("one", SQUARE, 10e-6), line("odd", SQUARE, 1e-6, **changed))
    judged = sf.gpu.validate("none", measurements=write(tmp_path / "a.jsonl", *lines))
    (refused,) = judged.refused
    assert refused.case == "odd"
    assert refused.reason.startswith(reason)


def test_mistakes_are_told_in_four_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError) as caught:
        sf.gpu.validate("rumour")
    assert str(caught.value) == (
        "asked: --source rumour\n"
        "found: the names are aiconfigurator, none\n"
        "where: --source\n"
        "next:  use one of the nearest: aiconfigurator, none"
    )
    with pytest.raises(UserError) as caught:
        sf.gpu.validate("none", measurements=write(tmp_path / "b.jsonl", line("x", None, None)))
    assert str(caught.value) == (
        f"asked: the measurements of {tmp_path / 'b.jsonl'}\n"
        "found: no measured kernel among 1 lines\n"
        "where: --measurements\n"
        "next:  measure some with `siliform gpu bench` on a machine with a GPU"
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
