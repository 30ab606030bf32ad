"""The DMA engine: bursts between DRAM and scratchpad."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from siliform.arch.law import Count, ceil_div, checked_product, maximum, streaming_cycles
from siliform.arch.parameter import parameter
from siliform.arch.sourced import Sourced
from siliform.arch.unit import Unit
from siliform.graph_ir.space import Space

if TYPE_CHECKING:
    from siliform.arch.technology import Technology


def dma_cycles(row_bytes: Count, rows: Count, bytes_per_cycle: Count, startup_cycles: Count) -> Count:
    """Cycles of one transfer of `rows` separate runs of `row_bytes`, alone: each takes whole words.

    A request for a burst takes a cycle of its own wire and a burst holds a word or more, so that requests
    run ahead of the data and bursts, whole or not, cost nothing beside their words. What a memory spends
    on part of a burst is the memory's law.
    """
    words = checked_product(rows, ceil_div(row_bytes, bytes_per_cycle))
    return streaming_cycles(words, 1, startup_cycles)


@dataclass(frozen=True)
class Transfer:
    """What `dma_queue_cycles` needs to know of a transfer: each of them one at least.

    loads : 1 from memory to scratchpad, 0 the other way.
    bursts, words : requests and words of all its rows.
    """

    loads: Count
    bursts: Count
    words: Count


def dma_queue_cycles(
    transfers: Sequence[Transfer], channels: int, memory_cycles: Count, local_cycles: Count = 1
) -> Count:
    """Cycles of transfers one behind the other, from the first descriptor in to the last one told done.

    A descriptor is taken once the requests of the one before it are out, a burst a cycle, and once the
    transfer `channels` places ahead has moved its last word; its words can move a cycle later, or for a
    load when the first has come, `memory_cycles` after its request. Words of all transfers move in order,
    one a cycle. The last one is told done `local_cycles` after it moved, which the scratchpad takes to
    answer, and one for the register that tells it.
    """
    taken: Count = 0
    moved: list[Count] = []  # when each transfer's last word moved
    for i, transfer in enumerate(transfers):
        if i:
            taken = taken + transfers[i - 1].bursts
        if i >= channels:
            taken = maximum(taken, moved[i - channels] + 1)
        start = taken + 1 + transfer.loads * memory_cycles
        if i:
            start = maximum(start, moved[-1] + 1)
        moved.append(start + transfer.words - 1)
    return moved[-1] + local_cycles + 1 if moved else 0


@dataclass(frozen=True, kw_only=True)
class Dma(Unit):
    """Channels that copy runs of bytes; together they move at most `bytes_per_cycle`."""

    kind: ClassVar[str] = "dma"

    channels: int = parameter("transfers in flight", default=2, low=1, high=256, knob=(1, 2, 4, 8))
    bytes_per_cycle: int = parameter(
        "bytes moved per cycle by all channels", low=1, high=1 << 24, knob=(16, 32, 64, 128, 256)
    )
    burst_bytes: int = parameter("bytes of one burst", default=64, low=1, high=65536, quantity="bytes")
    handover: str = parameter(
        "when a unit starts on what is transferred: on the first bytes that it needs, or on a whole tile; "
        "and when a result is stored: while it is made, or once a tile is whole",
        default="first-bytes",
        choices=("first-bytes", "whole-tiles"),
    )
    command_bytes: int = parameter(
        "bytes of a command, fetched from DRAM for each transfer and each tile's work; 0 where commands do "
        "not come over its pins, or are too few to count",
        default=0,
        low=0,
        high=65536,
        quantity="bytes",
    )
    startup_cycles: int = parameter("cycles from request to first byte", default=100, low=0, high=1_000_000)

    @property
    def pin_bytes_per_cycle(self) -> int:
        """What all its channels move."""
        return self.bytes_per_cycle

    def refusal(self, op_name: str, spaces: Sequence[Space], formats: Sequence[str]) -> str | None:
        """Accepts movement only."""
        busy = next((op for space in spaces for op in space.body), None)
        return None if busy is None else f"{self.name} copies; it does no {busy}"

    def move_cycles(self, moved_bytes: Count) -> Count:
        """Cycles of one transfer of consecutive bytes, alone."""
        return dma_cycles(moved_bytes, 1, self.bytes_per_cycle, self.startup_cycles)

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
