"""Constant folding."""

from collections import Counter
from typing import Any

import numpy as np
import pytest

from siliform.graph_ir.formats import format_named
from siliform.graph_ir.graph import Builder, Graph, Value
from siliform.graph_ir.interpret import interpret
from siliform.graph_ir.ops import op_named
from siliform.graph_ir.passes import constant_folding, dead_code
from siliform.graph_ir.types import tensor
from siliform.graph_ir.verify import verify


def folded(graph: Graph, *inputs: Any, **options: Any) -> Graph:
    """The folded graph, legal and with the same results to the last bit."""
    after = verify(dead_code(constant_folding(graph, **options)))
    for a, c in zip(interpret(graph, *inputs), interpret(after, *inputs), strict=True):
        assert a.dtype == c.dtype
        np.testing.assert_array_equal(a, c)
    return after


def ops(graph: Graph) -> Counter[str]:
    return Counter(node.op.name for node in graph.nodes)


def causal_mask(b: Builder, size: int) -> Value:
    columns = b(op_named("arange"), end=size)
    rows = b(op_named("unsqueeze"), b(op_named("arange"), end=size), axis=1)
    seen: Value = b(op_named("le"), columns, rows)
    zero, least = (b(op_named("constant"), value=v) for v in (0.0, -3e38))
    made: Value = b(op_named("where"), seen, zero, least)
    return made


def test_a_mask_from_ranges_becomes_a_constant():
    b = Builder("mask")
    x = b.input("x", tensor("fp32", 2, 5, 5))
    mask = causal_mask(b, 5)
    before = b.finish(b(op_named("add"), x, mask))
    after = folded(before, np.ones((2, 5, 5)))
    assert ops(after) == {"add": 1}
    assert after.constants == (mask,)
    np.testing.assert_array_equal(after.data[mask.name] == 0, np.tri(5, dtype=bool))


@pytest.mark.parametrize("format", ["int64", "int32", "bool", "fp32", "bf16", "fp16"])
def test_formats_keep_their_bits(format: str):
    b = Builder("formats")
    x = b.input("x", tensor(format, 4))
    c = b.constant("c", tensor("fp32", 4), np.float32([0.1, 2.7, 0.0, 1e-3]))
    narrow = b(op_named("cast"), c, format=format)
    after = folded(b.finish(narrow, x), np.zeros(4))
    assert not after.nodes
    assert after.constants[0].type.format == format_named(format)


def test_scalars_become_immediates_and_uniform_tensors_expansions():
    b = Builder("uniform")
    x = b.input("x", tensor("fp32", 3, 4))
    seven = b(op_named("add"), *(b(op_named("constant"), value=v) for v in (3.0, 4.0)))
    ones = b(op_named("full"), shape=(3, 4), value=1.0)
    after = folded(b.finish(b(op_named("mul"), x, seven), b(op_named("add"), x, ones)), np.ones((3, 4)))
    assert ops(after) == {"constant": 2, "expand": 1, "mul": 1, "add": 1}
    assert after.constants == ()
    assert sorted(n.attributes["value"] for n in after.nodes if n.op.name == "constant") == [1.0, 7.0]


def test_both_zeros_are_kept_apart():
    b = Builder("zeros")
    c = b.constant("c", tensor("fp32", 2), np.float32([0.0, 0.0]))
    s = b.constant("s", tensor("fp32", 2), np.float32([1.0, -1.0]))
    graph = b.finish(b(op_named("mul"), c, s))
    (found,) = interpret(folded(graph))
    assert list(np.signbit(found)) == [False, True]


def test_a_view_that_enlarges_stays_a_view():
    b = Builder("expand")
    x = b.input("x", tensor("fp32", 8, 4, 4))
    wide = b(op_named("expand"), b(op_named("unsqueeze"), causal_mask(b, 4), axis=0), shape=(8, 4, 4))
    after = folded(b.finish(b(op_named("add"), x, wide)), np.ones((8, 4, 4)))
    assert ops(after) == {"expand": 1, "add": 1}
    assert [v.type.shape for v in after.constants] == [(1, 4, 4)]


def test_shape_only_views_of_constants_are_folded():
    b = Builder("views")
    c = b.constant("c", tensor("fp32", 2, 6), np.arange(12, dtype=np.float32).reshape(2, 6))
    view = b(op_named("permute"), b(op_named("reshape"), c, shape=(2, 3, 2)), axes=(2, 0, 1))
    after = folded(b.finish(view))
    assert not after.nodes
    assert after.data[view.name].flags.c_contiguous


def test_equal_computations_are_folded_once():
    b = Builder("layers")
    x = b.input("x", tensor("fp32", 6, 6))
    for _ in range(3):
        x = b(op_named("add"), x, causal_mask(b, 6))
    after = folded(b.finish(x), np.ones((6, 6)))
    assert ops(after) == {"add": 3}
    assert len(after.constants) == 1


def test_parameters_states_inputs_random_numbers_and_unknown_constants_stay():
    b = Builder("not constant")
    x = b.input("x", tensor("fp32", 4))
    w = b.parameter("w", tensor("fp32", 4), np.ones(4, np.float32))
    buffer = b.constant("buffer", tensor("fp32", 4))
    noise = b(op_named("random_normal"), shape=(4,))
    graph = b.finish(*(b(op_named("exp"), v) for v in (x, w, buffer, noise)))
    assert constant_folding(graph) is graph


def test_results_above_the_limit_stay():
    b = Builder("limit")
    small = b(op_named("arange"), end=8)
    square = b(op_named("le"), small, b(op_named("unsqueeze"), small, axis=1))
    after = folded(b.finish(square), limit_elements=63)
    assert ops(after) == {"le": 1}
    assert [v.type.shape for v in after.constants] == [(8,), (8, 1)]
    assert not folded(b.finish(square), limit_elements=64).nodes


def test_one_of_several_results():
    b = Builder("split")
    c = b.constant("c", tensor("int64", 6), np.arange(6))
    x = b.input("x", tensor("int64", 2))
    _, second = b(op_named("split"), c, sizes=(4, 2))
    after = folded(b.finish(b(op_named("add"), x, second)), np.zeros(2))
    assert [v.name for v in after.constants] == [second.name]


def test_scaled_constants_are_folded():
    b = Builder("scaled")
    c = b.constant("c", tensor("fp32", 4), np.float32([1, 2, 3, 4]))
    x = b.input("x", tensor("fp32", 1, 4))
    q = b(op_named("quantize"), b(op_named("reshape"), c, shape=(1, 4)), format="int8@tensor")
    after = folded(b.finish(b(op_named("linear"), x, q)), np.ones((1, 4)))
    assert ops(after) == {"linear": 1}
