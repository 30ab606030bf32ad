"""Plans on clusters: what follows from closed forms, and what must add up."""

from __future__ import annotations

from dataclasses import replace

import pytest

from siliform.arch.cluster import Cluster, cluster_of
from siliform.arch.design import load_design
from siliform.graph_ir.errors import UserError
from siliform.graph_ir.formats import format_named
from siliform.graph_ir.graph import Graph
from siliform.models import Request, build_graph
from siliform.models.catalogue import MODELS
from siliform.simulator.cluster.attention import Attention
from siliform.simulator.cluster.collectives import Collective, law
from siliform.simulator.cluster.costs import DeviceCosts
from siliform.simulator.cluster.plan import (
    ContextParallel,
    PipelineParallel,
    Plan,
    TensorParallel,
    parse_plan,
)
from siliform.simulator.cluster.simulate import Simulated, simulate_cluster
from siliform.simulator.cluster.stages import balanced
from siliform.simulator.cluster.steps import Segment, Sum
from siliform.simulator.cluster.sweep import sweep
from siliform.simulator.estimate import estimate

A100 = load_design("nvidia-a100")
EDGE = load_design("edge-32x32")
LONG = Attention(1, 8, 8, 8192, 8192, 64, 64, "causal", format_named("fp16"))


def graph_of(model: str, **sizes: object) -> Graph:
    """A small model of the family."""
    return build_graph(MODELS[model].tiny(), Request(**sizes))  # type: ignore[arg-type]


def joined(devices: int, topology: str = "all-to-all", **link: float) -> Cluster:
    """A100s, with links of their own."""
    return cluster_of(A100, devices, topology, **link)  # type: ignore[arg-type]


def run(graph: Graph, words: list[str], topology: str = "all-to-all", **choices: object) -> Simulated:
    """A plan on as many A100s as it takes, 2 us apart."""
    plan = parse_plan(words)
    machine = joined(plan.devices, topology, latency_seconds=2e-6)
    return simulate_cluster(graph, machine, plan, **choices)  # type: ignore[arg-type]


PLANS = [
    ["tensor=2"],
    ["context=3"],
    ["context=2,heads"],
    ["pipeline=2"],
    ["tensor=2", "context=2", "pipeline=2"],
]


@pytest.mark.parametrize("words", PLANS, ids="+".join)
@pytest.mark.parametrize("topology", ["ring", "all-to-all"])
def test_times_of_each_device_add_up(words: list[str], topology: str) -> None:
    """Computing, waiting for bytes and waiting for others, to the latency; the shares to one."""
    report = run(graph_of("llama-2-7b"), words, topology).report
    for use in report.uses:
        total = use.compute_s + use.communication_s + use.waiting_s
        assert total == pytest.approx(report.latency_s, rel=1e-9)
        assert min(use.compute_s, use.communication_s, use.waiting_s) >= -1e-15
    shares = report.compute_share + report.communication_share + report.waiting_share
    assert shares == pytest.approx(1)
    assert report.redundant_macs == sum(use.macs for use in report.uses) - report.one_device_macs


def test_one_device_is_the_estimate() -> None:
    """Nothing is cut, nothing is sent."""
    graph = graph_of("gpt2")
    report = run(graph, []).report
    assert report.latency_s == estimate(graph, A100).latency_s
    assert (report.efficiency, report.link_bytes, report.plan) == (1.0, 0, "none")
    assert report.uses[0].weight_bytes == estimate(graph, A100).weight_bytes


@pytest.mark.parametrize("topology", ["ring", "all-to-all", "mesh:2x2"])
def test_tensor_parallel_is_segments_and_sums(topology: str) -> None:
    """All devices keep step: the latency is what segments cost and what the laws of the sums say."""
    graph = graph_of("llama-2-7b", batch=4)
    found = run(graph, ["tensor=4"], topology)
    costs = DeviceCosts.of(A100, graph, None, "model")
    machine = joined(4, topology, latency_seconds=2e-6)
    expected = 0.0
    for step in found.sharded.steps:
        if isinstance(step, Segment):
            expected += costs.cost(step.graph).seconds
        elif isinstance(step, Sum):
            size = costs.traffic_type(step.value.type).bytes
            assert size == step.value.type.elements * 2  # fp16
            expected += law(Collective("all-reduce", size, (0, 1, 2, 3)), machine).seconds
    assert found.report.latency_s == pytest.approx(expected, rel=1e-9)
    assert found.report.waiting_share == pytest.approx(0, abs=1e-9)


def test_pipeline_bubble_is_the_closed_form() -> None:
    """Stages one after the other, the slowest once more for each further microbatch (GPipe, forward only)."""
    whole, micro = graph_of("bert-base", batch=6), graph_of("bert-base", batch=1)
    plan = Plan(pipeline=PipelineParallel(2, 6))
    fast = joined(2, bandwidth_bytes_per_second=10**15)
    found = simulate_cluster(whole, fast, plan, microbatch=micro)
    costs = DeviceCosts.of(A100, whole, None, "model")
    times = [0.0, 0.0]
    for step in found.sharded.steps:
        assert isinstance(step, Segment)
        times[step.stage] += costs.cost(step.graph).seconds
    assert found.report.latency_s == pytest.approx(sum(times) + 5 * max(times), rel=1e-6)
    bubble = 1 - found.report.compute_share
    assert bubble == pytest.approx(1 - 6 * sum(times) / 2 / (sum(times) + 5 * max(times)), rel=1e-5)


def test_microbatches_fill_a_pipeline() -> None:
    """Of S equal stages and M microbatches the bubble is (S - 1) / (M + S - 1)."""
    graph = graph_of("t5-small")
    fast = joined(2, bandwidth_bytes_per_second=10**15)
    shares = []
    for count in (2, 8):
        plan = Plan(pipeline=PipelineParallel(2, count))
        shares.append(simulate_cluster(graph, fast, plan, microbatch=graph).report.compute_share)
    assert shares[0] < shares[1] <= 8 / 9 + 1e-9


def test_balanced_stages() -> None:
    """The least largest sum, found exactly."""
    assert balanced([1, 1, 1, 1], 2) == [0, 2, 4]
    assert balanced([9, 1, 1, 1, 9], 3) == [0, 1, 4, 5]
    assert balanced([1, 2, 3, 4, 5], 2) == [0, 3, 5]


def test_placement_decides_the_balance_of_a_causal_mask() -> None:
    """Blocks leave the first device idle most of the time; zigzag and striped do not."""
    found = {
        placement: run(LONG.whole(), [f"context=4,ring,{placement}"]).report
        for placement in ("blocks", "zigzag", "striped")
    }
    assert found["blocks"].imbalance > 0.4
    assert found["zigzag"].imbalance < 0.05
    assert found["striped"].imbalance < 0.05
    assert found["zigzag"].latency_s < found["blocks"].latency_s


def test_a_ring_hides_its_messages() -> None:
    """Sent while computing, they cost nothing while computing takes longer; sent behind it, all of it."""
    plan = parse_plan(["context=4,ring,zigzag"])
    machine = joined(4, "ring")
    hidden, behind = (simulate_cluster(LONG.whole(), machine, plan, overlap=o).report for o in (True, False))
    assert hidden.communication_share < 0.02
    size = 2 * LONG.keys // 4 * LONG.heads * LONG.width * 2
    sends = 3 * size / machine.link.bandwidth_bytes_per_second
    assert behind.latency_s == pytest.approx(hidden.latency_s + sends, rel=0.02)
    assert hidden.link_bytes == 4 * 3 * size


def test_a_slow_link_bounds_a_ring() -> None:
    """Where messages take longer than computing, three of them one after the other are the latency."""
    slow = joined(4, "ring", bandwidth_bytes_per_second=10**9)
    report = simulate_cluster(LONG.whole(), slow, parse_plan(["context=4,ring,zigzag"])).report
    size = 2 * LONG.keys // 4 * LONG.heads * LONG.width * 2
    assert report.latency_s >= 3 * size / 1e9
    assert report.communication_share > 0.9


def test_a_ring_stops_when_nobody_needs_more() -> None:
    """A causal window shorter than a shard needs the keys of one device before."""
    windowed = replace(LONG, window=1024)
    report = run(windowed.whole(), ["context=4,ring,blocks"]).report
    assert [(o.kind, o.count) for o in report.operations] == [("send", 4)]
    full = run(replace(LONG, pattern="full").whole(), ["context=4,ring,blocks"]).report
    assert [(o.kind, o.count) for o in full.operations] == [("send", 12)]


def test_heads_exchange_twice() -> None:
    """Queries, keys and values there, results back: a quarter of the tokens of each, three quarters sent."""
    report = run(LONG.whole(), ["context=4,heads"], "all-to-all").report
    shard_bytes = LONG.queries // 4 * LONG.heads * LONG.width * 2
    assert [(o.kind, o.count, o.total_bytes) for o in report.operations] == [
        ("all-to-all", 2, 4 * shard_bytes)
    ]
    assert report.link_bytes == 4 * 3 * shard_bytes  # of 4 devices, 3/4 of 4 tensors
    assert report.imbalance == pytest.approx(0)


def test_memory_is_shared() -> None:
    """Weights by tensor and pipeline, caches by all three; the caches of all devices are the whole ones."""
    graph = graph_of("llama-2-7b", phase="decode", context=11, batch=2)
    whole = run(graph, []).report.uses[0]
    for words in (["tensor=2"], ["context=4"], ["pipeline=2"], ["tensor=2", "context=2", "pipeline=2"]):
        uses = run(graph, words).report.uses
        assert sum(use.kv_bytes for use in uses) == whole.kv_bytes
    context = run(graph, ["context=4"]).report.uses
    assert {use.weight_bytes for use in context} == {whole.weight_bytes}
    tensor = run(graph, ["tensor=2"]).report.uses
    assert all(use.weight_bytes < whole.weight_bytes for use in tensor)
    pipeline = run(graph, ["pipeline=2"]).report.uses
    assert sum(use.weight_bytes for use in pipeline) == whole.weight_bytes


def test_longer_contexts_decode_quicker_on_more_devices() -> None:
    """The cache is read once, a part by each: what context parallelism in decode is for."""
    layer = Attention(1, 32, 32, 1, 1, 128, 128, "full", format_named("fp16"))
    costs = DeviceCosts.of(A100, layer.whole(), None, "model")
    whole, part = (costs.cost(replace(layer, keys=keys).whole()).seconds for keys in (2**20, 2**18))
    assert 3.5 < whole / part < 4.5


def test_events_as_the_law_of_parts() -> None:
    """On an array design, each part simulated; no quicker than the bound."""
    graph = graph_of("bert-base")
    machine = cluster_of(EDGE, 2, "ring", bandwidth_bytes_per_second=10**10)
    plan = Plan(tensor=TensorParallel(2))
    events, bound = (simulate_cluster(graph, machine, plan, law=law).report for law in ("events", "bound"))
    assert events.law == "events"
    assert events.latency_s >= bound.latency_s
    assert events.energy_j is not None


def test_a_sweep_has_a_row_per_pattern_and_degree() -> None:
    """Efficiency is one on one device; narrow masks communicate most for what they compute."""
    small = replace(LONG, queries=2048, keys=2048)
    report = sweep(small, A100, lambda n: joined(n, "ring"), model="one", degrees=(1, 2, 4), window=128)
    assert [(row.pattern, row.degree) for row in report.rows][:4] == [
        ("causal", 1),
        ("causal", 2),
        ("causal", 4),
        ("causal-window", 1),
    ]
    assert all(row.efficiency == 1 for row in report.rows if row.degree == 1)
    at_four = {row.pattern: row for row in report.rows if row.degree == 4}
    assert at_four["window"].communication_share > at_four["full"].communication_share
    assert at_four["causal"].placement == "zigzag"
    assert at_four["full"].pairs == 8 * 2048**2


def test_the_same_run_twice_is_the_same() -> None:
    """To the last digit."""
    graph = graph_of("llama-2-7b")
    words = ["tensor=2", "context=2", "pipeline=2"]
    assert run(graph, words).report.to_json() == run(graph, words).report.to_json()


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (
            ["tensro=2"],
            "asked: --parallel tensro=2\nfound: no plan of that form\nwhere: --parallel\n"
            "next:  write tensor=N or context=N[,ring|heads][,blocks|zigzag|striped] "
            "or pipeline=STAGES[,MICROBATCHES]",
        ),
        (
            ["tensor=2", "tensor=2"],
            "asked: --parallel tensor=2\nfound: tensor twice\nwhere: --parallel\n"
            "next:  write tensor=N or context=N[,ring|heads][,blocks|zigzag|striped] "
            "or pipeline=STAGES[,MICROBATCHES]",
        ),
        (
            ["tensor=0"],
            "asked: tensor parallelism of 0\nfound: 0 is less than 1\nwhere: --parallel\n"
            "next:  give a whole number of 1 or more",
        ),
        (
            ["context=2,rnig"],
            "asked: context parallelism of kind 'rnig'\nfound: no kind of that name\nwhere: --parallel\n"
            "next:  use ring",
        ),
    ],
)
def test_errors_of_a_plan(words: list[str], text: str) -> None:
    """Each in four parts."""
    with pytest.raises(UserError) as caught:
        parse_plan(words)
    assert str(caught.value) == text


def test_errors_of_a_run() -> None:
    """Devices, stages, masks, heads, a single token: each says what to do."""
    graph = graph_of("llama-2-7b")
    with pytest.raises(
        UserError, match="degrees whose product is 2\nwhere: --devices\nnext:  give --devices 2"
    ):
        simulate_cluster(graph, joined(4), Plan(tensor=TensorParallel(2)))
    with pytest.raises(UserError, match="found: 2 numbered layers in its module paths"):
        run(graph, ["pipeline=3"])
    with pytest.raises(UserError, match="an operand that says which pairs are seen, which no pattern tells"):
        run(graph_of("t5-small"), ["context=2"])
    with pytest.raises(UserError, match="heads that do not fall into equal parts"):
        run(graph, ["context=3,heads"])
    with pytest.raises(UserError, match="a single token, which cannot be cut into tokens"):
        run(graph_of("llama-2-7b", phase="decode", context=8), ["context=2,heads"])
    with pytest.raises(UserError, match="found: 12 is no multiple of 16"):
        run(graph, ["context=8"])
    with pytest.raises(UserError, match="no attention in it"):
        run(build_graph("gemm:8,8,8"), ["context=2"])
    with pytest.raises(UserError, match="2 microbatches and no graph of one"):
        run(graph, ["pipeline=2,2"])
    with pytest.raises(UserError, match="asked: --law fast\nfound: no law of that name"):
        run(graph, ["tensor=2"], law="fast")
    with pytest.raises(UserError, match="no pattern of that name\nwhere: --patterns\nnext:  use full"):
        sweep(LONG, A100, joined, model="one", patterns=("ful",))


def test_plans_describe_themselves() -> None:
    """In the words that make them."""
    for words in (["tensor=2"], ["context=4,ring,striped"], ["context=4,heads"], ["pipeline=2,8"]):
        assert parse_plan(words).described == words[0]
    assert parse_plan(["context=4"]).context == ContextParallel(4, "ring", "zigzag")
