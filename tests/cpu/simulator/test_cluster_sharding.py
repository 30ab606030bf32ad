"""Sharded graphs compute what the uncut graph computes: the devices run beside each other on NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from siliform.graph_ir.graph import Graph
from siliform.graph_ir.interpret import interpret, random_data
from siliform.models import Request, build_graph
from siliform.models.catalogue import MODELS
from siliform.simulator.cluster.grid import run_grid
from siliform.simulator.cluster.plan import Plan, Sharded, parse_plan, shard
from siliform.simulator.cluster.steps import Exchange, Gather, Segment, Sum


def graph_of(model: str, **sizes: object) -> Graph:
    """A small model of the family, with shapes only."""
    return build_graph(MODELS[model].tiny(), Request(**sizes))  # type: ignore[arg-type]


def both(graph: Graph, plan: Plan) -> tuple[list[np.ndarray], list[np.ndarray], Sharded]:
    """Results of the uncut graph and of all devices, on random weights, inputs and caches."""
    rng = np.random.default_rng(3)
    data = random_data(graph, 5)

    def draw(value):  # type: ignore[no-untyped-def]
        if value.type.format.kind == "integer":
            return rng.integers(0, 12, value.type.shape)
        return rng.standard_normal(value.type.shape).astype(np.float32)

    inputs, states = [draw(v) for v in graph.inputs], [draw(v) for v in graph.states]
    wanted = interpret(graph, *inputs, states=states, data=data)
    sharded = shard(graph, plan)
    return list(wanted), list(run_grid(sharded, graph, inputs, states, data)), sharded


PREFILL = [
    ("llama-2-7b", ["tensor=2"]),
    ("llama-2-7b", ["tensor=4"]),
    ("gpt2", ["tensor=4"]),
    ("bert-base", ["tensor=4"]),
    ("t5-small", ["tensor=2"]),
    ("t5-small", ["tensor=4"]),
    ("vit-base", ["tensor=2"]),
    ("yi-34b", ["tensor=4"]),
    ("llama-2-7b", ["context=2,ring,blocks"]),
    ("llama-2-7b", ["context=3,ring,zigzag"]),
    ("gpt2", ["context=4,ring,striped"]),
    ("bert-base", ["context=3,ring,striped"]),
    ("llama-2-7b", ["context=2,heads"]),
    ("gpt2", ["context=4,heads"]),
    ("yi-34b", ["context=4,heads"]),
    ("llama-2-7b", ["tensor=2", "context=3,ring,zigzag"]),
    ("gpt2", ["tensor=2", "context=2,heads"]),
    ("llama-2-7b", ["pipeline=2"]),
    ("bert-base", ["pipeline=2", "tensor=2"]),
    ("t5-small", ["pipeline=4", "tensor=2"]),
    ("gpt2", ["tensor=2", "context=2,ring,blocks", "pipeline=2"]),
]


@pytest.mark.parametrize(("model", "words"), PREFILL, ids=lambda x: x if isinstance(x, str) else "+".join(x))
@pytest.mark.parametrize("batch", [1, 2])
def test_prefill_on_devices_equals_one(model: str, words: list[str], batch: int) -> None:
    """In fp32, to the rounding of sums in another order."""
    sizes = {} if model == "vit-base" else {"sequence": 12 if "context=4,ring,striped" not in words else 16}
    wanted, found, _ = both(graph_of(model, batch=batch, **sizes), parse_plan(words))
    for one, other in zip(wanted, found, strict=True):
        np.testing.assert_allclose(other, one, rtol=2e-4, atol=2e-5 * np.abs(one).max())


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("llama-2-7b", ["tensor=4"]),
        ("gpt2", ["tensor=2"]),
        ("llama-2-7b", ["context=4"]),
        ("gpt2", ["context=3"]),
        ("llama-2-7b", ["tensor=2", "context=2"]),
        ("gpt2", ["tensor=2", "context=2", "pipeline=2"]),
    ],
    ids=lambda x: x if isinstance(x, str) else "+".join(x),
)
def test_decode_on_devices_equals_one(model: str, words: list[str]) -> None:
    """The new token's logits, and the caches with the new rows."""
    wanted, found, _ = both(graph_of(model, phase="decode", context=10, batch=2), parse_plan(words))
    for one, other in zip(wanted, found, strict=True):
        np.testing.assert_allclose(other, one, rtol=2e-4, atol=2e-5 * np.abs(one).max())


def test_tensor_parallel_shares_by_megatrons_rule() -> None:
    """Two sums a layer; attention and feed-forward in equal parts, norms and embeddings whole."""
    graph = graph_of("bert-base")
    sharded = shard(graph, parse_plan(["tensor=4"]))
    assert sum(isinstance(step, Sum) for step in sharded.steps) == 2 * 2
    local = sharded.local.graph
    assert 4 * local.macs == graph.macs
    cut = sum(split.parts > 1 for _, split in sharded.local.shards.values())
    assert cut == 2 * (3 * 2 + 1 + 2 + 1) + 2  # weights and biases of a layer; the pooler's
    assert {v.type.shape for v in local.parameters if ".query.weight" in v.name} == {(8, 32)}


def test_fewer_key_value_heads_than_devices() -> None:
    """Each key-value head is held, and computed, by as many devices as share it."""
    sharded = shard(graph_of("yi-34b"), parse_plan(["tensor=4"]))
    shapes = {v.name: v.type.shape for v in sharded.local.graph.parameters}
    assert shapes["model.layers.0.self_attn.q_proj.weight.part"] == (8, 32)
    assert shapes["model.layers.0.self_attn.k_proj.weight.part"] == (8, 32)


def test_what_does_not_divide_stays_whole() -> None:
    """Five devices divide neither 4 heads nor a width of 48: every device runs everything."""
    graph = graph_of("llama-2-7b")
    sharded = shard(graph, parse_plan(["tensor=5"]))
    assert sharded.local.graph.macs == graph.macs
    assert not sharded.local.shards


@pytest.mark.parametrize("model", ["llama-2-7b", "gpt2", "yi-34b"])
@pytest.mark.parametrize("placement", ["blocks", "zigzag", "striped"])
def test_batches_are_cut_along_tokens_too(model: str, placement: str) -> None:
    """Also where a projection flattens batch and tokens: nothing is gathered, nothing done twice."""
    graph = graph_of(model, batch=3)
    sharded = shard(graph, parse_plan([f"context=3,ring,{placement}"]))
    assert not any(isinstance(step, Gather) for step in sharded.steps)
    attention = sum(node.macs for node in graph.nodes if node.op.name == "attention")
    segments = sum(step.graph.macs for step in sharded.steps if isinstance(step, Segment))
    assert 3 * segments == graph.macs - attention


def test_context_parallel_cuts_all_but_the_weights() -> None:
    """Three devices, a third of the work each but for what the mask leaves out; one exchange a layer."""
    graph = graph_of("llama-2-7b")
    sharded = shard(graph, parse_plan(["context=3"]))
    assert sum(isinstance(step, Exchange) for step in sharded.steps) == 2
    attention = sum(node.macs for node in graph.nodes if node.op.name == "attention")
    segments = sum(step.graph.macs for step in sharded.steps if isinstance(step, Segment))
    assert 3 * segments == graph.macs - attention
    weights = {v.name: v for s in sharded.steps if isinstance(s, Segment) for v in s.graph.parameters}
    assert sum(v.type.bytes for v in weights.values()) == graph.weight_bytes
