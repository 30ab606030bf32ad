"""Loops: what a step must be, how they become their steps, and formats inside them."""

from __future__ import annotations

import numpy as np
import pytest

from siliform.graph_ir.errors import UserError
from siliform.graph_ir.graph import Builder, Graph
from siliform.graph_ir.interpret import interpret
from siliform.graph_ir.ops.binary import add
from siliform.graph_ir.ops.linear import linear
from siliform.graph_ir.ops.loop import loop
from siliform.graph_ir.passes import standard_passes
from siliform.graph_ir.passes.assign_formats import assign_formats, parse_bits
from siliform.graph_ir.passes.fusion import fuse
from siliform.graph_ir.passes.unroll import NODES, unrolled
from siliform.graph_ir.text import parse_graph
from siliform.graph_ir.types import tensor
from siliform.graph_ir.verify import verify


def step() -> Graph:
    """h = h w + x: carried on, and told."""
    b = Builder("step")
    h, x, w = (b.input(n, tensor("fp32", *s)) for n, s in (("h", (2, 4)), ("x", (2, 4)), ("w", (4, 4))))
    h = b(add, b(linear, h, w), x)
    return b.finish(h, h)


def looped(steps: int = 5) -> Graph:
    b = Builder("looped")
    h, x = b.input("h", tensor("fp32", 2, 4)), b.input("x", tensor("fp32", steps, 2, 4))
    w = b.parameter("w", tensor("fp32", 4, 4), np.eye(4, dtype=np.float32) / 2)
    return b.finish(*b(loop, h, x, w, step=step(), steps=steps, carried=1, stepped=1))


def test_its_steps_give_what_it_gives() -> None:
    graph, generator = looped(), np.random.default_rng(0)
    given = generator.normal(size=(2, 4)).astype("f4"), generator.normal(size=(5, 2, 4)).astype("f4")
    steps = verify(unrolled(verify(graph)))
    assert [node.op.name for node in steps.nodes].count("linear") == 5
    assert steps.macs == graph.macs == 5 * 32
    assert unrolled(graph) is steps
    assert unrolled(steps) is steps
    for found, wanted in zip(interpret(steps, *given), interpret(graph, *given), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-6)


def test_a_loop_in_a_loop() -> None:
    b = Builder("outer step")
    h, x, w = (b.input(n, tensor("fp32", *s)) for n, s in (("h", (2, 4)), ("x", (5, 2, 4)), ("w", (4, 4))))
    inner = b.finish(b(loop, h, x, w, step=step(), steps=5, carried=1, stepped=1)[0])
    b = Builder("outer")
    values = [b.input(n, tensor("fp32", *s)) for n, s in (("h", (2, 4)), ("x", (3, 5, 2, 4)), ("w", (4, 4)))]
    graph = verify(standard_passes(b.finish(b(loop, *values, step=inner, steps=3, carried=1, stepped=1))))
    assert graph.macs == unrolled(graph).macs == 3 * 5 * 32
    assert str(parse_graph(str(graph))) == str(graph)
    given = [np.full(v.type.shape, 0.5, np.float32) for v in graph.inputs]
    np.testing.assert_allclose(interpret(unrolled(graph), *given)[0], interpret(graph, *given)[0], rtol=1e-5)


def test_formats_reach_into_steps_and_a_weight_is_stored_once() -> None:
    made = assign_formats(looped(), parse_bits("int8"))
    assert [node.op.name for node in made.nodes].count("linear") == 5
    assert "int8" in made.parameters[0].type.format.name
    assert made.weight_bytes < looped().weight_bytes


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"steps": 4}, r"4 steps of fp32\[5,2,4\]"),
        ({"steps": 0}, "a loop of 0 steps"),
        ({"carried": 2, "stepped": 0}, "of a step that takes"),
    ],
)
def test_a_step_that_does_not_fit_is_refused(changes: dict[str, int], found: str) -> None:
    b = Builder("wrong")
    values = [b.input(n, tensor("fp32", *s)) for n, s in (("h", (2, 4)), ("x", (5, 2, 4)), ("w", (4, 4)))]
    with pytest.raises(UserError, match=found):
        b(loop, *values, **{"step": step(), "steps": 5, "carried": 1, "stepped": 1, **changes})


def test_a_step_that_carries_on_another_shape_is_refused() -> None:
    b = Builder("step")
    h, x = b.input("h", tensor("fp32", 2, 4)), b.input("x", tensor("fp32", 3, 2, 4))
    wrong = b.finish(b(add, h, x))
    b = Builder("wrong")
    h, x = b.input("h", tensor("fp32", 2, 4)), b.input("x", tensor("fp32", 5, 3, 2, 4))
    with pytest.raises(UserError, match=r"takes fp32\[2,4\] carries on fp32\[3,2,4\]"):
        b(loop, h, x, step=wrong, steps=5, carried=1, stepped=1)


def test_more_steps_than_are_spelt_out_are_refused() -> None:
    with pytest.raises(UserError) as refused:
        unrolled(looped(NODES))
    assert refused.value.asked == f"every one of {NODES:,} steps of 2 nodes"
    assert f"no more than {NODES:,} are spelt out" in refused.value.found
    assert "estimate it, which needs one step" in refused.value.next_step


def test_one_step_stands_for_those_that_cost_the_same() -> None:
    graph = looped(1_000_000)
    three = verify(unrolled(graph, whole=False))
    assert sorted(node.times for node in three.nodes if node.op.name == "linear") == [1, 1, 999_998]
    assert three.macs == graph.macs == 1_000_000 * 32
    assert [v.type for v in three.outputs] == [v.type for v in graph.outputs]
    assert all(node.times == 1 for node in unrolled(looped(5), whole=False).nodes)  # as fast as three
    with pytest.raises(ValueError, match="stands for 999998 nodes of a loop"):
        interpret(three, np.zeros((2, 4), "f4"), np.broadcast_to(np.zeros((), "f4"), (1_000_000, 2, 4)))


def test_fusion_and_formats_keep_how_often_a_step_is_run() -> None:
    three = fuse(assign_formats(unrolled(looped(100), whole=False), parse_bits("int8")))
    products = [node for node in three.nodes if node.macs]
    assert sorted(node.times for node in products) == [1, 1, 98]
    assert three.macs == looped(100).macs
    for node in three.nodes:
        body = node.attributes.get("body")
        if isinstance(body, Graph):
            assert {inner.times for inner in body.nodes if inner.op.name != "constant"} == {node.times}
    rounded = [node for node in three.nodes if node.op.name == "quantize" and node.times == 98]
    assert len(rounded) == 1  # what the middle step is handed by itself, once a step
