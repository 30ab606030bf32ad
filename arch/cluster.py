"""A cluster: equal accelerators, joined by equal links in a ring, a mesh or through a switch."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

from siliform.arch.accelerator import Accelerator
from siliform.arch.memory import Link
from siliform.graph_ir.errors import UserError, nearest

TOPOLOGIES = ("ring", "mesh", "all-to-all")
#: The most devices that are simulated one by one.
MOST_DEVICES = 1024
#: Names of links that lead to the host, not to another device.
HOST_LINKS = ("pcie", "host")


@dataclass(frozen=True, kw_only=True)
class Channel:
    """One direction of one connection, or of a device's port to the switch: what messages queue for.

    `delay_seconds` passes before a message that enters it may enter the next one.
    """

    name: str
    delay_seconds: float


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """Devices and what joins them.

    Attributes
    ----------
    accelerator : every device is one of these.
    devices : how many.
    topology : "ring": each device has a link to the next and one to the previous; "mesh": rows x columns,
        links to the neighbours in both, none around the edges; "all-to-all": one link of each device to
        a switch that holds nothing up.
    rows, columns : of a mesh; 1 and the number of devices otherwise.
    link : bandwidth of one link in each direction, both at once, and latency between two devices.
    """

    accelerator: Accelerator
    devices: int
    topology: str = "all-to-all"
    rows: int = 1
    columns: int = 0
    link: Link

    def __post_init__(self) -> None:
        if not 1 <= self.devices <= MOST_DEVICES:
            raise UserError(
                asked=f"a cluster of {self.devices} devices",
                found=f"{self.devices} is not between 1 and {MOST_DEVICES}",
                where="--devices",
                next_step=f"give a whole number from 1 to {MOST_DEVICES}",
            )
        if self.topology not in TOPOLOGIES:
            raise UserError(
                asked=f"the topology {self.topology!r}",
                found="no topology of that name",
                where="--topology",
                next_step=f"use {nearest(self.topology, TOPOLOGIES)}",
            )
        object.__setattr__(self, "columns", self.columns or self.devices // max(self.rows, 1))
        if self.rows < 1 or self.rows * self.columns != self.devices:
            raise UserError(
                asked=f"{self.devices} devices as {self.rows} rows of {self.columns}",
                found=f"{self.rows} x {self.columns} is {self.rows * self.columns}",
                where="--topology",
                next_step="give rows and columns whose product is the number of devices",
            )
        if self.topology != "mesh" and self.rows != 1:
            raise UserError(
                asked=f"a topology {self.topology} of {self.rows} x {self.columns}",
                found="rows, which only a mesh has",
                where="--topology",
                next_step=f"use mesh:{self.rows}x{self.columns}, or leave the sides out",
            )

    @property
    def described(self) -> str:
        """The topology in a word, a mesh with its sides."""
        return f"mesh:{self.rows}x{self.columns}" if self.topology == "mesh" else self.topology

    @cached_property
    def channels(self) -> tuple[Channel, ...]:
        """Every channel, in a fixed order."""
        if self.topology == "all-to-all":
            ports = [(f"{i}->switch", 0.0) for i in range(self.devices)]
            ports += [(f"switch->{i}", self.link.latency_seconds) for i in range(self.devices)]
        else:
            ports = [(f"{a}->{b}", self.link.latency_seconds) for a, b in self._neighbours()]
        return tuple(Channel(name=name, delay_seconds=delay) for name, delay in ports)

    def route(self, source: int, target: int) -> tuple[str, ...]:
        """Names of the channels from one device to another, in order.

        On a ring the shorter way, upwards where both are equal; on a mesh along the row first.
        """
        if source == target:
            return ()
        if self.topology == "all-to-all":
            return (f"{source}->switch", f"switch->{target}")
        path = self._ring_path(source, target) if self.topology == "ring" else self._mesh_path(source, target)
        return tuple(f"{a}->{b}" for a, b in pairwise(path))

    def hops(self, source: int, target: int) -> int:
        """Links between two devices; a switch is one."""
        if self.topology == "all-to-all":
            return int(source != target)
        return len(self.route(source, target))

    @cached_property
    def cycle(self) -> tuple[int, ...]:
        """The devices in the order of a ring that visits each once, neighbours mostly side by side.

        On a mesh rows to and fro; the way back to the first runs against the direction of the others,
        so that no two steps of the ring share a channel.
        """
        if self.topology != "mesh":
            return tuple(range(self.devices))
        order: list[int] = []
        for row in range(self.rows):
            places = [row * self.columns + column for column in range(self.columns)]
            order += places[::-1] if row % 2 else places
        return tuple(order)

    def _neighbours(self) -> list[tuple[int, int]]:
        if self.topology == "ring":
            pairs = {frozenset((i, (i + 1) % self.devices)) for i in range(self.devices)}
            joined = sorted(tuple(sorted(pair)) for pair in pairs if len(pair) == 2)
        else:
            right = [(i, i + 1) for i in range(self.devices) if (i + 1) % self.columns]
            down = [(i, i + self.columns) for i in range(self.devices - self.columns)]
            joined = sorted(right + down)
        return [way for a, b in joined for way in ((a, b), (b, a))]

    def _ring_path(self, source: int, target: int) -> list[int]:
        ahead = (target - source) % self.devices
        step, count = (1, ahead) if 2 * ahead <= self.devices else (-1, self.devices - ahead)
        return [(source + step * i) % self.devices for i in range(count + 1)]

    def _mesh_path(self, source: int, target: int) -> list[int]:
        (row, column), (last_row, last_column) = (divmod(d, self.columns) for d in (source, target))
        along = range(column, last_column, 1 if last_column > column else -1)
        across = range(row, last_row, 1 if last_row > row else -1)
        path = [row * self.columns + c for c in along] + [r * self.columns + last_column for r in across]
        return [*path, target]


def cluster_of(
    accelerator: Accelerator,
    devices: int,
    topology: str = "all-to-all",
    *,
    link: str = "",
    bandwidth_bytes_per_second: int | None = None,
    latency_seconds: float | None = None,
) -> Cluster:
    """A cluster from words: topology "ring", "mesh:RxC" or "all-to-all", a link of the design by name.

    Parameters
    ----------
    link : which of the design's ``[links.*]``; the first that does not lead to the host otherwise.
    bandwidth_bytes_per_second, latency_seconds : in place of the link's own.

    Raises
    ------
    UserError : unknown topology or link, sides that do not fit, a design without a link and no bandwidth.
    """
    kind, rows, columns = _sides(topology, devices)
    chosen = _link(accelerator, link, bandwidth_bytes_per_second)
    changes: dict[str, int | float] = {}
    if bandwidth_bytes_per_second is not None:
        changes["bandwidth_bytes_per_second"] = bandwidth_bytes_per_second
    if latency_seconds is not None:
        changes["latency_seconds"] = latency_seconds
    return Cluster(
        accelerator=accelerator,
        devices=devices,
        topology=kind,
        rows=rows,
        columns=columns,
        link=replace(chosen, **changes),  # type: ignore[arg-type]
    )


def _sides(topology: str, devices: int) -> tuple[str, int, int]:
    kind, sign, sides = topology.partition(":")
    if not sign and kind != "mesh":
        return kind, 1, devices
    match = re.fullmatch(r"(\d+)x(\d+)", sides)
    if kind in TOPOLOGIES and (kind != "mesh" or match is None):
        raise UserError(
            asked=f"the topology {topology!r}",
            found="no sides, which a mesh needs" if kind == "mesh" else f"sides, which a {kind} has not",
            where="--topology",
            next_step="write ring, mesh:RxC (such as mesh:2x4) or all-to-all",
        )
    return kind, int(match[1]) if match else 1, int(match[2]) if match else devices


def _link(accelerator: Accelerator, name: str, bandwidth: int | None) -> Link:
    between = [known for known in accelerator.links if known.name not in HOST_LINKS]
    named = [known for known in accelerator.links if known.name == name]
    if named or (between and not name):
        return (named or between)[0]
    if bandwidth is not None and not name:
        return Link(name="link", bandwidth_bytes_per_second=bandwidth)
    names = ", ".join(known.name for known in accelerator.links) or "none"
    raise UserError(
        asked=f"a cluster of {accelerator.name}" + (f" joined by {name!r}" if name else ""),
        found=f"links of the design: {names}" + ("" if name else "; none leads to another device"),
        where="--link" if name else "--link-bandwidth",
        next_step="name one of these" if name else "give a bandwidth, such as --link-bandwidth '25 GB/s'",
    )
