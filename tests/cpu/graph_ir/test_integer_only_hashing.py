"""Hash attention in integers only: codes of levels, means of levels, close to what floats give."""

from __future__ import annotations

import numpy as np
import pytest

from siliform.graph_ir.errors import UserError
from siliform.graph_ir.graph import Builder, Graph
from siliform.graph_ir.interpret import interpret
from siliform.graph_ir.ops import op_named
from siliform.graph_ir.passes.integer_only import IntegerGraph, integer_only
from siliform.graph_ir.text import parse_graph, print_graph
from siliform.graph_ir.types import tensor

HEADS, TOKENS, WIDTH, ANCHORS, BITS = 2, 40, 8, 12, 16


def graph(given_anchors: bool = False) -> Graph:
    """Codes shared by queries and keys, and attention by them; of x and v, and of anchors where asked."""
    rng = np.random.default_rng(0)
    sizes = {"anchors": (ANCHORS, WIDTH), "means": (ANCHORS,), "weight": (BITS, ANCHORS)}
    data = {name: rng.standard_normal((HEADS, *size)).astype(np.float32) for name, size in sizes.items()}
    data["rate"] = np.array([0.05, 0.1], np.float32)
    data["means"] = (0.4 + 0.02 * data["means"]).astype(np.float32)
    b = Builder("hash attention")
    x, v = (b.input(name, tensor("fp32", HEADS, TOKENS, WIDTH)) for name in ("x", "v"))
    named = [
        b.input(name, tensor("fp32", *data[name].shape))
        if given_anchors and name == "anchors"
        else b.parameter(name, tensor("fp32", *data[name].shape), data[name])
        for name in ("anchors", "rate", "means", "weight")
    ]
    codes = b(op_named("hash_codes"), x, *named, name="codes")
    return b.finish(codes, b(op_named("hash_attention"), codes, codes, v, name="mixed"))


def inputs(seed: int) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((HEADS, TOKENS, WIDTH)).astype(np.float32)
    return x, (1 + rng.standard_normal(x.shape)).astype(np.float32)


@pytest.fixture(scope="module")
def form() -> IntegerGraph:
    return integer_only(graph(), [inputs(seed) for seed in range(4)])


def test_codes_and_means_are_those_of_floats_but_for_roundings(form: IntegerGraph) -> None:
    given = inputs(9)
    codes, mixed = interpret(graph(), *given)
    found_codes, found = interpret(form.graph, *form.quantised(*given))
    assert set(np.unique(found_codes)) == {-1, 1}
    assert (found_codes != codes).mean() < 0.05  # scores near 0
    _, real = form.real(found_codes, found)
    assert np.linalg.norm(real - mixed) < 0.1 * np.linalg.norm(mixed)


def test_means_are_exact_quotients_of_the_integer_codes(form: IntegerGraph) -> None:
    """Of what went in, by the definition; off by the two roundings: Q.8, and the level."""
    levels = form.quantised(*inputs(5))
    codes, found = interpret(form.graph, *levels)
    weight = codes.astype(int) @ np.swapaxes(codes, -1, -2).astype(int) + BITS + 1
    exact = weight @ levels[1].astype(int) / weight.sum(-1, keepdims=True)
    factor = form.scales["v"] / form.scales[form.graph.outputs[1].name]
    assert np.abs(found - np.clip(exact * factor, -128, 127)).max() <= 0.5 + factor / 512 + 1e-6


def test_every_operand_is_of_few_bits_and_codes_have_the_scale_one(form: IntegerGraph) -> None:
    made = form.graph
    assert {v.type.format.name for v in made.inputs + made.outputs} == {"int8"}
    (codes,) = (node for node in made.nodes if node.op.name == "hash_codes")
    assert codes.attributes["numerics"] == "integer"
    assert [v.type.format.name for v in codes.operands] == ["int8", "int8", "fp32", "fp32", "int8"]
    assert form.scales[codes.output.name] == 1.0
    rate = made.data[codes.operands[2].name]
    np.testing.assert_allclose(rate, np.array([0.05, 0.1]) * form.scales["x"] ** 2, rtol=1e-6)


def test_the_integer_form_survives_its_text(form: IntegerGraph) -> None:
    again = parse_graph(print_graph(form.graph))
    levels = form.quantised(*inputs(3))
    for one, other in zip(
        interpret(form.graph, *levels), interpret(again, *levels, data=form.graph.data), strict=True
    ):
        assert (one == other).all()


def test_anchors_that_are_computed_have_no_integer_form() -> None:
    given = graph(given_anchors=True)
    runs = [(*inputs(0), np.ones((HEADS, ANCHORS, WIDTH), np.float32))]
    with pytest.raises(UserError) as error:
        integer_only(given, runs)
    assert error.value.asked.startswith("hash_codes(fp32[2,40,8]")
    assert "weights given as parameters" in error.value.next_step
