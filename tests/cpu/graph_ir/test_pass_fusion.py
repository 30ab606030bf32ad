"""Fusion: what joins, what does not, and results that are equal bit for bit."""

from collections.abc import Callable
from time import process_time

import numpy as np

from siliform.graph_ir.graph import Builder, Graph, Node, Value
from siliform.graph_ir.interpret import interpret, random_data
from siliform.graph_ir.ops import op_named
from siliform.graph_ir.passes import fuse
from siliform.graph_ir.text import parse_graph
from siliform.graph_ir.types import tensor
from siliform.graph_ir.verify import verify


def fused(graph: Graph, norms: bool = False) -> Graph:
    """The fused graph: legal, readable, and with the same results, work and bits."""
    after = verify(fuse(graph, norms=norms))
    assert parse_graph(str(after)).is_same_as(after)
    assert fuse(after, norms=norms).is_same_as(after)
    assert after.macs == graph.macs
    data = random_data(graph, 0)
    draw = np.random.default_rng(1)
    inputs = [draw.standard_normal(v.type.shape) for v in graph.inputs]
    results = zip(interpret(graph, *inputs, data=data), interpret(after, *inputs, data=data), strict=True)
    for before, now in results:
        np.testing.assert_array_equal(before, now)
    return after


def bodies(graph: Graph) -> list[str]:
    """The nodes by name; a fused one by the name of its body."""
    return [n.attributes["body"].name if n.op.name == "fused" else n.op.name for n in graph.nodes]


def layer(b: Builder, x: Value, columns: int, bias: bool = True) -> Value:
    size = x.type.shape[-1]
    w = b.parameter("w", tensor("fp32", columns, size))
    made: Value = b(op_named("linear"), x, w, b.parameter("b", tensor("fp32", columns)) if bias else None)
    return made


def block(build: Callable[[Builder, Value], Value | tuple[Value, ...]]) -> Graph:
    b = Builder("block")
    made = build(b, b.input("x", tensor("fp32", 2, 6, 8)))
    return b.finish(*(made if isinstance(made, tuple) else (made,)))


def test_bias_activation_and_residual_join_their_producer():
    def build(b: Builder, x: Value) -> Value:
        with b.at("mlp", "model.py:3"):
            h = b(op_named("add"), layer(b, x, 8, bias=False), b.parameter("b", tensor("fp32", 8)))
            with b.at("act", "model.py:4"):
                return b(op_named("add"), x, b(op_named("gelu"), h))

    graph = fused(block(build))
    assert bodies(graph) == ["linear+add+gelu+add"]
    (node,) = graph.nodes
    assert (node.module, node.source) == ("mlp", "model.py:3")
    assert [n.source for n in node.attributes["body"].nodes] == [
        "model.py:3",
        "model.py:3",
        *["model.py:4"] * 2,
    ]
    assert [v.name for v in node.operands] == ["x", "w", "b"]


def test_a_value_with_several_readers_ends_a_chain():
    def build(b: Builder, x: Value) -> Value:
        h = layer(b, x, 8)
        return b(op_named("mul"), b(op_named("sigmoid"), h), h)

    assert bodies(fused(block(build))) == ["linear", "sigmoid+mul"]


def test_a_result_of_the_graph_ends_a_chain():
    def build(b: Builder, x: Value) -> tuple[Value, ...]:
        h = layer(b, x, 8)
        return h, b(op_named("relu"), h)

    assert bodies(fused(block(build))) == ["linear", "relu"]


def test_of_two_producers_the_later_takes_the_node():
    def build(b: Builder, x: Value) -> Value:
        gate = b(op_named("silu"), layer(b, x, 16))
        return layer(b, b(op_named("mul"), gate, layer(b, x, 16)), 8)

    assert bodies(fused(block(build))) == ["linear+silu", "linear+mul", "linear"]


def test_pointwise_chains_are_drawn_into_an_anchor():
    def build(b: Builder, x: Value) -> Value:
        h = layer(b, x, 8)
        side = b(op_named("exp"), b(op_named("neg"), x))
        return b(op_named("mul"), h, side)

    assert bodies(fused(block(build))) == ["linear+neg+exp+mul"]


def test_pure_pointwise_chains_are_fused_with_their_scalars():
    def build(b: Builder, x: Value) -> Value:
        half = b(op_named("constant"), value=0.5)
        return b(op_named("tanh"), b(op_named("add"), b(op_named("mul"), x, half), half))

    graph = fused(block(build))
    assert bodies(graph) == ["mul+add+tanh"]
    (node,) = graph.nodes
    assert node.operands == graph.inputs
    assert [n.op.name for n in node.attributes["body"].nodes] == ["constant", "mul", "add", "tanh"]


def test_layout_joins_up_to_the_last_copy_and_views_at_the_end_stay_outside():
    def build(b: Builder, x: Value) -> Value:
        h = b(op_named("reshape"), layer(b, x, 8), shape=(2, 6, 2, 4))
        h = b(op_named("contiguous"), b(op_named("permute"), h, axes=(0, 2, 1, 3)))
        return b(op_named("reshape"), h, shape=(4, 6, 4))

    graph = fused(block(build))
    assert bodies(graph) == ["linear", "reshape"]
    assert [n.op.name for n in graph.nodes[0].attributes["body"].nodes] == [
        "linear",
        "reshape",
        "permute",
        "contiguous",
    ]


def test_views_alone_are_not_fused():
    def build(b: Builder, x: Value) -> Value:
        return b(op_named("reshape"), layer(b, x, 8), shape=(2, 6, 2, 4))

    assert bodies(fused(block(build))) == ["linear", "reshape"]


def test_quantize_joins():
    def build(b: Builder, x: Value) -> Value:
        q = b(op_named("quantize"), b(op_named("relu"), layer(b, x, 8)), format="int8@tensor")
        return b(op_named("linear"), q, b.parameter("wq", tensor("int8@channel0", 4, 8)))

    assert bodies(fused(block(build))) == ["linear+relu+quantize", "linear"]


def test_a_broadcast_result_does_not_join():
    def build(b: Builder, x: Value) -> Value:
        row = layer(b, b(op_named("reduce_mean"), x, axes=(1,), keepdims=True), 8)
        return b(op_named("add"), x, row)

    assert bodies(fused(block(build))) == ["reduce_mean", "linear", "add"]


def post_norm(b: Builder, x: Value) -> Value:
    h = b(op_named("add"), x, layer(b, x, 8))
    return b(op_named("layer_norm"), h, b.parameter("gain", tensor("fp32", 8)))


def test_norms_join_only_when_asked():
    assert bodies(fused(block(post_norm))) == ["linear+add", "layer_norm"]
    assert bodies(fused(block(post_norm), norms=True)) == ["linear+add+layer_norm"]


def pre_norm(b: Builder, x: Value) -> Value:
    h = b(op_named("add"), x, layer(b, x, 8))
    n = b(op_named("rms_norm"), h, b.parameter("gain", tensor("fp32", 8)))
    return b(op_named("add"), h, layer(b, b(op_named("relu"), n), 8))


def test_with_norms_the_residual_becomes_a_second_result():
    graph = fused(block(pre_norm), norms=True)
    assert bodies(graph) == ["linear+add+rms_norm+relu", "linear+add"]
    assert [str(v.type) for v in graph.nodes[0].outputs] == ["fp32[2,6,8]"] * 2
    assert graph.nodes[0].outputs[1] in graph.nodes[1].operands


def test_nothing_joins_behind_a_reader_of_a_second_result():
    def build(b: Builder, x: Value) -> Value:
        h = b(op_named("add"), x, layer(b, x, 8))
        n = b(op_named("rms_norm"), h, b.parameter("gain", tensor("fp32", 8)))
        early = b(op_named("reduce_sum"), h, axes=(1,), keepdims=True)
        return b(op_named("add"), b(op_named("relu"), n), early)

    assert bodies(fused(block(build), norms=True)) == ["linear+add+rms_norm", "reduce_sum", "relu+add"]


def test_a_norm_that_is_not_the_first_reader_does_not_join():
    def build(b: Builder, x: Value) -> Value:
        h = b(op_named("add"), x, layer(b, x, 8))
        early = b(op_named("reduce_sum"), h, axes=(1,), keepdims=True)
        return b(op_named("mul"), b(op_named("rms_norm"), h, b.parameter("gain", tensor("fp32", 8))), early)

    assert bodies(fused(block(build), norms=True)) == ["linear+add", "reduce_sum", "rms_norm+mul"]


def test_every_anchor_has_an_epilogue():
    def build(b: Builder, x: Value) -> tuple[Value, ...]:
        b_conv = b.parameter("kernel", tensor("fp32", 3, 6, 3))
        q = b(op_named("reshape"), x, shape=(2, 2, 6, 4))
        results = (
            b(op_named("conv"), x, b_conv),
            b(op_named("matmul"), x, b.parameter("m", tensor("fp32", 8, 3))),
            b(op_named("attention"), q, q, q),
            b(op_named("layer_norm"), x, b.parameter("gain", tensor("fp32", 8))),
        )
        return tuple(b(op_named("relu"), r) for r in results)

    graph = fused(block(build))
    assert bodies(graph)[1:] == ["conv+relu", "matmul+relu", "attention+relu", "layer_norm+relu"]


def test_time_is_linear_in_the_nodes():
    def chain(layers: int) -> float:
        b = Builder("deep")
        x = b.input("x", tensor("fp32", 4))
        for _ in range(layers):
            x = b(
                op_named("add"), b(op_named("mul"), x, b(op_named("exp"), b.input("y", tensor("fp32", 4)))), x
            )
        graph = b.finish(x)
        started = process_time()
        after = fuse(graph)
        spent = process_time() - started
        assert len(after.nodes) < len(graph.nodes)
        return spent

    chain(500)  # warm
    assert chain(6000) < 1.0  # 18,000 nodes; 0.1 s on one core of a 2020s server (measured)


def test_the_body_keeps_the_nodes():
    graph = block(pre_norm)
    kept: list[Node] = []
    for node in fuse(graph).nodes:
        kept += node.attributes["body"].nodes if node.op.name == "fused" else [node]
    assert kept == list(graph.nodes)
