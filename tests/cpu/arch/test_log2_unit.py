"""The log2 unit's laws by hand, what it accepts and how it refuses."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from siliform.arch.technology import Technology
from siliform.arch.units import UNITS
from siliform.arch.units.log2 import Log2Unit, leading_cycles, search_cycles
from siliform.graph_ir.graph import Builder, Node
from siliform.graph_ir.ops import OPS
from siliform.graph_ir.types import tensor

LEADING = Log2Unit(name="log2", lanes=4)
SEARCH = Log2Unit(name="adalog", lanes=4, method="search")


def node(op: str, **attributes: object) -> Node:
    b = Builder("one")
    return b.finish(b(OPS[op], b.input("x", tensor("fp32", 3, 5)), **attributes)).nodes[0]


def test_the_laws_by_hand() -> None:
    assert [leading_cycles(n, 4) for n in (0, 1, 4, 5)] == [0, 2, 2, 3]
    # 15 limits, one beat, four registers; the last beat of a run leaves where the next could begin.
    assert [search_cycles(n, 4, 4) for n in (0, 1, 4, 5)] == [0, 19, 19, 20]
    assert search_cycles(5, 4, 3, tables=2) == 2 * (7 + 2 + 3) - 1


@given(st.integers(0, 1000), st.integers(1, 32), st.integers(1, 8))
def test_more_work_takes_no_less_time(elements: int, lanes: int, bits: int) -> None:
    for law in (leading_cycles, lambda n, p: search_cycles(n, p, bits)):
        assert law(elements + 1, lanes) >= law(elements, lanes) >= law(elements, lanes + 1)
        assert law(elements, lanes) * lanes >= elements


def test_arrays_of_counts_give_what_single_ones_do() -> None:
    elements, lanes, bits = np.array([0, 1, 100, 4096]), np.array([4, 8, 16, 1]), np.array([1, 4, 8, 3])
    triples = list(zip(elements.tolist(), lanes.tolist(), bits.tolist(), strict=True))
    assert leading_cycles(elements, lanes).tolist() == [leading_cycles(n, p) for n, p, _ in triples]
    assert search_cycles(elements, lanes, bits, 2).tolist() == [search_cycles(*t, 2) for t in triples]


def test_what_is_accepted_takes_its_law() -> None:
    quantise = node("quantize", format="log2_4@tensor", numerics="integer_log2")
    plain = node("log_codes", bits=4, numerics="integer")
    searched = node("log_codes", bits=4, numerator=20, denominator=37, scale=0.7, numerics="integer")
    assert LEADING.node_refusal(quantise) is None
    assert LEADING.node_refusal(plain) is None
    assert LEADING.node_cycles(quantise) == leading_cycles(15, 4)
    assert SEARCH.node_refusal(plain) is None
    assert SEARCH.node_refusal(searched) is None
    adaptive = node("quantize", format="adalog20_4@tensor", numerics="integer_log2")
    assert SEARCH.node_refusal(adaptive) is None
    assert SEARCH.node_cycles(adaptive) == search_cycles(15, 4, 4)
    assert SEARCH.node_cycles(searched) == search_cycles(15, 4, 4)
    assert SEARCH.row_elements(searched) == 1


@pytest.mark.parametrize(
    ("unit", "wrong", "reason"),
    [
        (LEADING, node("exp"), "log2 does quantize and log_codes, not exp"),
        (SEARCH, node("exp"), "adalog does quantize and log_codes, not exp"),
        (
            SEARCH,
            node("quantize", format="adalog20_4@tensor"),
            "adalog does quantize in integer_log2, not in floats",
        ),
        (
            LEADING,
            node("quantize", format="adalog20_4@tensor", numerics="integer_log2"),
            "log2 takes base two, not adalog20_4",
        ),
        (
            LEADING,
            node("quantize", format="log2_4@tensor"),
            "log2 does quantize in integer_log2, not in floats",
        ),
        (
            LEADING,
            node("quantize", format="log2_3@tensor", numerics="integer_log2"),
            "log2 makes codes of 4 bits, not of 3",
        ),
        (SEARCH, node("log_codes", bits=4), "adalog does log_codes in integer, not in floats"),
        (SEARCH, node("log_codes", bits=5, numerics="integer"), "adalog makes codes of 4 bits, not of 5"),
        (
            LEADING,
            node("log_codes", bits=4, numerator=20, denominator=37, numerics="integer"),
            "log2 takes base two and the scale 1, not base 2**(20/37) and the scale 1.0",
        ),
    ],
)
def test_refusals(unit: Log2Unit, wrong: Node, reason: str) -> None:
    assert unit.node_refusal(wrong) == reason


def test_area_grows_with_lanes_and_bits() -> None:
    technology = Technology(node_nm=45)

    def area(lanes: int, **changed: object) -> float:
        return Log2Unit(name="u", lanes=lanes, **changed).area_um2(technology).number  # type: ignore[arg-type]

    assert area(8) < area(16) < area(16, code_bits=5)
    assert area(16, method="search") < area(16, method="search", code_bits=6)
    assert LEADING.leakage_watts(technology).number > 0
    assert UNITS["log2"] is Log2Unit
