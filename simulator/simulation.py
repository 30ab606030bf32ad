"""What a simulation knows beyond a report's totals: resources, queues, stalls, and what was folded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

#: Why a block that runs does not get on, and what that means.
CAUSES: Mapping[str, str] = {
    "dependent": "room is taken by tiles that others still work on",
    "dram": "its transfer waits for others, for a DMA channel or for the DMA to start",
    "operand": "its transfer is under way",
    "unit": "another block is on its unit",
    "bank": "the scratchpad's banks give fewer bytes a cycle than its units take",
    "drain": "its last results are on their way out",
    "launch": "the host starts its kernel",
}


@dataclass(frozen=True)
class ResourceUse:
    """How busy one resource was.

    Attributes
    ----------
    name : unit, "dram", "scratchpad" (its banks) or "host" (that launches kernels).
    busy_cycles : cycles in which it served; of the scratchpad bytes over bytes a cycle.
    waited_cycles : cycles that its customers waited for it, added up.
    busy_share : busy cycles of all cycles.
    mean_queue : customers that waited, on average over time (Little's law: waits over time).
    deepest_queue : most that waited at once; None where queues are not followed one by one.
    """

    name: str
    busy_cycles: int
    waited_cycles: int
    busy_share: float
    mean_queue: float
    deepest_queue: int | None


@dataclass(frozen=True)
class Simulation:
    """How a simulation went.

    Attributes
    ----------
    dram_model : "bandwidth", or the timing preset whose banks and rows were followed.
    dram_counts : bytes, and where rows are followed hits, misses and refreshes.
    stalls_cycles : cycles by cause, over all blocks.
    overlapped_cycles : by how much blocks ran beside each other.
    events : transfers and tiles that were run one by one; `folded_events` were known from their like.
    blocks, blocks_done : fewer done where somebody stopped it: then `partial` is true, and the report
        is of those that are done.
    """

    dram_model: str
    dram_counts: Mapping[str, int]
    resources: tuple[ResourceUse, ...]
    stalls_cycles: Mapping[str, int]
    overlapped_cycles: int
    events: int
    folded_events: int
    blocks: int
    blocks_done: int

    @property
    def partial(self) -> bool:
        """Whether it was stopped before its end."""
        return self.blocks_done < self.blocks

    def to_dict(self) -> dict[str, Any]:
        """The JSON form; see simulator/report.schema.json."""
        plain = asdict(self)
        plain["resources"] = [asdict(use) for use in self.resources]
        return plain | {"partial": self.partial}
