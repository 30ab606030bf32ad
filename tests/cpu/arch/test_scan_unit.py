"""The scan's law by hand and against a schedule of its beats, and what the unit refuses."""

from __future__ import annotations

import numpy as np
import pytest

from siliform.arch.design import load_design
from siliform.arch.units.scan import ScanUnit, scan_cycles
from siliform.graph_ir.graph import Builder, Node
from siliform.graph_ir.ops.scan import cumsum, linear_recurrence
from siliform.graph_ir.types import tensor

UNIT = ScanUnit(name="scan", lanes=4, step_cycles=3, depth=8)


def node(*shape: int, axis: int = 0, initial: bool = False, numerics: str | None = "fixed_point") -> Node:
    """A recurrence along `axis`."""
    b = Builder("one")
    operands = [b.input(name, tensor("fp32", *shape)) for name in ("a", "b")]
    if initial:
        operands.append(b.input("h", tensor("fp32", *(e for i, e in enumerate(shape) if i != axis))))
    chosen = {"numerics": numerics} if numerics else {}
    return b.finish(b(linear_recurrence, *operands, axis=axis, **chosen)).nodes[0]


def scheduled(length: int, groups: int, step: int, sequences: int) -> int:
    """When the last beat leaves, each entering as early as the beat before and its own group allow."""
    now = -1
    for _ in range(sequences):
        entered = [-step] * groups
        for t in range(length):
            for g in range(groups):
                now = max(now + 1, entered[g] + step if t else 0)
                entered[g] = now
    return now + step


def test_the_law_is_the_earliest_schedule() -> None:
    for length in (1, 2, 5):
        for groups in (1, 2, 3, 4):
            for step in (1, 2, 3):
                for sequences in (1, 2, 3):
                    law = scan_cycles(length, 4 * groups - 1, 4, step, sequences)
                    assert law == scheduled(length, groups, step, sequences)


def test_more_work_never_takes_less_and_more_lanes_never_longer() -> None:
    counts = np.arange(1, 60)
    for cycles in (
        scan_cycles(counts, 9, 4, 3),
        scan_cycles(9, counts, 4, 3),
        scan_cycles(9, 17, 4, counts),
        -scan_cycles(9, 17, counts, 2),
    ):
        assert (np.diff(cycles) >= 0).all()


def test_a_node_is_its_channels_in_turns_of_as_many_as_are_held() -> None:
    assert UNIT.node_refusal(node(10, 32)) is None
    assert UNIT.node_cycles(node(10, 32)) == scan_cycles(10, 32, 4, 3)
    assert UNIT.node_cycles(node(10, 64)) == scan_cycles(10, 32, 4, 3, 2)
    # Two turns of 32 channels, then one of 5, whose beats follow without a gap.
    assert UNIT.node_cycles(node(10, 69)) == 2 * 80 + (9 * 3 + 2) + 2
    assert UNIT.node_cycles(node(2, 10, 16, axis=1)) == scan_cycles(10, 32, 4, 3)
    assert UNIT.node_cycles(node(10, 32, initial=True)) == scan_cycles(11, 32, 4, 3)
    assert UNIT.node_cycles(node(0, 32)) == UNIT.node_cycles(node(10, 0)) == 0
    assert UNIT.row_elements(node(2, 10, 16, axis=1)) == 160


def test_refusals_say_why() -> None:
    assert UNIT.node_refusal(node(10, 32, numerics=None)) == (
        "scan computes in fixed point: numerics is None, not 'fixed_point'"
    )
    b = Builder("one")
    other = b.finish(b(cumsum, b.input("x", tensor("fp32", 5)), axis=0)).nodes[0]
    assert UNIT.node_refusal(other) == "scan does linear_recurrence only, not cumsum"
    with pytest.raises(ValueError, match="scan does whole nodes"):
        UNIT.cycles(other.spaces[0])


def test_area_grows_with_lanes_and_states() -> None:
    technology = load_design("edge-32x32").technology
    area = UNIT.area_um2(technology).number
    assert ScanUnit(name="s", lanes=8, step_cycles=3, depth=8).area_um2(technology).number == 2 * area
    assert ScanUnit(name="s", lanes=4, step_cycles=3, depth=16).area_um2(technology).number > area
    assert UNIT.leakage_watts(technology).number > 0
