"""The elementwise adder's law, and the nodes that it takes."""

from __future__ import annotations

import numpy as np
import pytest

from siliform.arch.technology import Technology
from siliform.arch.units.eltwise import ElementwiseAdder, eltwise_cycles
from siliform.graph_ir.graph import Builder, Node
from siliform.graph_ir.ops import op_named
from siliform.graph_ir.types import tensor

UNIT = ElementwiseAdder(name="residual", lanes=8)


def added(op: str, taken: str, *shapes: tuple[int, ...], **attributes: object) -> Node:
    b = Builder("g")
    values = [b.input(f"x{i}", tensor(taken, *shape)) for i, shape in enumerate(shapes)]
    return b.finish(b(op_named(op), *values, **attributes)).nodes[0]


def summed(taken: str, *shape: int, format: str = "int8") -> Node:
    factors = {"multiplier_a": 3, "multiplier_b": 5, "shift": 4}
    return added("requantised_add", taken, shape, shape, format=format, **factors)


def test_cycles_by_hand() -> None:
    assert eltwise_cycles(1, 8) == 4  # the settings, one beat, out behind three registers
    assert eltwise_cycles(17, 8) == 3 + 3
    assert eltwise_cycles(0, 8) == 0


def test_arrays_give_what_integers_give_and_more_work_takes_longer() -> None:
    many = eltwise_cycles(np.arange(100), 8)
    assert many.tolist() == [eltwise_cycles(n, 8) for n in range(100)]
    assert (np.diff(many) >= 0).all()


def test_requantised_sums_and_additions_in_that_form_are_taken() -> None:
    assert UNIT.node_refusal(summed("int8", 4, 5)) is None
    assert UNIT.node_cycles(summed("int8", 4, 5)) == 3 + 3
    assert UNIT.node_refusal(summed("int4", 4, 5)) is None
    form = added("add", "fp32", (4, 5), (4, 5), numerics="int8_requantised")
    assert UNIT.node_refusal(form) is None


@pytest.mark.parametrize(
    ("node", "reason"),
    [
        (summed("int8", 4, format="int16"), "residual gives int8, not int16"),
        (summed("int16", 4), "residual takes integers of up to 8 bits, not int16"),
        (
            added("add", "fp32", (4, 5), (4, 5)),
            "residual does requantised_add, and add in int8_requantised, not add in no numerics",
        ),
        (
            added("add", "fp32", (4, 5), (5,), numerics="int8_requantised"),
            "residual adds tensors of one shape, not [4, 5] and [5]",
        ),
    ],
)
def test_it_says_why_it_refuses(node: Node, reason: str) -> None:
    assert UNIT.node_refusal(node) == reason


def test_other_widths_do_not_add_in_eight_bits() -> None:
    wide = ElementwiseAdder(name="wide", lanes=8, operand_bits=16, result_bits=16)
    form = added("add", "fp32", (4,), (4,), numerics="int8_requantised")
    assert wide.node_refusal(form) == "wide adds int16 to int16; int8_requantised needs int8 in and out"
    assert wide.node_refusal(summed("int16", 4, format="int16")) is None
    technology = Technology(node_nm=28)
    assert wide.area_um2(technology).number > UNIT.area_um2(technology).number
    assert UNIT.leakage_watts(technology).number > 0
