"""The top-k selector's law by hand, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest

from siliform.arch.design import load_design
from siliform.arch.units.topk import TopKSelector, top_k_cycles
from siliform.graph_ir.graph import Builder, Node
from siliform.graph_ir.ops.selection import sort, top_k
from siliform.graph_ir.types import tensor

UNIT = TopKSelector(name="selector", kept=8, comparators=16)


def node(format: str, *shape: int, k: int = 8, axis: int = -1) -> Node:
    """The k largest along `axis`."""
    b = Builder("one")
    return b.finish(*b(top_k, b.input("x", tensor(format, *shape)), k=k, axis=axis)).nodes[0]


def test_comparators_take_elements_side_by_side_or_in_parts() -> None:
    assert top_k_cycles(3, 100, 8, 8) == 3 * 100
    assert top_k_cycles(3, 100, 8, 16) == top_k_cycles(3, 100, 8, 23) == 3 * 50
    assert top_k_cycles(3, 101, 8, 16) == 3 * 51
    assert top_k_cycles(3, 100, 8, 4) == 3 * 100 * 2
    assert top_k_cycles(3, 100, 8, 3) == 3 * 100 * 3
    assert top_k_cycles(3, 0, 8, 3) == top_k_cycles(0, 5, 8, 3) == top_k_cycles(3, 5, 0, 3) == 0


def test_more_work_never_takes_less_and_more_comparators_never_longer() -> None:
    counts = np.arange(1, 60)
    for cycles in (
        top_k_cycles(counts, 20, 8, 5),
        top_k_cycles(5, counts, 8, 20),
        top_k_cycles(5, 20, counts, 16),
        -top_k_cycles(5, 20, 8, counts),
    ):
        assert (np.diff(cycles) >= 0).all()


def test_a_node_is_its_rows() -> None:
    assert UNIT.node_refusal(node("int16", 5, 40)) is None
    assert UNIT.node_cycles(node("int16", 5, 40)) == 5 * 20
    assert UNIT.node_cycles(node("int16", 40, 5, k=3, axis=0)) == 5 * 20
    assert UNIT.node_cycles(node("int8", 0, 40)) == 0
    assert UNIT.row_elements(node("int16", 5, 40, k=3)) == 3


def sorted_node() -> Node:
    b = Builder("one")
    return b.finish(*b(sort, b.input("x", tensor("int8", 4)))).nodes[0]


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (sorted_node(), "selector does top_k only, not sort"),
        (node("int16", 40, k=9), "selector keeps 8 elements, not 9"),
        (node("fp16", 40), "selector compares signed integers of up to 16 bits, not fp16"),
        (node("int32", 40), "selector compares signed integers of up to 16 bits, not int32"),
        (node("uint8", 40), "selector compares signed integers of up to 16 bits, not uint8"),
        (node("int8", 2**16 + 1), "selector counts to 65536, not to the 65537 elements of a row"),
    ],
    ids=str,
)
def test_refusals_say_why(given: Node, reason: str) -> None:
    assert UNIT.node_refusal(given) == reason


def test_area_is_registers_and_comparators() -> None:
    technology = load_design("edge-32x32").technology
    one = TopKSelector(name="s", kept=8, comparators=1).area_um2(technology).number
    two = TopKSelector(name="s", kept=8, comparators=2).area_um2(technology).number
    wide = TopKSelector(name="s", kept=8, comparators=1, element_bits=32).area_um2(technology).number
    assert one < two < 2 * one < 2 * wide
    assert UNIT.leakage_watts(technology).number > 0
