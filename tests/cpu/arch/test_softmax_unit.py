"""The softmax unit's law by hand and against a queue of rows, what it accepts and how it refuses."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from siliform.arch.technology import Technology
from siliform.arch.units import UNITS
from siliform.arch.units.softmax import (
    SoftmaxUnit,
    division_cycles,
    sigmoid_cycles,
    softmax_cycles,
    softmax_stream_cycles,
)
from siliform.graph_ir.errors import UserError
from siliform.graph_ir.graph import Builder, Node
from siliform.graph_ir.ops import OPS
from siliform.graph_ir.types import tensor
from siliform.graph_ir.variants import SOFTMAX

UNIT = SoftmaxUnit(name="softmax", lanes=4, max_length=64, numerics="integer_base2")


def node(op: str, shape: tuple[int, ...], **attributes: object) -> Node:
    b = Builder("one")
    return b.finish(b(OPS[op], b.input("x", tensor("fp32", *shape)), **attributes)).nodes[0]


@pytest.mark.parametrize(
    ("rows", "length", "numerics", "bits", "cycles"),
    [
        # One beat: the maximum 2, the exponential 6, the sum 2, 16 bits and a rounding.
        (1, 1, "integer_base2", 1, 2 + 6 + 2 + 17),
        (1, 4, "integer_polynomial", 1, 27),
        (1, 4, "integer_base2", 4, 2 + 6 + 2 + 5),
        # Three beats: each of the three passes is two beats longer.
        (1, 9, "integer_base2", 1, 27 + 2 + 2 + 2),
        (10, 9, "integer_base2", 1, 27 + 29 + 2 + 2),
        # A reciprocal of 20 bits, a product and its rounding.
        (1, 4, "integer_base2_reciprocal", 1, 2 + 6 + 2 + 21 + 2),
        # Power 4, octave 6, the shift; two passes.
        (1, 4, "integer_online", 1, 4 + 6 + 1 + 21 + 2),
        (10, 9, "integer_online", 1, 34 + 29 + 2),
        (0, 9, "integer_online", 1, 0),
    ],
)
def test_the_law_by_hand(rows: int, length: int, numerics: str, bits: int, cycles: int) -> None:
    assert softmax_cycles(rows, length, 4, numerics, bits) == cycles
    clipped = softmax_cycles(rows, length, 4, numerics, bits, clipped=True)
    assert clipped == (cycles + 2 if rows else 0)


def passed(beats: list[int], ready: list[int]) -> list[int]:
    """When each row begins to leave a buffer: when it is ready and the one before it has left."""
    starts: list[int] = []
    for index, cycle in enumerate(ready):
        freed = starts[-1] + beats[index - 1] if index else 0
        starts.append(max(cycle, freed))
    return starts


@given(st.lists(st.integers(1, 30), min_size=1, max_size=12), st.integers(1, 16))
def test_the_law_is_that_of_rows_that_queue_before_two_passes(beats: list[int], bits: int) -> None:
    arrived = [sum(beats[: i + 1]) - 1 for i in range(len(beats))]  # the cycle of a row's last beat
    second = passed(beats, [cycle + 2 for cycle in arrived])
    third = passed(beats, [start + n - 1 + 8 for start, n in zip(second, beats, strict=True)])
    last = third[-1] + beats[-1] - 1 + division_cycles(16, bits)
    assert softmax_stream_cycles(sum(beats), max(beats), "integer_base2", bits) == last
    assert all(a < b for a, b in pairwise(third))


@pytest.mark.parametrize("numerics", SOFTMAX)
@given(st.integers(0, 50), st.integers(1, 200), st.integers(1, 32))
def test_more_work_or_fewer_lanes_take_no_less_time(
    numerics: str, rows: int, length: int, lanes: int
) -> None:
    base = softmax_cycles(rows, length, lanes, numerics)
    assert softmax_cycles(rows + 1, length, lanes, numerics) > base
    assert softmax_cycles(rows, length + 1, lanes, numerics) >= base
    assert softmax_cycles(rows, length, lanes + 1, numerics) <= base
    assert base * lanes >= rows * length


@pytest.mark.parametrize("numerics", SOFTMAX)
def test_arrays_of_counts_give_what_single_ones_do(numerics: str) -> None:
    rows, length, lanes = np.array([0, 1, 7, 5000]), np.array([3, 1, 100, 197]), np.array([4, 8, 16, 1])
    found = softmax_cycles(rows, length, lanes, numerics, 2, clipped=True)
    single = [
        softmax_cycles(int(r), int(n), int(p), numerics, 2, clipped=True)
        for r, n, p in zip(rows, length, lanes, strict=True)
    ]
    assert found.tolist() == single


def test_sigmoid_by_hand() -> None:
    assert [sigmoid_cycles(n, 4) for n in (0, 1, 4, 5)] == [0, 24, 24, 25]
    assert sigmoid_cycles(np.array([0, 9]), 4, 16).tolist() == [0, 2 + 6 + 1 + 2]


def test_a_node_takes_what_its_rows_take() -> None:
    x = node("softmax", (2, 3, 33), numerics="integer_base2")
    assert UNIT.node_refusal(x) is None
    assert UNIT.node_cycles(x) == softmax_cycles(6, 33, 4, "integer_base2")
    assert UNIT.row_elements(x) == 33
    clipping = SoftmaxUnit(name="clip", lanes=4, function="clipped_softmax", numerics="integer_online")
    y = node("clipped_softmax", (6, 33), gamma=-0.03, zeta=1.0, numerics="integer_online")
    assert clipping.node_refusal(y) is None
    assert clipping.node_refusal(node("softmax", (6, 33), numerics="integer_online")) is None
    assert clipping.node_cycles(y) == softmax_cycles(6, 33, 4, "integer_online") + 2
    sigmoid = SoftmaxUnit(name="sigmoid", lanes=4, function="sigmoid", numerics="integer_polynomial")
    z = node("sigmoid", (6, 33), numerics="integer_polynomial")
    assert sigmoid.node_refusal(z) is None
    assert sigmoid.node_cycles(z) == sigmoid_cycles(198, 4)
    assert sigmoid.row_elements(z) == 1


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (node("exp", (6, 33)), "softmax does softmax, not exp"),
        (node("softmax", (6, 33)), "softmax does softmax in integer_base2, not in floats"),
        (
            node("softmax", (6, 33), numerics="integer_online"),
            "softmax does softmax in integer_base2, not in integer_online",
        ),
        (
            node("softmax", (6, 33), axis=0, numerics="integer_base2"),
            "softmax takes rows along the last axis, not along axis 0",
        ),
        (
            node("softmax", (6, 65), numerics="integer_base2"),
            "softmax holds rows of 64 scores, not of 65",
        ),
    ],
)
def test_refusals(wrong: Node, reason: str) -> None:
    assert UNIT.node_refusal(wrong) == reason


def test_a_clip_out_of_range_is_refused() -> None:
    unit = SoftmaxUnit(name="clip", lanes=4, function="clipped_softmax", numerics="integer_base2")
    wrong = node("clipped_softmax", (6, 33), gamma=-5.0, zeta=1.0, numerics="integer_base2")
    assert (
        unit.node_refusal(wrong) == "clip clips from -4 on and stretches by less than 4, not from -5.0 to 1.0"
    )


def test_sigmoid_has_no_reciprocal() -> None:
    with pytest.raises(UserError) as caught:
        SoftmaxUnit(name="unit", lanes=4, function="sigmoid", numerics="integer_online")
    assert str(caught.value) == (
        "asked: unit for sigmoid in integer_online\n"
        "found: sigmoid in integer_base2, integer_polynomial: its sums are of two, and no row shares a "
        "reciprocal\n"
        "where: unit.numerics\n"
        "next:  choose integer_base2 or integer_polynomial"
    )


def test_area_grows_with_lanes_and_rows_and_a_reciprocal_is_smaller_than_dividers() -> None:
    technology = Technology(node_nm=45)

    def area(lanes: int, **changed: object) -> float:
        return SoftmaxUnit(name="u", lanes=lanes, **changed).area_um2(technology).number  # type: ignore[arg-type]

    assert area(16) < area(32)
    assert area(16) < area(16, max_length=8192)
    assert area(16) < area(16, numerics="integer_base2")
    assert area(16) < area(16, function="clipped_softmax")
    assert UNIT.leakage_watts(technology).number > 0
    assert UNITS["softmax"] is SoftmaxUnit
