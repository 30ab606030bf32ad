"""The devices of a cluster as SimPy processes, each doing its actions while messages cross the channels."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import simpy

from siliform.arch.cluster import Cluster
from siliform.simulator.cluster.actions import Action, Await, Meet, Post, Work
from siliform.simulator.cluster.collectives import Collective, run
from siliform.simulator.cluster.network import Network, Steps


@dataclass
class DeviceTimes:
    """How a device spent its time, in seconds; the three add up to when it ended.

    Attributes
    ----------
    compute_s : it computed.
    communication_s : it waited while what it needed was on its way: exposed communication.
    waiting_s : it waited for others to get so far: imbalance and pipeline bubbles.
    end_s : when it had done everything.
    """

    compute_s: float = 0.0
    communication_s: float = 0.0
    waiting_s: float = 0.0
    end_s: float = 0.0
    energy_j: float | None = 0.0
    macs: int = 0
    dram_bytes: int = 0


@dataclass(frozen=True)
class Slice:
    """One stretch of a device's time, for pictures."""

    device: int
    name: str
    kind: str
    start_s: float
    end_s: float


@dataclass
class Ran:
    """What a run found."""

    seconds: float
    devices: list[DeviceTimes]
    network: Network
    operations: dict[str, list[float]] = field(default_factory=dict)
    slices: list[Slice] = field(default_factory=list)


#: Slices of one run that are kept at most.
MOST_SLICES = 20_000


class _Machine:
    """One run. Times of events are in seconds."""

    def __init__(self, cluster: Cluster) -> None:
        self.env = simpy.Environment()
        self.network = Network(self.env, cluster)
        self.meetings: dict[str, tuple[list[simpy.Event], simpy.Event]] = {}
        self.posted: dict[str, float] = {}
        self.arrived: dict[str, simpy.Event] = {}
        self.devices = [DeviceTimes() for _ in range(cluster.devices)]
        self.operations: dict[str, list[float]] = {}
        self.slices: list[Slice] = []

    def live(self, device: int, actions: Iterable[Action]) -> Steps:
        """The process of one device."""
        for action in actions:
            if isinstance(action, Work):
                yield from self._work(device, action)
            elif isinstance(action, Meet):
                yield from self._meet(device, action)
            elif isinstance(action, Post):
                self.env.process(self._carry(device, action))
            else:
                yield from self._await(device, action)
        self.devices[device].end_s = self.env.now

    def _work(self, device: int, action: Work) -> Steps:
        times, cost, start = self.devices[device], action.cost, self.env.now
        yield self.env.timeout(cost.seconds)
        times.compute_s += cost.seconds
        known = times.energy_j is not None and cost.energy_j is not None
        times.energy_j = times.energy_j + cost.energy_j if known else None  # type: ignore[operator]
        times.macs += cost.macs
        times.dram_bytes += cost.dram_bytes
        self._slice(device, action.name, "compute", start)

    def _meet(self, device: int, action: Meet) -> Steps:
        """The collective begins when the last of the group has come, and holds all of it to its end."""
        if len(action.group) == 1:
            return
        came = self.env.now
        if action.key not in self.meetings:
            self.meetings[action.key] = ([], self.env.event())
        present, done = self.meetings[action.key]
        present.append(done)
        if len(present) == len(action.group):
            self.env.process(self._hold(action, done))
        began = yield done
        self._waited(device, came, began, action.kind)

    def _hold(self, action: Meet, done: simpy.Event) -> Steps:
        began = self.env.now
        yield self.env.process(run(self.network, Collective(action.kind, action.size_bytes, action.group)))
        self._count(action.kind, action.size_bytes, self.env.now - began)
        done.succeed(began)

    def _carry(self, device: int, action: Post) -> Steps:
        began = self.env.now
        self.posted[action.key] = began
        yield self.network.send(device, action.target, action.size_bytes)
        self._count("send", action.size_bytes, self.env.now - began)
        self._arrival(action.key).succeed()

    def _await(self, device: int, action: Await) -> Steps:
        came = self.env.now
        event = self._arrival(action.key)
        if not event.processed:
            yield event
        self._waited(device, came, self.posted[action.key], "receive")

    def _arrival(self, key: str) -> simpy.Event:
        return self.arrived.setdefault(key, self.env.event())

    def _waited(self, device: int, came: float, began: float, name: str) -> None:
        """Split a wait at the moment when what was waited for set out."""
        began = min(max(began, came), self.env.now)
        self.devices[device].waiting_s += began - came
        self.devices[device].communication_s += self.env.now - began
        self._slice(device, name, "communication", began)

    def _slice(self, device: int, name: str, kind: str, start: float) -> None:
        if self.env.now > start and len(self.slices) < MOST_SLICES:
            self.slices.append(Slice(device, name, kind, start, self.env.now))

    def _count(self, kind: str, size_bytes: int, seconds: float) -> None:
        totals = self.operations.setdefault(kind, [0, 0, 0.0])
        totals[0] += 1
        totals[1] += size_bytes
        totals[2] += seconds


def run_devices(cluster: Cluster, actions: list[Iterable[Action]]) -> Ran:
    """Run the actions of every device from time 0 to the end of the last."""
    machine = _Machine(cluster)
    lives = [machine.env.process(machine.live(device, own)) for device, own in enumerate(actions)]
    machine.env.run()
    stuck = [device for device, life in enumerate(lives) if not life.processed]
    if stuck:
        raise RuntimeError(f"devices {stuck} wait for what nobody sends")
    seconds = max(times.end_s for times in machine.devices)
    for times in machine.devices:
        times.waiting_s += seconds - times.end_s
    return Ran(seconds, machine.devices, machine.network, machine.operations, machine.slices)
