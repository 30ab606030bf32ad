"""Random graphs: every exact pass leaves a legal graph with the same results, bit for bit."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siliform.graph_ir.graph import Builder, Graph, Value
from siliform.graph_ir.interpret import interpret
from siliform.graph_ir.ops import op_named
from siliform.graph_ir.passes import cache_append, constant_folding, dead_code, fuse, standard_passes
from siliform.graph_ir.text import parse_graph, print_graph
from siliform.graph_ir.types import tensor
from siliform.graph_ir.verify import verify

SHAPE = (2, 3, 4)
UNARY = ("relu", "neg", "tanh", "contiguous", "dropout", "softmax")
BINARY = ("add", "mul", "maximum", "sub")
PASSES: dict[str, Callable[[Graph], Graph]] = {
    "dead_code": dead_code,
    "constant_folding": constant_folding,
    "cache_append": cache_append,
    "fuse": fuse,
    "fuse with norms": lambda g: fuse(g, norms=True),
    "fuse after folding": lambda g: fuse(standard_passes(g), norms=True),
}


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """Up to 25 nodes over tensors of one shape; every one may read any value before it."""
    b = Builder("random")
    values = [b.input("x", tensor("fp32", *SHAPE)), b.constant("c", tensor("fp32", *SHAPE), constant(0))]
    gain = b.parameter("gain", tensor("fp32", SHAPE[-1]), constant(1)[0, 0])
    weight = b.parameter("weight", tensor("fp32", SHAPE[-1], SHAPE[-1]), np.eye(4, dtype=np.float32) / 2)
    for _ in range(draw(st.integers(1, 25))):
        values.append(node(draw, b, values, gain, weight))
    results = draw(st.lists(st.sampled_from(values), min_size=1, max_size=3, unique=True))
    return b.finish(*results)


def constant(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(SHAPE).astype(np.float32)


def node(draw: st.DrawFn, b: Builder, values: list[Value], gain: Value, weight: Value) -> Value:
    kind = draw(st.sampled_from(("unary", "binary", "linear", "norm", "layout", "scalar", "split")))
    # Values made lately are read more often, so that chains come about.
    x = values[-1] if draw(st.booleans()) else draw(st.sampled_from(values))
    made: Value
    if kind == "unary":
        made = b(op_named(draw(st.sampled_from(UNARY))), x)
    elif kind == "binary":
        made = b(op_named(draw(st.sampled_from(BINARY))), x, draw(st.sampled_from(values)))
    elif kind == "linear":
        made = b(op_named("linear"), x, weight, gain)
    elif kind == "norm":
        made = b(op_named("layer_norm"), x, gain)
    elif kind == "layout":
        made = b(op_named("reshape"), b(op_named("permute"), x, axes=(2, 0, 1)), shape=SHAPE)
    elif kind == "scalar":
        made = b(op_named("mul"), x, b(op_named("constant"), value=0.5))
    else:
        first, second = b(op_named("split"), x, sizes=(1, 2), axis=1)
        made = b(op_named("concat"), second, first, axis=1)
    return made


@pytest.mark.parametrize("name", PASSES)
@settings(max_examples=60, deadline=None)
@given(graph=graphs())
def test_a_pass_changes_no_bit(name: str, graph: Graph):
    before = print_graph(graph)
    after = verify(PASSES[name](graph))
    assert print_graph(graph) == before
    text = print_graph(after)
    assert print_graph(parse_graph(text)) == text
    assert [v.type for v in after.outputs] == [v.type for v in graph.outputs]
    x = constant(2)
    for expected, found in zip(interpret(graph, x), interpret(after, x), strict=True):
        np.testing.assert_array_equal(found, expected)
