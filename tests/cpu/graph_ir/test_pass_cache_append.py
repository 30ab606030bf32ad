"""Concatenation onto a cache."""

from siliform.graph_ir.graph import Builder, Graph, Value
from siliform.graph_ir.ops import op_named
from siliform.graph_ir.passes import cache_append
from siliform.graph_ir.types import tensor
from siliform.graph_ir.verify import verify


def decode(b: Builder, state: Value, *parts: Value, axis: int = 1) -> Graph:
    with b.at("attention", "model.py:8"):
        return b.finish(b(op_named("concat"), state, *parts, axis=axis))


def test_a_concatenation_onto_a_state_appends_in_place():
    b = Builder("decode")
    new = b.input("new", tensor("bf16", 2, 1, 8))
    cache = b.state("cache", tensor("bf16", 2, 100, 8))
    before = decode(b, cache, new)
    graph = verify(cache_append(before))
    (node,) = graph.nodes
    assert (node.op.name, dict(node.attributes), node.inputs) == ("append", {"axis": 1}, (cache, new))
    assert (node.module, node.source, node.outputs) == ("attention", "model.py:8", before.nodes[0].outputs)
    moved = sum(access.elements(s.extents) for s in node.spaces for access in s.writes)
    assert moved == 2 * 8


def test_views_that_hand_the_state_on_are_looked_through():
    b = Builder("decode")
    new = b.input("new", tensor("fp32", 1, 8))
    cache = b.state("cache", tensor("fp32", 100, 8))
    graph = verify(cache_append(decode(b, b(op_named("dropout"), cache), new, axis=0)))
    assert [n.op.name for n in graph.nodes] == ["dropout", "append"]
    assert graph.nodes[1].inputs == (cache, new)


def test_only_one_append_per_state():
    b = Builder("twice")
    new = b.input("new", tensor("fp32", 1, 8))
    cache = b.state("cache", tensor("fp32", 100, 8))
    first = b(op_named("concat"), cache, new, axis=0)
    second = b(op_named("concat"), cache, first, axis=0)
    graph = verify(cache_append(b.finish(first, second)))
    assert [n.op.name for n in graph.nodes] == ["append", "concat"]


def test_other_concatenations_stay_copies():
    b = Builder("copies")
    x = b.input("x", tensor("fp32", 4, 8))
    cache = b.state("cache", tensor("fp32", 4, 8))
    narrow = b.state("narrow", tensor("fp16", 4, 8))
    concat = op_named("concat")
    results = [b(concat, x, cache), b(concat, cache, x, x), b(concat, x, x), b(concat, narrow, x)]
    graph = cache_append(b.finish(*results))
    assert {n.op.name for n in graph.nodes} == {"concat"}
