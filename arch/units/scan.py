"""The scan unit: linear recurrences h = a h + b, a channel in each lane, channels in turn over the lanes.

A step depends on the one before, so that its length cannot be spread over lanes. What hides the latency of
a step are other channels: while one group of lanes is on its way, the next groups enter.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, ClassVar

from siliform.arch.law import Count, ceil_div, checked_product, checked_sum, maximum, where
from siliform.arch.parameter import parameter
from siliform.arch.sourced import Sourced, total
from siliform.arch.units.engine import Engine
from siliform.arch.units.in_gates import scaled_by_netlist
from siliform.graph_ir.graph import Node

if TYPE_CHECKING:
    from siliform.arch.technology import Technology


def scan_cycles(length: Count, width: Count, lanes: Count, step_cycles: Count, sequences: Count = 1) -> Count:
    """Cycles of `sequences` recurrences of `length` steps on `width` channels, one behind the other.

    A step is G = ceil(width / lanes) beats, one a cycle. A group's beat enters `step_cycles` (S) after the
    same group's beat of the step before, or later where G is longer: ``(length - 1) max(G, S) + G`` cycles
    for the beats of a sequence to enter. A sequence begins anew and waits for nobody, and the last beat
    leaves S cycles after it entered, which counts from one to the next: S - 1 more.
    """
    groups = ceil_div(width, lanes)
    steps = checked_product(maximum(length - 1, 0), maximum(groups, step_cycles))
    entering = checked_product(sequences, checked_sum(steps, groups))
    nothing = (length == 0) | (groups == 0) | (sequences == 0)
    return where(nothing, 0, entering + step_cycles - 1)


@dataclass(frozen=True, kw_only=True)
class ScanUnit(Engine):
    """Lanes of one multiplier and one adder each, with a memory of states behind them."""

    kind: ClassVar[str] = "scan"

    lanes: int = parameter("channels side by side", low=1, high=65536, knob=(4, 8, 16, 32, 64))
    step_cycles: int = parameter(
        "cycles from a step to the next of the same channel", default=2, low=1, high=3
    )
    depth: int = parameter(
        "states that a lane holds: groups of channels in turn", default=64, low=1, high=65536
    )

    def node_refusal(self, node: Node) -> str | None:
        """Accepts the linear recurrence in fixed point."""
        if node.op.name != "linear_recurrence":
            return f"{self.name} does linear_recurrence only, not {node.op.name}"
        numerics = node.attributes.get("numerics")
        if numerics != "fixed_point":
            return f"{self.name} computes in fixed point: numerics is {numerics!r}, not 'fixed_point'"
        return None

    def node_cycles(self, node: Node) -> int:
        """Channels in turns of as many as are held; an initial state is one step more."""
        (drive, initial), axis = (node.inputs[1], node.inputs[2]), node.attributes["axis"]
        assert drive is not None  # an operand that the op requires
        length = drive.type.shape[axis]
        if not drive.type.elements:
            return 0
        width, held = drive.type.elements // length, self.lanes * self.depth
        steps = length + (initial is not None)
        turns, rest = divmod(width, held)
        runs = [(held, turns)] if turns else []
        runs += [(rest, 1)] if rest else []
        drain = self.step_cycles - 1  # of the last turn: the others' hides behind the next
        return drain + sum(
            int(scan_cycles(steps, channels, self.lanes, self.step_cycles, times)) - drain
            for channels, times in runs
        )

    def row_elements(self, node: Node) -> int:
        """A sequence is not cut: its axis and all that lie within it."""
        shape = node.output.type.shape
        return max(prod(shape[node.attributes["axis"] % len(shape) :]), 1)

    def area_um2(self, technology: Technology) -> Sourced:
        """The logic, scaled to a netlist."""
        return scaled_by_netlist(self, technology, lambda unit: unit.logic_um2(technology))

    def logic_um2(self, technology: Technology) -> Sourced:
        """A multiplier, an adder and pipeline registers of 32 bits for each lane, and its states."""
        lane = (
            technology.operator_area_um2("mul", "int32"),
            technology.operator_area_um2("add", "int32"),
            technology.register_area_um2(32 * self.step_cycles + 32 * self.depth),
        )
        return total(lane, "um2").times(self.lanes, "lanes, states in flip-flops")

    def leakage_watts(self, technology: Technology) -> Sourced:
        """Logic leakage over its area."""
        return technology.logic_leakage_watts(self.area_um2(technology))
