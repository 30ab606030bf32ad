"""The requantiser: int32 sums to narrow integers, by a multiplier and a shift of each channel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from siliform.arch.law import Count, ceil_div, checked_product, where
from siliform.arch.parameter import parameter
from siliform.arch.sourced import Sourced, total
from siliform.arch.units.lane_engine import LaneEngine, barrel_shifter_um2
from siliform.graph_ir.graph import Node

if TYPE_CHECKING:
    from siliform.arch.technology import Technology

STAGES = 3  # rtl/requantise: registers behind the bias, behind the product, behind the shift
SUM_BITS, MULTIPLIER_BITS, SHIFT_BITS = 32, 31, 6  # graph_ir/variants/requantise.py


def requantise_cycles(rows: Count, channels: Count, lanes: Count) -> Count:
    """Cycles to requantise `rows` rows of `channels` sums, a multiplier and a shift for each channel.

    ``rows * ceil(channels / lanes) + 3``: `lanes` channels at a time, a column tile, are taken through all
    rows, a beat a cycle. The first tile's settings take a cycle; those of the others are taken by the edge
    that takes the last beat before them. A beat leaves 3 cycles after it entered, 1 of which is its own.
    """
    beats = checked_product(rows, ceil_div(channels, lanes))
    return where(beats == 0, 0, beats + STAGES)


@dataclass(frozen=True, kw_only=True)
class Requantiser(LaneEngine):
    """Lanes with a bias adder, a 32 x 31 bit multiplier and a rounding shifter each."""

    kind: ClassVar[str] = "requantise"

    result_bits: int = parameter("bits of a result, two's complement", default=8, low=2, high=32)

    def node_refusal(self, node: Node) -> str | None:
        """Accepts requantise to integers of its width."""
        if node.op.name != "requantise":
            return f"{self.name} does requantise only, not {node.op.name}"
        made = node.output.type.format
        if made.bits != self.result_bits or made.min == 0:
            return f"{self.name} gives int{self.result_bits}, not {made.name}"
        if node.operands[0].type.format.bits > SUM_BITS:
            return f"{self.name} takes int{SUM_BITS} sums, not {node.operands[0].type.format.name}"
        return None

    def node_cycles(self, node: Node) -> int:
        """Channels are the last axis; where all have the same factor, every lane is used in every beat."""
        x, multiplier = (v.type for v in node.operands[:2])
        if not multiplier.shape:
            return int(requantise_cycles(ceil_div(x.elements, self.lanes), self.lanes, self.lanes))
        channels = x.shape[-1]
        return int(requantise_cycles(x.elements // max(channels, 1), channels, self.lanes))

    def lane_area_um2(self, technology: Technology) -> Sourced:
        """Two adders (bias, rounding), a multiplier, a shifter, and the registers of three stages."""
        product_bits = SUM_BITS + MULTIPLIER_BITS
        settings = SUM_BITS + MULTIPLIER_BITS + SHIFT_BITS
        bits = 2 * settings + product_bits + SHIFT_BITS + self.result_bits
        parts = (
            technology.operator_area_um2("add", "int32").times(2, "bias and rounding"),
            technology.operator_area_um2("mul", "int32"),
            barrel_shifter_um2(technology, product_bits),
            technology.register_area_um2(bits).times(1, "settings and three stages"),
        )
        return total(parts, "um2")
