"""What a run on a cluster tells, and its JSON form."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from siliform.simulator.report import Origin

#: Name and version of the JSON form; the schema is siliform/schemas/cluster.json.
FORMAT = "siliform-cluster"
VERSION = 1
#: Attributes and properties of a report that are numbers or words, in the order of the JSON form.
PLAIN = (
    *("model", "design", "phase", "plan", "devices", "topology", "link", "link_bytes_per_second"),
    *("link_latency_s", "bits", "law", "overlap", "latency_s", "one_device_s", "speedup", "efficiency"),
    *("compute_share", "communication_share", "waiting_share", "imbalance", "one_device_macs"),
    *(
        "redundant_macs",
        "energy_j",
        "dram_bytes_per_device",
        "host_bytes_per_second",
        "fits",
        "caches_that_fit",
        "context_switch_s",
        "link_bytes",
        "segments",
    ),
    "costed_graphs",
)


@dataclass(frozen=True)
class DeviceUse:
    """One device: places in the groups, seconds that add up to the latency, what it computes and holds."""

    device: int
    stage: int
    context: int
    tensor: int
    compute_s: float
    communication_s: float
    waiting_s: float
    macs: int
    dram_bytes: int
    energy_j: float | None
    weight_bytes: int
    kv_bytes: int


@dataclass(frozen=True)
class LinkUse:
    """One direction of a link: bytes that crossed it, share of the time that it was busy."""

    name: str
    carried_bytes: int
    busy_share: float


@dataclass(frozen=True)
class Operation:
    """All collectives, or messages, of one kind: how many, their bytes, their seconds one by one added up."""

    kind: str
    count: int
    total_bytes: int
    seconds: float


@dataclass(frozen=True)
class ClusterReport:
    """A graph under a plan on a cluster.

    `one_device_s` is the whole work on one device, by the same law: speed-up and efficiency are against
    it, whether or not it would fit there.
    """

    model: str
    design: str
    phase: str
    plan: str
    devices: int
    topology: str
    link: str
    link_bytes_per_second: int
    link_latency_s: float
    bits: str
    law: str
    overlap: bool
    latency_s: float
    one_device_s: float
    one_device_macs: int
    dram_bytes_per_device: int
    host_bytes_per_second: int | None
    uses: tuple[DeviceUse, ...]
    links: tuple[LinkUse, ...]
    operations: tuple[Operation, ...]
    segments: int
    costed_graphs: int
    provenance: Mapping[str, Origin]

    @property
    def speedup(self) -> float:
        """How many times quicker than one device."""
        return self.one_device_s / self.latency_s if self.latency_s else 1.0

    @property
    def efficiency(self) -> float:
        """Speed-up per device."""
        return self.speedup / self.devices

    @property
    def compute_share(self) -> float:
        """Share of all devices' time in which they compute."""
        return self._share("compute_s")

    @property
    def communication_share(self) -> float:
        """Share of all devices' time in which they wait for bytes on their way: exposed communication."""
        return self._share("communication_s")

    @property
    def waiting_share(self) -> float:
        """Share of all devices' time in which they wait for others."""
        return self._share("waiting_s")

    @property
    def redundant_macs(self) -> int:
        """Multiply-accumulates of all devices beyond those of the whole work: what is done more than once."""
        return sum(use.macs for use in self.uses) - self.one_device_macs

    @property
    def imbalance(self) -> float:
        """The longest compute time of a device over the mean, less one."""
        times = [use.compute_s for use in self.uses]
        mean = sum(times) / len(times)
        return max(times) / mean - 1 if mean else 0.0

    @property
    def energy_j(self) -> float | None:
        """Joules of all devices while they compute; links have no sourced energy and are left out."""
        found = [use.energy_j for use in self.uses if use.energy_j is not None]
        return sum(found) if len(found) == len(self.uses) else None

    @property
    def fits(self) -> bool:
        """Whether weights and caches of every device fit its DRAM."""
        return all(use.weight_bytes + use.kv_bytes <= self.dram_bytes_per_device for use in self.uses)

    @property
    def caches_that_fit(self) -> int | None:
        """How many times the caches of this run fit beside the weights; None where nothing is cached."""
        free = [
            (self.dram_bytes_per_device - use.weight_bytes, use.kv_bytes) for use in self.uses if use.kv_bytes
        ]
        return min(max(room, 0) // held for room, held in free) if free else None

    @property
    def context_switch_s(self) -> float | None:
        """Time to move the caches of this run out and others in, each device over its own link to the host.

        None where nothing is cached, or the design has no such link.
        """
        held = max(use.kv_bytes for use in self.uses)
        return 2 * held / self.host_bytes_per_second if held and self.host_bytes_per_second else None

    @property
    def link_bytes(self) -> int:
        """Bytes over all links, counted once on each that they cross; the way out of a switch is none."""
        return sum(link.carried_bytes for link in self.links if not link.name.startswith("switch->"))

    def _share(self, name: str) -> float:
        total = len(self.uses) * self.latency_s
        return sum(getattr(use, name) for use in self.uses) / total if total else 0.0

    def to_dict(self) -> dict[str, Any]:
        """The JSON form as a dict; `siliform schema cluster` prints its schema."""
        return {
            "format": FORMAT,
            "version": VERSION,
            **{name: getattr(self, name) for name in PLAIN},
            "uses": [asdict(use) for use in self.uses],
            "links": [asdict(link) for link in self.links],
            "operations": [asdict(operation) for operation in self.operations],
            "provenance": {key: asdict(origin) for key, origin in self.provenance.items()},
        }

    def to_json(self, indent: int | None = None) -> str:
        """One JSON object; the same report always prints the same text."""
        return json.dumps(self.to_dict(), indent=indent, allow_nan=False)

    def to_csv(self, path: Any) -> None:
        """A row per device."""
        import pandas

        pandas.DataFrame([asdict(use) for use in self.uses]).to_csv(path, index=False)
