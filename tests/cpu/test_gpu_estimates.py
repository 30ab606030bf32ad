"""Estimates of GPU kernels against the law that measured ones are judged by: one rule, so one error."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest

import siliform as sf
from siliform import gpu_page
from siliform.arch.gpu.gpu import Gpu
from siliform.arch.gpu.kernel import kernel
from siliform.arch.gpu.product import product_cycles
from siliform.arch.tech import measured
from siliform.gpu_estimates import Compared, compared, pooled
from siliform.gpu_levers import Lever, levers, weighed
from siliform.gpu_told import PAGE
from siliform.simulator.simulation import Simulation

needs_tables = pytest.mark.skipif(
    find_spec(measured.PACKAGE) is None or find_spec("pyarrow") is None,
    reason="the public tables of measured kernels are not installed: pip install 'siliform[yardstick]'",
)
GPUS = ("nvidia-h100", "nvidia-a100", "nvidia-l40s", "nvidia-b200")
APART = 0.01  # of rows that come from DRAM, on average: whole cycles, what a row of scores costs besides


def from_dram(gpu: Gpu, m: int, n: int, k: int) -> float:
    """Seconds by the law of a product of bf16 each of whose operands passes DRAM once."""
    size = 2.0 * (m * k + k * n + m * n)
    rate = gpu.rates["bf16"]
    found = kernel(
        gpu,
        lambda memory: product_cycles(gpu, m, n, k, rate, memory_cycles=memory),
        dram_bytes=size,
        all_bytes=size,
        macs_of_bf16=m * n * k,
    )
    return float(found.cycles) / gpu.clock_hz


@pytest.mark.parametrize("design", GPUS)
@pytest.mark.parametrize(
    "shape", [(1024, 2048, 65536), (16, 4096, 4096), (8192, 8192, 8192), (512, 65536, 1024), (33, 77, 129)]
)
def test_an_estimate_of_a_product_is_the_law_of_its_kernel(design: str, shape: tuple[int, int, int]) -> None:
    chip = sf.accelerator(design)
    report = sf.estimate(sf.trace("gemm:{},{},{},bf16".format(*shape)), chip, bits="traced")
    assert report.latency_s == pytest.approx(from_dram(Gpu.of(chip), *shape), rel=1e-3)
    m, n, k = shape
    assert report.dram_bytes == 2 * (m * k + k * n + m * n)  # larger than the cache or not: once each


@pytest.mark.parametrize("law", ["model", "events"])
def test_bytes_of_report_and_events_are_the_same(law: str) -> None:
    """Of operands that no cache holds."""
    graph, chip = sf.trace("gemm:1024,2048,65536,bf16"), sf.accelerator("nvidia-h100")
    expected = 2 * (1024 * 65536 + 65536 * 2048 + 1024 * 2048)
    if law == "model":
        assert sf.estimate(graph, chip, bits="traced").dram_bytes == expected
        return
    found: Simulation = sf.simulate(graph, chip, bits="traced")
    assert found.dram_bytes == expected


def test_results_wait_in_no_more_of_a_cache_than_it_keeps() -> None:
    """Two products in a row: the first's result stays where it is kept, and crosses DRAM twice where not."""
    chip = sf.accelerator("nvidia-h100")
    kept = Gpu.of(chip).kept_bytes
    for rows in (int(kept * 0.9) // 2048, int(kept * 1.1) // 2048):  # of 1,024 results of bf16 each
        b = sf.graph_ir.graph.Builder("two")
        x, y, z = (
            b.input(name, sf.graph_ir.types.tensor("bf16", *shape))
            for name, shape in (("x", (rows, 64)), ("y", (64, 1024)), ("z", (1024, 64)))
        )
        matmul = sf.graph_ir.ops.OPS["matmul"]
        graph = b.finish(b(matmul, b(matmul, x, y), z))
        report = sf.estimate(graph, chip, bits="traced")
        ends = 2 * (rows * 64 + 2 * 64 * 1024 + rows * 64)
        crossing = 2 * 2 * rows * 1024 if rows * 2048 > kept else 0
        assert report.dram_bytes == ends + crossing


@needs_tables
@pytest.mark.parametrize("design", GPUS)
@pytest.mark.parametrize(
    ("family", "framework"),
    [("gemm", "sglang"), ("prefill", "vllm"), ("encoder", "vllm"), ("decode", "sglang")],
)
def test_the_estimate_is_as_far_off_as_the_law(design: str, family: str, framework: str) -> None:
    """Rows whose operands come from DRAM, a few dozen of each table."""
    found = compared(design, family, framework, 40, cold_only=True)
    if found is None:
        pytest.skip(f"no table of {family} by {framework} on {design}")
    law, told = found.errors(cold=True)
    assert len(found.measured_s) >= 30
    assert abs(told - law) < 0.01
    assert found.apart(cold=True) < APART


@needs_tables
@pytest.mark.parametrize("design", ["nvidia-h100", "nvidia-a100", "nvidia-h200", "nvidia-b200"])
def test_operands_in_the_cache_cost_an_estimate_little(design: str) -> None:
    """All rows, also those left in a cache; that of an L40S holds most of them, and it is told apart."""
    found = compared(design, "gemm", "sglang", 120)
    assert found is not None
    law, told = found.errors(cold=False)
    assert told - law < 0.02


def test_the_page_of_targets_counts_what_is_met() -> None:
    def table(design: str, framework: str, off: float) -> sf.gpu.Judged:
        ones = np.ones(4)
        whole = np.full(4, True)
        return sf.gpu.Judged("gemm", design, framework, "1", "bf16", str, None, ones * (1 + off), ones, whole)

    found = sf.gpu.Validation(
        "aiconfigurator",
        (
            table("nvidia-h100", "vllm", 0.05),
            table("nvidia-h100", "sglang", 0.09),
            table("nvidia-b200", "vllm", 0.4),
        ),
    )
    lines = gpu_page.targets(found).splitlines()
    assert lines[0].startswith("Of 2 figures of all libraries together 1 are")
    assert lines[0].endswith("of 3 of single libraries 1.")
    assert "| gemm | nvidia-h100 | 8% | 7.0% met | 5.0% met | - | 9.0% missed |" in lines
    assert "| gemm | nvidia-b200 | 15% | 40.0% missed | 40.0% missed | - | - |" in lines


def test_the_other_parts_of_the_page() -> None:
    two = np.array([1.0, 2.0])
    sample = Compared("gemm", "nvidia-h100", "all", two * 1.1, two * 1.2, two, np.array([False, False]))
    assert "| gemm | nvidia-h100 | 2 | 10.0% | 20.0% | 0 | - | - |" in gpu_page.estimates([sample])
    told = gpu_page.declarations([(Lever("a", "b", "nvidia-l40s"), 0.1, 0.2)])
    assert "| nvidia-l40s | a | 10.0% | b | 20.0% |" in told
    assert {lever.design for lever in levers()} == {"nvidia-h200", "nvidia-l40s", "nvidia-b200"}
    page = PAGE.read_text(encoding="utf-8")
    for part in ("targets", "estimates", "declarations", "validation"):
        assert gpu_page.replaced(page, part, "made anew").count("made anew") == 1
    with pytest.raises(ValueError, match="no part rumours"):
        gpu_page.replaced(page, "rumours", "")


@needs_tables
def test_the_generated_parts_of_the_page_are_as_they_are_now() -> None:
    """A sample of each: targets of products, the estimate's errors of one GPU, what declarations do."""
    page = PAGE.read_text(encoding="utf-8")

    def shown(part: str) -> str:
        begin, end = gpu_page.marks(part)
        return page.partition(begin)[2].partition(end)[0]

    made = {
        "targets": gpu_page.targets(sf.gpu.validate(families=["gemm"])),
        "estimates": gpu_page.estimates(pooled(["nvidia-a100"], ["gemm", "decode"])),
        "declarations": gpu_page.declarations(weighed()),
    }
    for part, told in made.items():
        rows = [row for row in told.splitlines() if "nvidia-" in row]
        assert rows
        missing = [row for row in rows if row not in shown(part)]
        assert not missing, "bring the page up to date: python -m siliform.gpu_told --write"
