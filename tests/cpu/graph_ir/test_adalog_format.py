"""The formats adalog<numerator>_<bits>, and logarithms as first operands of products."""

from __future__ import annotations

import numpy as np
import pytest

from siliform.graph_ir.errors import UserError
from siliform.graph_ir.formats import Range, format_named, quantise
from siliform.graph_ir.formats.logarithm import FACTOR_BITS, AdaLog
from siliform.graph_ir.graph import Builder, Graph
from siliform.graph_ir.interpret import interpret
from siliform.graph_ir.ops import OPS
from siliform.graph_ir.passes.assign_formats import Policy, Rule, assign_formats, parse_bits
from siliform.graph_ir.text import parse_graph
from siliform.graph_ir.types import tensor
from siliform.graph_ir.variants.log_codes import integer_log2, limits, values_of


@pytest.mark.parametrize(("numerator", "bits"), [(1, 4), (20, 4), (37, 3), (53, 5), (74, 4), (13, 8)])
def test_values_are_factors_and_shifts(numerator: int, bits: int) -> None:
    format = format_named(f"adalog{numerator}_{bits}")
    assert isinstance(format, AdaLog)
    assert format.bits == bits
    codes = format.codes()
    exact = 2.0 ** -(codes.astype(np.float64) * numerator / 37)
    values = format.decode(codes)
    assert np.abs(values / exact - 1).max() <= 2.0**-FACTOR_BITS  # half a step of a factor above 1/2
    assert (values / format.step == np.rint(values / format.step)).all()
    assert (format.factors * 2**FACTOR_BITS == np.rint(format.factors * 2**FACTOR_BITS)).all()
    assert (format.min, format.max) == (values.min(), values.max())
    assert Range.of(format).high == 1
    x = np.random.default_rng(bits).uniform(0, 1, 500) ** 4
    direct = np.clip(np.rint(-np.log2(x) * 37 / numerator), 0, 2**bits - 1)
    assert np.array_equal(format.encode(x), direct)
    assert format.encode(np.zeros(1)) == 2**bits - 1


def test_base_two_is_log2() -> None:
    x = np.random.default_rng(0).uniform(0, 1, 2000) ** 5
    assert np.array_equal(format_named("adalog37_4").round(x), format_named("log2_4").round(x))


@pytest.mark.parametrize("numerator", [9, 20, 37, 74])
def test_codes_of_probabilities_are_those_of_the_circuit(numerator: int) -> None:
    every = np.arange(2**15 + 1) / 2.0**15
    made = integer_log2(every, format=f"adalog{numerator}_4@tensor")
    steps = limits(4, numerator, 37, 1.0)
    codes = (steps[None] >= values_of(every)[:, None]).sum(1)
    assert np.array_equal(made.levels, format_named(f"adalog{numerator}_4").decode(codes))


@pytest.mark.parametrize("name", ["adalog0_4", "adalog149_4", "adalog20_0", "adalog20_9"])
def test_sizes_that_it_has_not_are_refused(name: str) -> None:
    with pytest.raises(UserError) as refused:
        format_named(name)
    assert refused.value.found == f"{name}; numerators are 1 to 148, bits 1 to 8"
    assert refused.value.next_step == "write it as adalog20_4, the base 2**(20/37) in 4 bits"


def test_negative_values_are_refused() -> None:
    with pytest.raises(UserError) as refused:
        format_named("adalog20_4").encode(np.array([0.5, -0.25]))
    assert refused.value.found == "1 of them are negative, the least is -0.25"


def attention() -> Graph:
    b = Builder("attention")
    q, k, v = (b.input(name, tensor("fp32", 1, 2, 5, 8)) for name in "qkv")
    with b.at("mix"):
        return b.finish(b(OPS["attention"], q, k, v, pattern="causal"))


@pytest.mark.parametrize("logarithm", ["log2_4", "adalog20_4"])
def test_probabilities_take_a_logarithm_and_scores_do_not(logarithm: str) -> None:
    graph = attention()
    made = assign_formats(graph, parse_bits(f"{logarithm}*int8"))
    products = [n for n in made.nodes if n.op.name == "matmul"]
    assert [[v.type.format.name for v in n.operands] for n in products] == [
        ["int8@tensor", "int8@tensor"],
        [f"{logarithm}@tensor", "int8@tensor"],
    ]
    assert {n.module for n in made.nodes} == {"mix"}
    forms = [n.attributes.get("numerics") for n in made.nodes if n.op.name == "quantize"]
    assert forms.count("integer_log2") == 1
    assert str(parse_graph(str(made))) == str(made)
    given = [np.random.default_rng(s).normal(size=(1, 2, 5, 8)).astype(np.float32) for s in range(3)]
    (exact,), (rounded,) = interpret(graph, *given), interpret(made, *given)
    scores = np.einsum("bhqc,bhkc->bhqk", *given[:2]) / np.sqrt(8) + np.triu(np.full((5, 5), -1e9), 1)
    share = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    wanted = format_named(logarithm).round(share) @ given[2]
    assert np.abs(rounded - wanted).max() < 0.05  # int8 of q, k and v
    assert np.abs(rounded - exact).max() > 0.05


def test_a_linear_layer_takes_a_logarithm_with_a_scale() -> None:
    b = Builder("after")
    x, w = b.input("x", tensor("fp32", 3, 8)), b.parameter("w", tensor("fp32", 4, 8))
    graph = b.finish(b(OPS["linear"], b(OPS["relu"], x), w))
    made = assign_formats(graph, Policy((Rule(first="adalog13_4", weight="int4", activation="int8"),)))
    (product,) = (n for n in made.nodes if n.op.name == "linear")
    assert [v.type.format.name for v in product.operands] == ["adalog13_4@tensor", "int4@channel0"]
    (quantised,) = (n for n in made.nodes if n.op.name == "quantize")
    assert "numerics" not in quantised.attributes
    assert sum(s.count("log") for s in quantised.spaces) == 24


def test_the_product_by_levels_is_exact() -> None:
    rng = np.random.default_rng(3)
    a = quantise(rng.uniform(0, 1, (4, 33)) ** 3, format_named("adalog20_4@tensor:fp64"), np.ones(()))
    b = quantise(rng.normal(size=(33, 5)), format_named("int8@tensor"))
    made = OPS["matmul"].reference(a, b)
    assert np.array_equal(made, (a.levels @ b.levels).astype(np.float32) * np.float32(b.scale))
