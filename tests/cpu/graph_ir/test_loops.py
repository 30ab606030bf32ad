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


def test_more_steps_than_are_costed_one_by_one_are_refused() -> None:
    with pytest.raises(UserError) as refused:
        unrolled(looped(NODES))
    assert refused.value.asked == f"a loop of {NODES:,} steps of 2 nodes"
    assert f"no more than {NODES:,} are costed one by one" in refused.value.found
    assert "longer segments or chunks" in refused.value.next_step
