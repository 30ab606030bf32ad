"""The top-k selector: sorted registers into which elements are inserted as they pass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from siliform.arch.law import Count, ceil_div, checked_product, maximum
from siliform.arch.parameter import parameter
from siliform.arch.sourced import Sourced, total
from siliform.arch.units.engine import Engine
from siliform.arch.units.in_gates import scaled_by_netlist
from siliform.graph_ir.graph import Node

if TYPE_CHECKING:
    from siliform.arch.technology import Technology


def top_k_cycles(rows: Count, length: Count, kept: Count, comparators: Count) -> Count:
    """Cycles to keep the `kept` best of each row by insertion: each element meets `kept` sorted registers.

    With a comparator for each register an element takes a cycle; with as many again, so many more elements
    go in one cycle; with fewer, an element passes the registers in ``ceil(kept / comparators)`` parts. The
    result of a row leaves while the next one enters, so that nothing is added at its end.
    """
    elements_per_cycle = maximum(comparators // maximum(kept, 1), 1)
    return checked_product(rows, ceil_div(length, elements_per_cycle), ceil_div(kept, comparators))


@dataclass(frozen=True, kw_only=True)
class TopKSelector(Engine):
    """Registers for the best so far, with their indices, and comparators beside them."""

    kind: ClassVar[str] = "topk"

    kept: int = parameter("elements that are kept", low=1, high=4096, knob=(2, 4, 8, 16, 64))
    comparators: int = parameter("comparators beside the registers", default=16, low=1, high=65536)
    element_bits: int = parameter("bits of an element", default=16, low=2, high=32)
    index_bits: int = parameter("bits of an index", default=16, low=1, high=32)

    def node_refusal(self, node: Node) -> str | None:
        """Accepts top_k of integers, up to as many as are kept, of rows whose indices fit."""
        if node.op.name != "top_k":
            return f"{self.name} does top_k only, not {node.op.name}"
        x, k = node.operands[0].type, node.attributes["k"]
        if k > self.kept:
            return f"{self.name} keeps {self.kept} elements, not {k}"
        element = x.format.element
        if element.name != f"int{element.bits}" or element.bits > self.element_bits:
            return (
                f"{self.name} compares signed integers of up to {self.element_bits} bits, not {x.format.name}"
            )
        length = x.shape[node.attributes["axis"]]
        if length > 2**self.index_bits:
            return f"{self.name} counts to {2**self.index_bits}, not to the {length} elements of a row"
        return None

    def node_cycles(self, node: Node) -> int:
        """Rows one behind the other."""
        x = node.operands[0].type
        length = x.shape[node.attributes["axis"]]
        rows = x.elements // length if length else 0
        return int(top_k_cycles(rows, length, self.kept, self.comparators))

    def row_elements(self, node: Node) -> int:
        """A row's k best leave together."""
        return max(int(node.attributes["k"]), 1)

    def area_um2(self, technology: Technology) -> Sourced:
        """The logic, scaled to a netlist."""
        return scaled_by_netlist(self, technology, lambda unit: unit.logic_um2(technology))

    def logic_um2(self, technology: Technology) -> Sourced:
        """Registers of values and indices, twice, as a result waits while the next is made; comparators."""
        bits = 2 * self.kept * (self.element_bits + self.index_bits)
        registers = technology.register_area_um2(bits).times(1, "registers at work and registers of results")
        compare = technology.operator_area_um2("add", f"int{_width(self.element_bits)}")
        return total((registers, compare.times(self.comparators, "comparators")), "um2")

    def leakage_watts(self, technology: Technology) -> Sourced:
        """Logic leakage over its area."""
        return technology.logic_leakage_watts(self.area_um2(technology))


def _width(bits: int) -> int:
    """The next width that the technology tables hold an adder of."""
    return next(width for width in (8, 16, 32) if bits <= width)
