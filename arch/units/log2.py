"""The log2 unit: probabilities to codes in a logarithm, by their leading one or by a search among limits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from siliform.arch.law import Count, ceil_div, checked_product, checked_sum, streaming_cycles, where
from siliform.arch.parameter import parameter
from siliform.arch.sourced import Sourced, total
from siliform.arch.units.lane_engine import LaneEngine
from siliform.graph_ir.formats.logarithm import AdaLog
from siliform.graph_ir.graph import Node

if TYPE_CHECKING:
    from siliform.arch.technology import Technology

VALUE_BITS = 16  # graph_ir/variants/log_codes.py: Q.15, no sign
LEADING_CYCLES = 2  # the leading one brought to the top; the half octave and the clamp


def leading_cycles(elements: Count, lanes: Count) -> Count:
    """Cycles of so many elements by their leading one: ``ceil(elements / lanes) + 1``."""
    return streaming_cycles(elements, lanes, LEADING_CYCLES - 1)


def search_cycles(elements: Count, lanes: Count, code_bits: Count, tables: Count = 1) -> Count:
    """Cycles of `tables` tensors of so many elements each, by a search: a bit of the code in each register.

    A table of ``2**code_bits - 1`` limits comes first, one a cycle, and stays until the last code has left:
    ``tables * (limits + ceil(elements / lanes) + code_bits) - 1``.
    """
    limits = 2**code_bits - 1
    each = checked_sum(limits, ceil_div(elements, lanes), code_bits)
    return where(elements == 0, 0, checked_product(tables, each) - 1)


@dataclass(frozen=True, kw_only=True)
class Log2Unit(LaneEngine):
    """Lanes that make codes of probabilities in Q.15."""

    kind: ClassVar[str] = "log2"

    code_bits: int = parameter("bits of a code", default=4, low=1, high=8, knob=(3, 4, 5))
    method: str = parameter(
        "by the leading one, for base two and the scale 1, or by a search, for any base and scale",
        default="leading",
        choices=("leading", "search"),
        knob=("leading", "search"),
    )

    def node_refusal(self, node: Node) -> str | None:
        """Accepts log_codes, and quantize to log2 or, by a search, to adalog; all in integers."""
        form = node.attributes.get("numerics")
        if node.op.name == "quantize":
            if form != "integer_log2":
                return f"{self.name} does quantize in integer_log2, not in {form or 'floats'}"
            element = node.output.type.format.element
            if self.method == "leading" and isinstance(element, AdaLog):
                return f"{self.name} takes base two, not {element.name}"
            return self._bits_refusal(element.bits)
        if node.op.name != "log_codes":
            return f"{self.name} does quantize and log_codes, not {node.op.name}"
        if form != "integer":
            return f"{self.name} does log_codes in integer, not in {form or 'floats'}"
        base = node.attributes["numerator"], node.attributes["denominator"], node.attributes["scale"]
        if self.method == "leading" and (base[0] != base[1] or base[2] != 1):
            told = f"base 2**({base[0]}/{base[1]}) and the scale {base[2]}"
            return f"{self.name} takes base two and the scale 1, not {told}"
        return self._bits_refusal(node.attributes["bits"])

    def _bits_refusal(self, bits: int) -> str | None:
        if bits == self.code_bits:
            return None
        return f"{self.name} makes codes of {self.code_bits} bits, not of {bits}"

    def node_cycles(self, node: Node) -> int:
        """All elements in one go, behind their table if there is one."""
        elements = node.output.type.elements
        if self.method == "leading":
            return int(leading_cycles(elements, self.lanes))
        return int(search_cycles(elements, self.lanes, self.code_bits))

    def lane_area_um2(self, technology: Technology) -> Sourced:
        """Two registers with a shifter and a comparator, or a register and a comparator for each bit."""
        compare = technology.operator_area_um2("add", "int16")
        stages = LEADING_CYCLES if self.method == "leading" else self.code_bits
        adders = 1 + 4 if self.method == "leading" else self.code_bits
        rule = "a comparator; assumption: each of 4 levels of a shifter costs an addition"
        if self.method == "search":
            rule = "comparators"
        registers = technology.register_area_um2(stages * (VALUE_BITS + self.code_bits))
        return total((compare.times(adders, rule), registers.times(1, f"{stages} stages")), "um2")

    def lanes_area_um2(self, technology: Technology) -> Sourced:
        """The lanes, and the limits that they search, by operators and registers."""
        lanes = super().lanes_area_um2(technology)
        if self.method == "leading":
            return lanes
        limits = technology.register_area_um2((2**self.code_bits - 1) * VALUE_BITS)
        return total((lanes, limits.times(1, "limits in registers")), "um2")
