"""The activation unit: one function of one element in fixed point, on every lane."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar

from siliform.arch.law import Count, streaming_cycles
from siliform.arch.parameter import parameter
from siliform.arch.sourced import Sourced, total
from siliform.arch.units.lane_engine import LaneEngine
from siliform.graph_ir.graph import Node

if TYPE_CHECKING:
    from siliform.arch.technology import Technology

VALUE_BITS = 16  # graph_ir/variants/chords.py: int16 in Q.11
#: For each function the op, its numerics, and the registers that a beat passes (rtl/activation).
FUNCTIONS = MappingProxyType(
    {
        "relu": ("relu", "integer", 1),
        "gelu_chords": ("gelu", "piecewise_linear", 2),
        "gelu_polynomial": ("gelu", "integer_polynomial", 4),
        "silu_chords": ("silu", "piecewise_linear", 2),
    }
)


def activation_cycles(elements: Count, lanes: Count, stages: Count) -> Count:
    """Cycles of so many elements: ``ceil(elements / lanes) + stages - 1``.

    A beat goes in each cycle and leaves `stages` cycles later, by the edge that empties its last register.
    """
    return streaming_cycles(elements, lanes, stages - 1)


@dataclass(frozen=True, kw_only=True)
class ActivationUnit(LaneEngine):
    """Lanes with one function each: a comparison, a table of chords, or a polynomial."""

    kind: ClassVar[str] = "activation"

    function: str = parameter(
        "what it computes", default="gelu_chords", choices=tuple(FUNCTIONS), knob=tuple(FUNCTIONS)
    )

    def node_refusal(self, node: Node) -> str | None:
        """Accepts its function's op in its numerics, and relu of integers that fit as they are."""
        op, numerics, _ = FUNCTIONS[self.function]
        form = node.attributes.get("numerics")
        if node.op.name != op:
            return f"{self.name} does {op} in {numerics}, not {node.op.name}"
        if form == numerics:
            return None
        taken = node.operands[0].type.format
        if op == "relu" and form is None and taken.kind == "integer" and taken.bits <= VALUE_BITS:
            return None
        return f"{self.name} does {op} in {numerics}, not in {form or taken.name}"

    def node_cycles(self, node: Node) -> int:
        """All elements in one go."""
        _, _, stages = FUNCTIONS[self.function]
        return int(activation_cycles(node.output.type.elements, self.lanes, stages))

    def lane_area_um2(self, technology: Technology) -> Sourced:
        """Arithmetic of the function, and the registers of its stages."""
        _, _, stages = FUNCTIONS[self.function]
        adders, multipliers, table_bytes = {
            "relu": (0, 0, 0),
            "gelu_chords": (2, 1, 64 * 4),  # 64 chords: a start of 16 bits and a rise
            "gelu_polynomial": (4, 4, 0),
            "silu_chords": (2, 1, 176 * 4),
        }[self.function]
        parts = [technology.register_area_um2(stages * 2 * VALUE_BITS).times(1, f"{stages} stages")]
        if adders:
            parts.append(technology.operator_area_um2("add", "int32").times(adders, "adders"))
            parts.append(technology.operator_area_um2("mul", "int16").times(multipliers, "multipliers"))
        if table_bytes:
            rule = "assumption: a table of chords as a memory of its size"
            parts.append(technology.sram_area_um2(table_bytes).times(1, rule))
        return total(parts, "um2")
