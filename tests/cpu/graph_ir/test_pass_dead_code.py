"""Dead code."""

import numpy as np

from siliform.graph_ir.graph import Builder
from siliform.graph_ir.ops import op_named
from siliform.graph_ir.passes import dead_code
from siliform.graph_ir.types import tensor
from siliform.graph_ir.verify import verify


def test_what_no_result_needs_goes_and_the_model_stays():
    b = Builder("partly dead")
    x = b.input("x", tensor("fp32", 2))
    b.input("unused", tensor("fp32", 1))
    b.parameter("head", tensor("fp32", 2))
    b.constant("old", tensor("fp32", 2), np.zeros(2, np.float32))
    one = b.constant("one", tensor("fp32", 2), np.ones(2, np.float32))
    kept = b(op_named("add"), x, one)
    dead = b(op_named("mul"), kept, one)
    b(op_named("exp"), dead)
    graph = dead_code(b.finish(kept))
    assert [n.op.name for n in verify(graph).nodes] == ["add"]
    assert [v.name for v in graph.given] == ["x", "unused", "head", "one"]
    assert set(graph.data) == {"one"}


def test_a_node_with_one_used_result_of_several_stays():
    b = Builder("split")
    x = b.input("x", tensor("fp32", 4))
    first, _ = b(op_named("split"), x, sizes=(1, 3))
    graph = b.finish(first)
    assert dead_code(graph) is graph
