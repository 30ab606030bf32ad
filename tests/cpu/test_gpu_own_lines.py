"""The GPU model judged by lines of `siliform gpu bench`: what is predicted of them, what is refused, why."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import siliform as sf
from siliform import gpu_coverage, gpu_lines, gpu_networks, gpu_told, listing
from siliform.gpu_line_reasons import line_reason
from siliform.graph_ir.errors import UserError
from siliform.kernels.bench import measurement
from siliform.kernels.bench.case import load
from siliform.kernels.bench.checks import FORMAT, VERSION
from siliform.kernels.bench.measurement import Measurement

A100, B200, H100, H200, L40S = (f"nvidia-{name}" for name in ("a100", "b200", "h100", "h200", "l40s"))


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


SQUARE = ("bf16[512,512]", "bf16[512,512]")
ONE_OF_EACH = (
    line("one", SQUARE, 10e-6),
    line("two", ("bf16[2,8,256,64]",) * 3, 20e-6, family="attention", op="attention"),
)


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


#: Networks take seconds each to be traced; `network` stands for them below.
CASES = tuple(case for suite in ("tiny", "full") for case in load()[suite] if case.family != "network")


def test_every_line_that_the_bench_writes_is_predicted_or_refused_with_a_reason(tmp_path: Path) -> None:
    """All cases of the bench, each in all its implementations, with times that nobody measured."""
    path, wanted = tmp_path / "made.jsonl", set()
    with path.open("w") as file:
        for made in (made for case in CASES for made in gpu_coverage.lines_of(case)):
            file.write(made.line() + "\n")
            wanted.add((made.case, made.implementation))
    assert len(wanted) > 500
    judged = sf.gpu.validate("none", measurements=path)
    found = {(t.shapes(row), t.framework) for t in judged.tables for row in range(len(t.measured_s))}
    refused = {each.case for each in judged.refused}
    assert found <= wanted
    assert {case for case, _ in wanted - found} == refused
    assert all(0 < seconds < 10 for table in judged.tables for seconds in table.predicted_s)
    known = (gpu_lines.NO_OP, "computes another function of the same operands", "tensor takes ")
    assert all(any(words in each.reason for words in known) for each in judged.refused)


def test_the_list_of_what_is_predicted_is_generated() -> None:
    """But for networks, whose row takes as long as they do."""
    page = gpu_coverage.PAGE.read_text(encoding="utf-8")
    shown = page.partition(gpu_coverage.BEGIN)[2].partition(gpu_coverage.END)[0].strip().splitlines()
    told = gpu_coverage.coverage([case for case in load()["full"] if case.family != "network"])
    advice = "bring the list up to date: python -m siliform.gpu_coverage --write"
    assert [row for row in shown if not row.startswith("| network ")] == told.splitlines(), advice
    assert "| network | transformers; transformers eager | - |" in shown


def test_types_with_scales_and_operands_that_a_library_widens(tmp_path: Path) -> None:
    """And what computes another function."""
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
        "next:  leave --source out, or measure some with `siliform gpu bench` on a machine with a GPU "
        "and give --measurements FILE"
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


def test_measured_lines_are_filtered_and_nothing_is_judged_twice(tmp_path: Path) -> None:
    path = write(tmp_path / "made.jsonl", *ONE_OF_EACH)
    for families in (["attention"], ["attention", "attention"]):
        judged = sf.gpu.validate("none", measurements=path, gpus=[H100, H100], families=families)
        assert [(t.family, len(t.measured_s)) for t in judged.tables] == [("attention", 1)]


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
    called, described = other["device"]["name"], found.format("multiprocessors and")
    reason = f"there is no design of a device {called!r} of {described}"
    with pytest.raises(UserError) as caught:
        sf.gpu.validate("none", measurements=path)
    assert str(caught.value) == (
        f"asked: the measurements of {path}\n"
        f"found: no prediction of any of 1 cases, such as x: {reason}\n"
        "where: --measurements\n"
        "next:  measure what is predicted (kernels/measurements/README.md lists it) on one of "
        "NVIDIA A100-SXM4-80GB, NVIDIA H100 80GB HBM3, NVIDIA H200, NVIDIA L40S, NVIDIA B200"
    )
    beside = sf.gpu.validate("none", measurements=write(path, other, line("one", SQUARE, 10e-6)))
    assert [(each.case, each.reason) for each in beside.refused] == [("x", reason)]
    assert [table.design for table in beside.tables] == [H100]


def test_boards_have_themultiprocessors_of_their_designs() -> None:
    counts = {design: gpu_lines.multiprocessors(design) for design in gpu_lines.BOARDS.values()}
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
        ({"operands": ["floats[8,8]"] * 2}, "no format of that name"),
        ({"attributes": {"axis": [1, [2]]}}, "matmul has no attribute ['axis']"),
        ({"attributes": {"axis": {"a": 1}}}, "matmul has no attribute ['axis']"),
        ({"op": "gather", "attributes": {"axis": [1]}}, ""),
        ({"family": "network", "options": {"model": "no-such"}, "sizes": {"batch": 1, "tokens": 2}}, "no "),
        ({"family": "network", "options": {"model": "gpt2"}, "sizes": {"batch": 0, "tokens": 2}}, ""),
    ],
)
def test_operands_that_no_op_takes_are_told(changed, reason: str, tmp_path: Path) -> None:
    lines = (line("one", SQUARE, 10e-6), line("odd", SQUARE, 1e-6) | changed)
    judged = sf.gpu.validate("none", measurements=write(tmp_path / "a.jsonl", *lines))
    (refused,) = judged.refused
    assert refused.case == "odd"
    assert refused.reason.startswith(reason)


def test_a_time_of_whole_seconds_is_a_time(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", line("one", SQUARE, 10**30))
    assert gpu_told.as_object(sf.gpu.validate("none", measurements=path))["worst"][0]["measured_s"] == 1e30


def test_a_file_without_a_measured_kernel_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        sf.gpu.validate("none", measurements=write(tmp_path / "b.jsonl", line("x", None, None)))
    assert str(caught.value) == (
        f"asked: the measurements of {tmp_path / 'b.jsonl'}\n"
        "found: no measured kernel among 1 lines\n"
        "where: --measurements\n"
        "next:  measure some with `siliform gpu bench` on a machine with a GPU"
    )
