"""The DMA engine: bursts between DRAM and scratchpad."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from siliform.arch.law import Count, ceil_div, checked_product, streaming_cycles
from siliform.arch.parameter import parameter
from siliform.arch.sourced import Sourced
from siliform.arch.unit import Unit
from siliform.graph_ir.space import Space

if TYPE_CHECKING:
    from siliform.arch.technology import Technology


def burst_bytes_moved(row_bytes: Count, rows: Count, burst_bytes: Count) -> Count:
    """Bytes on the bus for `rows` separate runs of `row_bytes`: each is rounded up to whole bursts."""
    return checked_product(rows, ceil_div(row_bytes, burst_bytes), burst_bytes)


@dataclass(frozen=True, kw_only=True)
class Dma(Unit):
    """Channels that copy runs of bytes; together they move at most `bytes_per_cycle`."""

    kind: ClassVar[str] = "dma"

    channels: int = parameter("transfers in flight", default=2, low=1, high=256, knob=(1, 2, 4, 8))
    bytes_per_cycle: int = parameter(
        "bytes moved per cycle by all channels", low=1, high=65536, knob=(16, 32, 64, 128, 256)
    )
    burst_bytes: int = parameter("bytes of one burst", default=64, low=1, high=65536, quantity="bytes")
    startup_cycles: int = parameter("cycles from request to first byte", default=100, low=0, high=1_000_000)

    def refusal(self, op_name: str, spaces: Sequence[Space], formats: Sequence[str]) -> str | None:
        """Accepts movement only."""
        busy = next((op for space in spaces for op in space.body), None)
        return None if busy is None else f"{self.name} copies; it does no {busy}"

    def move_cycles(self, moved_bytes: Count) -> Count:
        """Cycles of one transfer of consecutive bytes, alone."""
        whole = burst_bytes_moved(moved_bytes, 1, self.burst_bytes)
        return streaming_cycles(whole, self.bytes_per_cycle, self.startup_cycles)

    def cycles(self, space: Space) -> int:
        """A space has elements, not bytes: use `move_cycles`."""
        raise ValueError("a space has no bytes: time a movement by move_cycles of its tensors' bytes")

    def area_um2(self, technology: Technology) -> Sourced:
        """Two bursts of flip-flops a channel: one filling, one emptying."""
        return technology.register_area_um2(2 * 8 * self.burst_bytes * self.channels).times(
            1, "assumption: two bursts of flip-flops a channel"
        )

    def leakage_watts(self, technology: Technology) -> Sourced:
        """Logic leakage over its area."""
        return technology.logic_leakage_watts(self.area_um2(technology))
