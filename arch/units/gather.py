"""The gather engine: copies, transposes, gathers and scatters; comparators for sort and selection."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from siliform.arch.law import Count, ceil_div, checked_product, streaming_cycles
from siliform.arch.parameter import parameter
from siliform.arch.sourced import Sourced, total
from siliform.arch.unit import Unit
from siliform.graph_ir.space import Space

if TYPE_CHECKING:
    from siliform.arch.technology import Technology


def compare_exchanges(length: int) -> int:
    """Compare-exchanges of Batcher's bitonic network for one row of `length`, padded to a power of two.

    ``n/4 * log2(n) * (log2(n) + 1)`` (Batcher, "Sorting networks and their applications", 1968).
    """
    if length <= 1:
        return 0
    stages = (length - 1).bit_length()
    return (1 << stages) * stages * (stages + 1) // 4


def sort_cycles(rows: Count, length: int, comparators: Count) -> Count:
    """Cycles to sort `rows` rows of `length` on a bitonic network time-shared by `comparators`."""
    return ceil_div(checked_product(rows, compare_exchanges(length)), comparators)


def gather_cycles(rows: Count, row_bytes: Count, bytes_per_cycle: Count, startup_cycles: Count = 0) -> Count:
    """Cycles to fetch `rows` rows that indices choose: each takes whole words, one word a cycle.

    Rows follow each other without a gap; `startup_cycles` pass from an index to its first word, the
    memory's latency among them, and are met once.
    """
    words = checked_product(rows, ceil_div(row_bytes, bytes_per_cycle))
    return streaming_cycles(words, 1, startup_cycles)


@dataclass(frozen=True, kw_only=True)
class GatherEngine(Unit):
    """A transposing buffer with addressed reads and writes, and a column of comparators."""

    kind: ClassVar[str] = "gather"

    bytes_per_cycle: int = parameter(
        "bytes moved per cycle, read and written", low=1, high=65536, knob=(16, 32, 64, 128, 256)
    )
    comparators: int = parameter("compare-exchange units for sort and top-k", default=16, low=1, high=65536)
    startup_cycles: int = parameter("cycles before the first byte leaves", default=16, low=0, high=65536)

    def refusal(self, op_name: str, spaces: Sequence[Space], formats: Sequence[str]) -> str | None:
        """Accepts movement (empty bodies) and comparisons, in any format."""
        for space in spaces:
            beyond = [op for op in space.body if op != "compare"]
            if beyond:
                return f"{self.name} moves and compares; it does no {beyond[0]}"
        return None

    def scalar_refusal(self, scalar_op: str, format_name: str) -> str | None:
        return None if scalar_op == "compare" else f"{self.name} moves and compares; it does no {scalar_op}"

    def scalar_cycles(self, scalar_op: str, count: int) -> int:
        return int(streaming_cycles(count, self.comparators, self.startup_cycles))

    def move_cycles(self, moved_bytes: Count) -> Count:
        """Cycles to move that many bytes from where they are to where they go."""
        return streaming_cycles(moved_bytes, self.bytes_per_cycle, self.startup_cycles)

    def cycles(self, space: Space) -> int:
        """Comparisons of the space over the comparators; what is only moved is timed by `move_cycles`."""
        if not space.body:
            raise ValueError("a space has no bytes: time a movement by move_cycles of its tensors' bytes")
        return self.scalar_cycles("compare", space.count("compare"))

    def area_um2(self, technology: Technology) -> Sourced:
        """A square transposing buffer of flip-flops, a cycle's bytes on a side, and 32-bit comparators."""
        bits = 8 * self.bytes_per_cycle**2
        buffer = technology.register_area_um2(bits).times(
            1, f"assumption: transposing buffer of {self.bytes_per_cycle} x {self.bytes_per_cycle} bytes"
        )
        compare = technology.operator_area_um2("add", "int32").times(self.comparators, "comparators")
        return total((buffer, compare), "um2")

    def leakage_watts(self, technology: Technology) -> Sourced:
        """Logic leakage over its area."""
        return technology.logic_leakage_watts(self.area_um2(technology))
