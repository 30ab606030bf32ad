"""The look-up layer engine: signs choose a row of each table, and rows are added by weight.

Tables are too large for an engine and stay in memory: it asks for rows by address and adds them as they come,
`lanes` elements in a cycle.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from siliform.arch.law import Count, ceil_div, checked_product, where
from siliform.arch.parameter import parameter
from siliform.arch.sourced import Sourced, total
from siliform.arch.units.engine import Engine
from siliform.arch.units.in_gates import scaled_by_netlist
from siliform.graph_ir.graph import Node

if TYPE_CHECKING:
    from siliform.arch.technology import Technology

CURVE_ENTRIES, CURVE_BITS = 128, 13  # graph_ir/variants/hashing.py: one for each magnitude, Q.12 up to 1
MOST_CHUNKS = 255  # graph_ir/variants/hashing.py: more may not fit the int32 sums
LOOKUP_STAGES = 4  # rtl/lookup: address and exponent, weight, product, sum


def lookup_cycles(tokens: Count, chunks: Count, width: Count, lanes: Count) -> Count:
    """Cycles of a look-up layer: `chunks` rows of `width` elements for each token, at hand when asked for.

    ``ceil(128 / lanes) + tokens chunks ceil(width / lanes) + 3``: the curve of weights is taken first,
    `lanes` entries in a cycle. Then a beat of a row is added in each cycle. The first row can come 2 cycles
    after its chunk of x; a result leaves 2 cycles after its last row came, 1 of which is that row's own.
    """
    rows = checked_product(tokens, chunks, ceil_div(width, lanes))
    return where(rows == 0, 0, ceil_div(CURVE_ENTRIES, lanes) + rows + LOOKUP_STAGES - 1)


@dataclass(frozen=True, kw_only=True)
class LookupEngine(Engine):
    """A chunk's address and weight at a time, and lanes that multiply and add."""

    kind: ClassVar[str] = "lookup"

    lanes: int = parameter("elements of a row in a cycle", low=1, high=1024, knob=(8, 16, 32, 64, 128))
    chunk: int = parameter("elements of a chunk, at most: address bits", default=8, low=1, high=16)
    width: int = parameter("elements of a result, at most", default=1024, low=1, high=65536)

    def node_refusal(self, node: Node) -> str | None:
        """Accepts hash_lookup in its integer form, within its sizes."""
        if node.op.name != "hash_lookup":
            return f"{self.name} does hash_lookup, not {node.op.name}"
        form = node.attributes.get("numerics")
        if form != "integer":
            return f"{self.name} does hash_lookup in integer, not in {form or 'floats'}"
        chunks, height, width = node.operands[1].type.shape
        if height > 2**self.chunk:
            return f"{self.name} has addresses of {self.chunk} bits, not for tables of {height} rows"
        if chunks > MOST_CHUNKS:
            return f"{self.name} adds the rows of up to {MOST_CHUNKS} tables, not of {chunks}"
        if width > self.width:
            return f"{self.name} holds sums of up to {self.width} elements, not of {width}"
        return None

    def node_cycles(self, node: Node) -> int:
        """All tokens in one go."""
        x, tables = (v.type for v in node.operands)
        chunks, _, width = tables.shape
        return int(lookup_cycles(x.elements // x.shape[-1], chunks, width, self.lanes))

    def row_elements(self, node: Node) -> int:
        """A token's result."""
        return max(node.output.type.shape[-1], 1)

    def area_um2(self, technology: Technology) -> Sourced:
        """The logic, scaled to a netlist."""
        return scaled_by_netlist(self, technology, lambda unit: unit.logic_um2(technology))

    def logic_um2(self, technology: Technology) -> Sourced:
        """Curve, address and weight of a chunk, and lanes with their sums."""
        curve = CURVE_ENTRIES * CURVE_BITS
        sums = 32 * self.lanes * ceil_div(self.width, self.lanes)
        stages = self.lanes * (25 + 32) + 17 + 17 + self.chunk
        adder, multiplier = (technology.operator_area_um2(op, "int16") for op in ("add", "mul"))
        choice = technology.register_area_um2(curve).times(
            self.chunk / 2,
            "assumption: a tree of multiplexers of half the area of the registers it chooses from",
        )
        parts = (
            technology.register_area_um2(curve + sums + stages).times(1, "curve, sums and stages"),
            choice,
            adder.times(self.chunk + 2, "exponents, and the ends of a chord"),
            multiplier.times(1 + self.lanes, "a chord, and rows by weights"),
            technology.operator_area_um2("add", "int32").times(2 * self.lanes, "sums and their rounding"),
        )
        return total(parts, "um2")

    def leakage_watts(self, technology: Technology) -> Sourced:
        """Logic leakage over its area."""
        return technology.logic_leakage_watts(self.area_um2(technology))
