"""The elementwise adder: two narrow integers at a scale each to their sum at a third."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from siliform.arch.law import Count, ceil_div, where
from siliform.arch.parameter import parameter
from siliform.arch.sourced import Sourced, total
from siliform.arch.units.lane_engine import LaneEngine, barrel_shifter_um2
from siliform.graph_ir.graph import Node

if TYPE_CHECKING:
    from siliform.arch.technology import Technology

STAGES = 3  # rtl/eltwise: registers behind the products, behind their sum, behind the shift
MULTIPLIER_BITS, SHIFT_BITS = 31, 6  # graph_ir/ops/requantise.py, requantised_add
NUMERICS = "int8_requantised"  # graph_ir/variants/addition.py


def eltwise_cycles(elements: Count, lanes: Count) -> Count:
    """Cycles to add two tensors of so many elements each: ``ceil(elements / lanes) + 3``.

    One cycle takes the multipliers and the shift, then a beat goes in each cycle; a beat leaves 3 cycles
    after it entered, 1 of which is its own.
    """
    return where(elements == 0, 0, ceil_div(elements, lanes) + STAGES)


@dataclass(frozen=True, kw_only=True)
class ElementwiseAdder(LaneEngine):
    """Lanes with two multipliers, an adder and a rounding shifter each."""

    kind: ClassVar[str] = "eltwise"

    operand_bits: int = parameter("bits of an operand, two's complement", default=8, low=2, high=16)
    result_bits: int = parameter("bits of a result, two's complement", default=8, low=2, high=32)

    def node_refusal(self, node: Node) -> str | None:
        """Accepts requantised_add, and add in its requantised form where nothing is broadcast."""
        if node.op.name == "add" and node.attributes.get("numerics") == NUMERICS:
            return self._refuses_addition(node)
        if node.op.name != "requantised_add":
            form = node.attributes.get("numerics", "no numerics")
            return f"{self.name} does requantised_add, and add in {NUMERICS}, not {node.op.name} in {form}"
        made = node.output.type.format
        if made.bits != self.result_bits or made.min == 0:
            return f"{self.name} gives int{self.result_bits}, not {made.name}"
        wide = next((v for v in node.operands if v.type.format.bits > self.operand_bits), None)
        if wide is not None:
            return (
                f"{self.name} takes integers of up to {self.operand_bits} bits, not {wide.type.format.name}"
            )
        return None

    def _refuses_addition(self, node: Node) -> str | None:
        if self.operand_bits < 8 or self.result_bits != 8:
            return (
                f"{self.name} adds int{self.operand_bits} to int{self.result_bits}; {NUMERICS} needs int8 in "
                "and out"
            )
        shapes = [v.type.shape for v in node.operands]
        if any(shape != node.output.type.shape for shape in shapes):
            told = " and ".join(str(list(shape)) for shape in shapes)
            return f"{self.name} adds tensors of one shape, not {told}"
        return None

    def node_cycles(self, node: Node) -> int:
        """All elements in one go."""
        return int(eltwise_cycles(node.output.type.elements, self.lanes))

    def lane_area_um2(self, technology: Technology) -> Sourced:
        """Two multipliers of an operand by 31 bits, two adders (sum, rounding), a shifter, registers."""
        product_bits = self.operand_bits + MULTIPLIER_BITS
        bits = 2 * product_bits + product_bits + 1 + self.result_bits
        share = self.operand_bits / 32
        parts = (
            technology.operator_area_um2("mul", "int32").times(2 * share, "two of operand width by 31 bits"),
            technology.operator_area_um2("add", "int32").times(2, "sum and rounding"),
            barrel_shifter_um2(technology, product_bits + 1),
            technology.register_area_um2(bits).times(1, "three stages"),
        )
        return total(parts, "um2")
