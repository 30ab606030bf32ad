"""The requantiser's law, and the nodes that it takes."""

from __future__ import annotations

import numpy as np
import pytest

from siliform.arch.technology import Technology
from siliform.arch.units.requantise import Requantiser, requantise_cycles
from siliform.graph_ir.graph import Builder, Node
from siliform.graph_ir.ops import op_named
from siliform.graph_ir.types import tensor

UNIT = Requantiser(name="narrow", lanes=8)


def requantised(channels: int | None, *shape: int, taken: str = "int32", format: str = "int8") -> Node:
    b = Builder("g")
    factor = () if channels is None else (channels,)
    operands = (tensor(taken, *shape), tensor("int32", *factor), tensor("int8", *factor))
    values = [b.input(f"x{i}", t) for i, t in enumerate(operands)]
    return b.finish(b(op_named("requantise"), *values, format=format)).nodes[0]


def test_cycles_by_hand() -> None:
    assert requantise_cycles(1, 8, 8) == 4  # settings, one beat, out behind three registers
    assert requantise_cycles(32, 20, 8) == 3 * 32 + 3  # three column tiles, the last one half empty
    assert requantise_cycles(0, 8, 8) == requantise_cycles(8, 0, 8) == 0


def test_arrays_give_what_integers_give_and_more_work_takes_longer() -> None:
    rows, channels = np.arange(1, 50), np.arange(1, 50)[:, None]
    many = requantise_cycles(rows, channels, 8)
    assert many[36, 12] == requantise_cycles(13, 37, 8)
    assert (np.diff(many, axis=0) >= 0).all()
    assert (np.diff(many, axis=1) > 0).all()


def test_nodes_with_a_factor_for_each_channel_and_with_one_for_all() -> None:
    assert UNIT.node_refusal(requantised(20, 4, 32, 20)) is None
    assert UNIT.node_cycles(requantised(20, 4, 32, 20)) == 3 * 128 + 3
    assert UNIT.node_cycles(requantised(None, 4, 32, 20)) == 4 * 32 * 20 // 8 + 3
    assert UNIT.node_cycles(requantised(None, 5)) == 4


@pytest.mark.parametrize(
    ("node", "reason"),
    [
        (requantised(None, 4, format="int16"), "narrow gives int8, not int16"),
        (requantised(None, 4, format="uint8"), "narrow gives int8, not uint8"),
        (requantised(None, 4, taken="int64"), "narrow takes int32 sums, not int64"),
    ],
)
def test_it_says_why_it_refuses(node: Node, reason: str) -> None:
    assert UNIT.node_refusal(node) == reason


def test_it_refuses_other_ops() -> None:
    b = Builder("g")
    node = b.finish(b(op_named("relu"), b.input("x", tensor("int32", 4)))).nodes[0]
    assert UNIT.node_refusal(node) == "narrow does requantise only, not relu"


def test_wider_units_are_larger() -> None:
    technology = Technology(node_nm=28)
    areas = [
        Requantiser(name="r", lanes=lanes, result_bits=bits).area_um2(technology).number
        for lanes, bits in ((1, 8), (8, 8), (8, 16))
    ]
    assert areas[1] == pytest.approx(8 * areas[0])
    assert areas[1] < areas[2]
    assert UNIT.leakage_watts(technology).number > 0
