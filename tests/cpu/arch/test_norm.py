"""The norm unit's law, and the nodes that it takes."""

from __future__ import annotations

import numpy as np
import pytest

from siliform.arch.technology import Technology
from siliform.arch.units.norm import NormUnit, norm_cycles, quotient_bits, statistics_cycles
from siliform.graph_ir.graph import Builder, Node
from siliform.graph_ir.ops import op_named
from siliform.graph_ir.types import tensor
from siliform.graph_ir.variants.norms import norm_levels

UNIT = NormUnit(name="norm", lanes=8, max_length=64)


def normed(op: str, *shape: int, numerics: str | None = "integer", **attributes: object) -> Node:
    b = Builder("g")
    form = {} if numerics is None else {"numerics": numerics}
    return b.finish(b(op_named(op), b.input("x", tensor("fp32", *shape)), **form, **attributes)).nodes[0]


def test_cycles_by_hand() -> None:
    # 3 for the sums, 6 + 1 for a mean of 24 bits, 3 about it, 12 + 1 for a variance of 47, 26 for the root.
    assert statistics_cycles() == 3 + 7 + 3 + 13 + 26
    assert statistics_cycles(20, 2) == 3 + 6 + 3 + 11 + 11
    # 19 bits of a quotient, one to round; one to centre and three behind; the settings' cycle is the last's.
    assert norm_cycles(1, 8, 8, 64) == 1 + 0 + 52 + 1 + 20 + 3
    assert norm_cycles(5, 20, 8, 64) == 15 + 2 + 52 + 1 + 20 + 3
    assert norm_cycles(0, 8, 8, 64) == 0


def test_arrays_give_what_integers_give_and_more_work_takes_longer() -> None:
    rows, length = np.arange(1, 40), np.arange(1, 65)[:, None]
    many = norm_cycles(rows, length, 8, 64)
    assert many[36, 12] == norm_cycles(13, 37, 8, 64)
    assert (np.diff(many, axis=0) >= 0).all()
    assert (np.diff(many, axis=1) > 0).all()


@pytest.mark.parametrize("length", [1, 2, 3, 7, 64, 1000, 4096])
def test_no_quotient_is_wider_than_the_circuit_s(length: int) -> None:
    """One element far from the others is as far as one can be, the more so where the variance rounds to 0."""
    weight, bias = np.full(length, 2**12), np.zeros(length, np.int64)
    worst = 0
    for far in (1, 2, int(np.sqrt(length / 2)), int(np.sqrt(length / 2)) + 1, 1000, 2**23 - 1):
        row = np.zeros((1, length), np.int64)
        row[0, 0] = far
        for centred in (True, False):
            # With a weight of 1 in Q.12 the result is the quotient in Q.14, less its last two bits.
            worst = max(worst, int(np.abs(norm_levels(row, weight, bias, 0, centred=centred)).max()))
    assert 4 * worst < 2 ** quotient_bits(length)
    if length > 7:
        assert 4 * worst > 2 ** (quotient_bits(length) - 2)


def test_nodes_in_integers_are_taken() -> None:
    for op in ("layer_norm", "rms_norm"):
        assert UNIT.node_refusal(normed(op, 5, 20)) is None
        assert UNIT.node_cycles(normed(op, 5, 20)) == norm_cycles(5, 20, 8, 64)
    both = normed("layer_norm", 5, 4, 6, dims=2)
    assert UNIT.row_elements(both) == 24
    assert UNIT.node_cycles(both) == norm_cycles(5, 24, 8, 64)


@pytest.mark.parametrize(
    ("unit", "node", "reason"),
    [
        (UNIT, normed("layer_norm", 5, 8, numerics=None), "norm does layer_norm in integer, not in floats"),
        (UNIT, normed("rms_norm", 5, 65), "norm holds rows of 64 elements, not of 65"),
        (UNIT, normed("rms_norm", 5, 8, eps=16.0), "norm takes an eps below 16, not 16.0"),
        (UNIT, normed("relu", 5), "norm does layer_norm and rms_norm, not relu"),
        (
            NormUnit(name="narrow", lanes=8, value_bits=20),
            normed("rms_norm", 5, 8),
            "narrow takes operands of 20 bits, and integer has 24",
        ),
    ],
)
def test_it_says_why_it_refuses(unit: NormUnit, node: Node, reason: str) -> None:
    assert unit.node_refusal(node) == reason


def test_longer_rows_and_more_lanes_are_more_area() -> None:
    technology = Technology(node_nm=28)
    sizes = ((8, 64), (8, 1024), (16, 1024))
    areas = [NormUnit(name="n", lanes=a, max_length=b).area_um2(technology).number for a, b in sizes]
    assert areas == sorted(areas)
    assert UNIT.leakage_watts(technology).number > 0
