"""The activation unit's law, and the nodes that it takes."""

from __future__ import annotations

import numpy as np
import pytest

from siliform.arch.technology import Technology
from siliform.arch.units.activation import FUNCTIONS, ActivationUnit, activation_cycles
from siliform.graph_ir.graph import Builder, Node
from siliform.graph_ir.ops import op_named
from siliform.graph_ir.types import tensor


def unit(function: str) -> ActivationUnit:
    return ActivationUnit(name="curve", lanes=8, function=function)


def activated(op: str, taken: str, *shape: int, **attributes: object) -> Node:
    b = Builder("g")
    return b.finish(b(op_named(op), b.input("x", tensor(taken, *shape)), **attributes)).nodes[0]


def test_cycles_by_hand() -> None:
    assert activation_cycles(8, 8, 1) == 1  # in by one edge, out by the next
    assert activation_cycles(17, 8, 4) == 3 + 3
    assert activation_cycles(0, 8, 4) == 0


def test_arrays_give_what_integers_give_and_more_work_takes_longer() -> None:
    many = activation_cycles(np.arange(100), 8, 2)
    assert many.tolist() == [activation_cycles(n, 8, 2) for n in range(100)]
    assert (np.diff(many) >= 0).all()


@pytest.mark.parametrize("function", FUNCTIONS)
def test_each_function_takes_its_op_in_its_numerics(function: str) -> None:
    op, numerics, stages = FUNCTIONS[function]
    assert numerics in op_named(op).variants
    node = activated(op, "fp32", 4, 5, numerics=numerics)
    assert unit(function).node_refusal(node) is None
    assert unit(function).node_cycles(node) == 3 + stages - 1
    others = [f for f in FUNCTIONS if f != function]
    assert all(unit(other).node_refusal(node) is not None for other in others)


def test_relu_of_narrow_integers_is_the_same_circuit() -> None:
    assert unit("relu").node_refusal(activated("relu", "int8", 4)) is None
    refused = unit("relu").node_refusal(activated("relu", "int32", 4))
    assert refused == "curve does relu in integer, not in int32"


@pytest.mark.parametrize(
    ("node", "reason"),
    [
        (activated("gelu", "fp32", 4), "curve does gelu in piecewise_linear, not in fp32"),
        (
            activated("gelu", "fp32", 4, numerics="integer_polynomial"),
            "curve does gelu in piecewise_linear, not in integer_polynomial",
        ),
        (activated("silu", "fp32", 4), "curve does gelu in piecewise_linear, not silu"),
    ],
)
def test_it_says_why_it_refuses(node: Node, reason: str) -> None:
    assert unit("gelu_chords").node_refusal(node) == reason


def test_more_arithmetic_is_more_area() -> None:
    technology = Technology(node_nm=28)
    areas = {f: unit(f).area_um2(technology).number for f in FUNCTIONS}
    assert areas["relu"] < areas["gelu_chords"] < areas["silu_chords"] < areas["gelu_polynomial"]
    assert unit("relu").leakage_watts(technology).number > 0
