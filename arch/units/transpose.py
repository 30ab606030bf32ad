"""The transposer: tiles in by rows, out by columns, one tile filling while the other is emptied."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, ClassVar

from siliform.arch.law import Count, ceil_div, checked_product, maximum, where
from siliform.arch.parameter import parameter
from siliform.arch.sourced import Sourced
from siliform.arch.units.engine import Engine
from siliform.arch.units.in_gates import scaled_by_netlist
from siliform.graph_ir.graph import Node

if TYPE_CHECKING:
    from siliform.arch.technology import Technology


def tile_queue_cycles(tiles: Sequence[tuple[Count, Count]]) -> Count:
    """Cycles of tiles of (rows, columns) one behind the other, through two buffers.

    A tile takes a cycle for each row to fill a buffer, which is free once the tile before the last one has
    left it, and a cycle for each column to leave, once it is there and the one before has left.
    """
    filled: Count = 0
    left: Count = 0
    before: Count = 0  # when the tile before the last one had left
    for rows, columns in tiles:
        filled = maximum(filled, before) + rows
        before, left = left, maximum(filled, left) + columns
    return maximum(left - 1, 0)


def transpose_cycles(rows: Count, columns: Count, side: Count, batch: Count = 1) -> Count:
    """Cycles of `batch` matrices of rows x columns, in bands of `side` rows, each in tiles from the left.

    `tile_queue_cycles` of those tiles in closed form. Whole tiles fill in the `side` cycles in which others
    empty; so do ragged ones, whose rows (r in the last band) hide behind the columns of the tile before,
    unless that was the narrow one at the edge (c columns): then the longer of the two counts. The last
    tile's columns follow, and a buffer's last column leaves in the cycle that is counted last.
    """
    bands, across = ceil_div(rows, side), ceil_div(columns, side)
    r, c = rows - (bands - 1) * side, columns - (across - 1) * side
    matrix = checked_product(bands * across - 1, side) + maximum(r, c)
    first = where(bands == 1, maximum(r, c) - r, 0)  # nothing is ahead of the first tile of all
    nothing = (rows == 0) | (columns == 0) | (batch == 0)
    return where(nothing, 0, checked_product(batch, maximum(matrix, 0)) - first + c - 1)


@dataclass(frozen=True, kw_only=True)
class Transposer(Engine):
    """Two tiles of registers, written by rows and read by columns."""

    kind: ClassVar[str] = "transpose"

    side: int = parameter("rows and columns of a tile", low=2, high=256, knob=(4, 8, 16, 32))
    element_bits: int = parameter("bits of an element", default=8, low=1, high=64)

    def node_refusal(self, node: Node) -> str | None:
        """Accepts a permutation that swaps the last two axes, of elements that fit."""
        if node.op.name != "permute":
            return f"{self.name} does permute only, not {node.op.name}"
        rank = node.output.type.rank
        axes = [axis % rank for axis in node.attributes["axes"]]
        if rank < 2 or axes != [*range(rank - 2), rank - 1, rank - 2]:
            return f"{self.name} swaps the last two axes only, not to {tuple(node.attributes['axes'])}"
        bits = node.output.type.format.bits
        if bits > self.element_bits:
            return f"{self.name} holds elements of {self.element_bits} bits, not {bits}"
        return None

    def node_cycles(self, node: Node) -> int:
        """Matrices one behind the other."""
        *batch, columns, rows = node.output.type.shape
        return int(transpose_cycles(rows, columns, self.side, prod(batch)))

    def row_elements(self, node: Node) -> int:
        """A matrix is not cut: its tiles follow each other over bands of rows."""
        columns, rows = node.output.type.shape[-2:]
        return max(columns * rows, 1)

    def area_um2(self, technology: Technology) -> Sourced:
        """The logic, scaled to a netlist."""
        return scaled_by_netlist(self, technology, lambda unit: unit.logic_um2(technology))

    def logic_um2(self, technology: Technology) -> Sourced:
        """The flip-flops of both tiles, without the multiplexers between rows and columns."""
        return technology.register_area_um2(2 * self.side**2 * self.element_bits).times(
            1, f"two tiles of {self.side} x {self.side}"
        )

    def leakage_watts(self, technology: Technology) -> Sourced:
        """Logic leakage over its area."""
        return technology.logic_leakage_watts(self.area_um2(technology))
