"""Products with a weight for each element of their batch read every weight once where that fits."""

from __future__ import annotations

import pytest

import siliform as sf
from siliform.arch.design import parse_design
from siliform.graph_ir.errors import UserError
from siliform.graph_ir.graph import Builder, Graph
from siliform.graph_ir.ops import OPS
from siliform.graph_ir.types import tensor

EXPERTS, TOKENS, WIDTH, WIDER = 8, 16, 64, 96


def experts(rows: int = TOKENS) -> Graph:
    b = Builder("experts")
    x = b.input("x", tensor("int8", rows, WIDTH))
    weights = b.parameter("w", tensor("int8", EXPERTS, WIDER, WIDTH))
    counts = b.input("counts", tensor("int32", EXPERTS))
    return b.finish(b(OPS["grouped_matmul"], x, weights, counts))


def grouped_convolution() -> Graph:
    b = Builder("groups")
    x = b.input("x", tensor("int8", 1, EXPERTS * 8, 16))
    return b.finish(b(OPS["conv"], x, b.parameter("w", tensor("int8", EXPERTS * 8, 8, 1)), groups=EXPERTS))


@pytest.mark.parametrize("design", ["edge-32x32", "edge-16x16-gemmini"])
@pytest.mark.parametrize("make", [experts, grouped_convolution])
def test_weights_of_groups_cross_once(make, design: str) -> None:  # type: ignore[no-untyped-def]
    graph = make()
    values = (*graph.inputs, *graph.parameters, *graph.outputs)
    compulsory_bytes = sum(value.type.bytes for value in values if value.name != "counts")
    report = sf.estimate(graph, sf.accelerator(design), bits="traced", objective="traffic")
    assert compulsory_bytes <= report.dram_bytes <= compulsory_bytes + 4 * EXPERTS + 2


@pytest.mark.parametrize("law", ["model", "bound"])
@pytest.mark.parametrize("design", ["edge-32x32", "nvidia-a100"])
@pytest.mark.parametrize("rows", [1, 2, 7, 8, 10])
def test_experts_without_a_row_are_not_fetched(rows: int, design: str, law: str) -> None:
    report = sf.estimate(experts(rows), sf.accelerator(design), bits="traced", law=law, objective="traffic")
    assert report.macs == rows * WIDTH * WIDER
    fetched = min(rows, EXPERTS) * WIDTH * WIDER
    beside = rows * WIDTH + 4 * EXPERTS + 4 * rows * WIDER
    assert fetched <= report.dram_bytes <= fetched + beside + 8  # each operand rounded up to whole bytes


@pytest.mark.parametrize("design", ["edge-32x32", "server-128x128", "nvidia-a100"])
def test_rows_that_do_not_divide_among_experts_are_all_computed(design: str) -> None:
    """Ten rows on eight experts take no less than eight, and no longer than two on every expert."""
    chip = sf.accelerator(design)
    eight, ten, sixteen = (
        sf.estimate(experts(rows), chip, bits="traced").parts[0].compute_cycles for rows in (8, 10, 16)
    )
    assert eight <= ten <= sixteen


def product(m: int, n: int, k: int, form: str = "int8") -> Graph:
    b = Builder("product")
    x, w = b.input("x", tensor(form, m, k)), b.parameter("w", tensor(form, n, k))
    return b.finish(b(OPS["linear"], x, w))


@pytest.mark.parametrize(
    ("m", "n", "k", "lanes"), [(1, 50, 7, 16), (9, 20, 5, 16), (33, 2, 4, 16), (3, 3, 3, 64)]
)
def test_every_point_on_a_lane_reads_an_operand(m: int, n: int, k: int, lanes: int) -> None:
    """Lanes along n or m: counted one group of neighbours after the other."""
    chip = sf.accelerator("edge-32x32", **{"array.formats": ["fp16"], "vector.lanes": lanes})
    part = sf.estimate(product(m, n, k), chip, bits="traced").parts[0]
    assert part.unit == "vector"
    along_n = sum(1 + min(lanes, n - j) for _ in range(m * k) for j in range(0, n, lanes))
    along_m = sum(1 + min(lanes, m - i) for _ in range(n * k) for i in range(0, m, lanes))
    results = 4 * m * n
    assert part.scratchpad_bytes == min(along_n, along_m) + results + part.dram_bytes
    assert part.scratchpad_bytes > m * n * k


def test_thin_products_on_lanes_cost_no_less_energy_than_their_operands_from_the_scratchpad() -> None:
    chip = sf.accelerator("edge-32x32", **{"vector.products": "any", "array.overlap": "none"})
    part = sf.estimate(product(4, 512, 512), chip, bits="traced").parts[0]
    assert part.unit == "vector"
    read_pj = chip.sram_energy_pj_per_byte(chip.scratchpad).number
    assert part.energy_by_cause_j["scratchpad"] >= 4 * 512 * 512 * read_pj * 1e-12  # type: ignore[index]


def test_a_row_that_is_held_is_read_from_the_scratchpad_in_every_pass() -> None:
    b = Builder("norm")
    graph = b.finish(b(OPS["softmax"], b.input("x", tensor("fp16", 8, 64)), axis=-1))
    part = sf.estimate(graph, sf.accelerator("edge-32x32"), bits="traced").parts[0]
    assert part.dram_bytes == 2 * 8 * 64 * 2
    passes, rest = divmod(part.scratchpad_bytes - part.dram_bytes - 8 * 64 * 2, 8 * 64 * 2)  # type: ignore[operator]
    assert (passes > 1, rest) == (True, 0)


def test_partial_sums_are_charged_to_the_accumulator_where_there_is_one() -> None:
    graph = product(64, 64, 1024)
    beside = sf.accelerator("edge-32x32")
    text = beside.to_toml()
    begin = text.index("[memories.accumulator]")
    without = parse_design(text[:begin] + text[text.index("[memories.dram]", begin) :])
    kept, spread = (sf.estimate(graph, chip, bits="traced") for chip in (beside, without))
    sums_bytes = 64 * 64 * 4 * (2 * (1024 // 32) - 1)
    for chip, report in ((beside, kept), (without, spread)):
        memory = chip.accumulator or chip.scratchpad
        joules = report.parts[0].energy_by_cause_j["accumulator"]  # type: ignore[index]
        assert joules == pytest.approx(sums_bytes * chip.sram_energy_pj_per_byte(memory).number * 1e-12)
    assert kept.cycles == spread.cycles
    assert kept.energy_j < 0.75 * spread.energy_j  # type: ignore[operator]


def test_an_item_of_several_products_is_never_planned_as_one() -> None:
    from dataclasses import replace

    from siliform.simulator.product_plan import plan_product
    from siliform.simulator.work import work_of
    from siliform.simulator.workload import workload

    item = workload(experts()).items[0]
    work = work_of(item)
    twice = replace(work, products=(work.products[0], work.products[0]))
    with pytest.raises(ValueError, match="asks 2 products of one plan"):
        plan_product(item, twice, None)  # type: ignore[arg-type]


def mixture(tokens: int, experts: int = 8, width: int = 64, inner: int = 96, chosen: int = 2) -> Graph:
    """A Mixtral-like feed-forward: each token by its two best experts, gate and up, SiLU, down."""
    b = Builder("mixture")
    rows = tokens * chosen
    x = b.input("x", tensor("fp32", rows, width))
    ends = b.input("ends", tensor("int32", experts))

    def weight(name: str, out: int, into: int):  # type: ignore[no-untyped-def]
        return b.parameter(name, tensor("fp32", experts, out, into))

    gate = b(OPS["silu"], b(OPS["grouped_matmul"], x, weight("gate", inner, width), ends))
    up = b(OPS["grouped_matmul"], x, weight("up", inner, width), ends)
    down = b(OPS["grouped_matmul"], b(OPS["mul"], gate, up), weight("down", width, inner), ends)
    return b.finish(b(OPS["mul"], down, b.input("shares", tensor("fp32", rows, 1))))


@pytest.mark.parametrize("objective", ["latency", "traffic"])
@pytest.mark.parametrize(
    ("design", "bits"),
    [
        ("edge-32x32", "int8"),
        ("edge-16x16-gemmini", "int8"),
        ("server-128x128", "bf16"),
        ("server-128x128", "mxfp4"),
        ("nvidia-h100", "fp8_e4m3"),
    ],
)
@pytest.mark.parametrize("tokens", [1, 3, 4, 37])
def test_the_program_of_a_mixture_moves_the_bytes_of_its_report(
    tokens: int, design: str, bits: str, objective: str
) -> None:
    """Whether the rows divide evenly among the experts, leave some without any, or make some fuller."""
    graph, chip = mixture(tokens), sf.accelerator(design)
    report = sf.estimate(graph, chip, bits=bits, objective=objective)
    program = sf.compile(graph, chip, bits=bits, objective=objective)
    assert [b.name for b in program.blocks] == [p.name for p in report.parts]
    for block, part in zip(program.blocks, report.parts, strict=True):
        assert block.bytes_through("dram") == part.dram_bytes, block.name
    assert sum(task.bytes for task in program.tasks()) == report.dram_bytes
    assert report.macs == 3 * tokens * 2 * 64 * 96


def test_a_product_of_nothing_is_refused() -> None:
    b = Builder("empty")
    x = b.input("x", tensor("int8", 0, 8))
    graph = b.finish(b(OPS["linear"], x, b.parameter("w", tensor("int8", 8, 8))))
    with pytest.raises(UserError) as caught:
        sf.estimate(graph, sf.accelerator("edge-32x32"))
    assert caught.value.found == "nothing to multiply: 1 x (0 x 8 x 8)"
    assert "at least one element" in caught.value.next_step
