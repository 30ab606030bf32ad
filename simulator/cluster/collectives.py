"""Collective operations: what each device sends when, as closed forms and as events over the channels.

Written for a vector of n bytes on P devices, link bandwidth B, latency a, and g seconds to add a byte:

==============  ===================  ========================================================
all-gather      ring                 (P - 1) n/P / B + the delays of P - 1 steps of the ring
reduce-scatter  ring                 the same, and (P - 1) n/P g
all-reduce      ring                 reduce-scatter, then all-gather
the same three  halving, doubling    log2(P) a in place of (P - 1) a; behind a switch, P a power of two
all-to-all      posted at once       the bytes of the fullest channel / B + its delay, at least
send            the shortest route   n / B + the delays of the route
==============  ===================  ========================================================

Sources: Thakur, Rabenseifner and Gropp, "Optimization of Collective Communication Operations in MPICH",
IJHPCA 19(1), 2005, sections 4.1-4.5, whose closed forms these are, except that messages of an all-to-all
are posted at once, so that their latencies overlap. Bytes are whole: n/P is rounded up. n is the vector
that each device has (reduce-scatter, all-reduce, all-to-all) or gets (all-gather).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import simpy

from siliform.arch.cluster import Cluster
from siliform.graph_ir.errors import UserError, nearest
from siliform.simulator.cluster.network import Network, Steps

KINDS = ("all-reduce", "all-gather", "reduce-scatter", "all-to-all", "send")


@dataclass(frozen=True)
class Collective:
    """One operation of a group of devices.

    Attributes
    ----------
    kind : one of KINDS; a "send" goes from the first of the group to the second.
    size_bytes : n, as the table above counts it.
    group : devices, in the order of their parts of the vector.
    """

    kind: str
    size_bytes: int
    group: tuple[int, ...]

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise UserError(
                asked=f"the collective {self.kind!r}",
                found="no collective of that name",
                where="Collective.kind",
                next_step=f"use {nearest(self.kind, KINDS)}",
            )
        if self.size_bytes < 0 or not self.group or len(set(self.group)) != len(self.group):
            raise UserError(
                asked=f"{self.kind} of {self.size_bytes} bytes among {list(self.group)}",
                found="a negative size, or a group that is empty or names a device twice",
                where="Collective",
                next_step="give a size of 0 or more and devices that differ",
            )

    @property
    def is_nothing(self) -> bool:
        """Whether no message is sent: nothing to say, or nobody to say it to."""
        return self.size_bytes == 0 or len(self.group) == 1


@dataclass(frozen=True)
class Law:
    """The time of a collective on an idle network.

    `exact` says that events give the same; otherwise it is a lower bound.
    """

    seconds: float
    exact: bool
    algorithm: str


def add_seconds_per_byte(cluster: Cluster) -> float:
    """Time to add a received byte to one's own: two reads and a write of DRAM."""
    dram = cluster.accelerator.dram
    return 3 * 100 / (dram.bandwidth_bytes_per_second * dram.efficiency_percent)


def law(collective: Collective, cluster: Cluster) -> Law:
    """The closed form of a collective, by the algorithm that events use: the quicker one."""
    if collective.is_nothing:
        return Law(0.0, True, "nothing")
    rate = cluster.link.bandwidth_bytes_per_second
    if collective.kind == "send":
        source, target = collective.group[:2]
        delay = cluster.hops(source, target) * cluster.link.latency_seconds
        return Law(collective.size_bytes / rate + delay, True, "route")
    if collective.kind == "all-to-all":
        return _all_to_all_law(collective, cluster)
    found = [Law(_ring_seconds(collective, cluster), True, "ring")]
    if _halves(collective, cluster):
        found.append(Law(_halving_seconds(collective, cluster), True, "halving"))
    return min(found, key=lambda each: each.seconds)


def bandwidth_bound_seconds(collective: Collective, cluster: Cluster) -> float:
    """No algorithm is faster: what must leave or enter one device, through all its links at once."""
    if collective.is_nothing:
        return 0.0
    size, count = collective.size_bytes, len(collective.group)
    share = {"send": 1.0, "all-reduce": 2 * (count - 1) / count}.get(collective.kind, (count - 1) / count)
    links = {"all-to-all": 1, "ring": 2, "mesh": 4}[cluster.topology]
    return share * size / (links * cluster.link.bandwidth_bytes_per_second)


def run(network: Network, collective: Collective) -> Steps:
    """The collective as a process; it ends when every device of the group has its result."""
    if collective.is_nothing:
        return
    env, group = network.env, ring_order(collective, network.cluster)
    if collective.kind == "send":
        yield network.send(group[0], group[1], collective.size_bytes)
    elif collective.kind == "all-to-all":
        piece = -(-collective.size_bytes // len(group))
        shifts = range(1, len(group))
        yield env.all_of(
            [
                network.send(device, group[(i + shift) % len(group)], piece)
                for shift in shifts
                for i, device in enumerate(group)
            ]
        )
    else:
        member = _halving if law(collective, network.cluster).algorithm == "halving" else _ring
        yield env.all_of(member(network, collective, group))


def ring_order(collective: Collective, cluster: Cluster) -> tuple[int, ...]:
    """The group in the order in which a ring passes it."""
    if collective.kind == "send":
        return collective.group
    place = {device: i for i, device in enumerate(cluster.cycle)}
    return tuple(sorted(collective.group, key=lambda device: place[device]))


# -- the ring -------------------------------------------------------------------------------------


def _phases(collective: Collective) -> tuple[bool, ...]:
    """Whether what arrives is added to one's own, phase by phase."""
    return {"all-gather": (False,), "reduce-scatter": (True,), "all-reduce": (True, False)}[collective.kind]


def _ring_seconds(collective: Collective, cluster: Cluster) -> float:
    """The part that takes longest on its way around, each handed on as soon as it is there."""
    group, count = ring_order(collective, cluster), len(collective.group)
    phases = _phases(collective)
    hops = [cluster.hops(device, group[(i + 1) % count]) for i, device in enumerate(group)]
    steps = len(phases) * (count - 1)
    rate = cluster.link.bandwidth_bytes_per_second
    per_byte = steps / rate + sum(phases) * (count - 1) * add_seconds_per_byte(cluster)
    return max(
        chunk * per_byte + sum(hops[(place + s) % count] for s in range(steps)) * cluster.link.latency_seconds
        for place, chunk in enumerate(_chunks(collective.size_bytes, count))
    )


def _chunks(size_bytes: int, count: int) -> list[int]:
    """The parts of a vector, as even as whole bytes are, larger ones first."""
    return [size_bytes // count + (i < size_bytes % count) for i in range(count)]


def _ring(network: Network, collective: Collective, group: Sequence[int]) -> list[simpy.Process]:
    count, phases = len(group), _phases(collective)
    chunks = _chunks(collective.size_bytes, count)
    steps = len(phases) * (count - 1)
    arrivals = [[network.env.event() for _ in range(steps)] for _ in range(count)]
    adding = add_seconds_per_byte(network.cluster)

    def deliver(place: int, step: int, size_bytes: int) -> Steps:
        target = (place + 1) % count
        yield network.send(group[place], group[target], size_bytes)
        arrivals[target][step].succeed()

    def member(place: int) -> Steps:
        for step in range(steps):
            network.env.process(deliver(place, step, chunks[(place - step) % count]))
            yield arrivals[place][step]
            if phases[step // (count - 1)]:
                yield network.env.timeout(chunks[(place - 1 - step) % count] * adding)

    return [network.env.process(member(place)) for place in range(count)]


# -- recursive halving and doubling ---------------------------------------------------------------


def _halves(collective: Collective, cluster: Cluster) -> bool:
    count = len(collective.group)
    return cluster.topology == "all-to-all" and count & (count - 1) == 0


def _halving_sizes(collective: Collective) -> list[tuple[int, int, bool]]:
    """(distance of the partner, bytes, whether they are added), round by round."""
    count, size = len(collective.group), collective.size_bytes
    rounds = range(1, count.bit_length())
    down = [(count >> k, -(-size // (1 << k))) for k in rounds]
    found: list[tuple[int, int, bool]] = []
    for added in _phases(collective):
        found += [(apart, part, added) for apart, part in (down if added else down[::-1])]
    return found


def _halving_seconds(collective: Collective, cluster: Cluster) -> float:
    latency, rate = cluster.link.latency_seconds, cluster.link.bandwidth_bytes_per_second
    adding = add_seconds_per_byte(cluster)
    return sum(latency + part / rate + added * part * adding for _, part, added in _halving_sizes(collective))


def _halving(network: Network, collective: Collective, group: Sequence[int]) -> list[simpy.Process]:
    adding = add_seconds_per_byte(network.cluster)

    def rounds() -> Steps:
        for apart, part, added in _halving_sizes(collective):
            yield network.env.all_of(
                [network.send(device, group[place ^ apart], part) for place, device in enumerate(group)]
            )
            yield network.env.timeout(added * part * adding)

    return [network.env.process(rounds())]


# -- all-to-all -----------------------------------------------------------------------------------


def _all_to_all_law(collective: Collective, cluster: Cluster) -> Law:
    piece = -(-collective.size_bytes // len(collective.group))
    loads: dict[str, int] = {}
    farthest = 0
    for source in collective.group:
        for target in collective.group:
            farthest = max(farthest, cluster.hops(source, target))
            for name in cluster.route(source, target):
                loads[name] = loads.get(name, 0) + piece
    latency, rate = cluster.link.latency_seconds, cluster.link.bandwidth_bytes_per_second
    fullest = max(loads.values()) / rate + latency
    alone = piece / rate + farthest * latency
    return Law(max(fullest, alone), cluster.topology == "all-to-all", "posted at once")


def elapsed(cluster: Cluster, body: Callable[[Network], Steps]) -> tuple[float, Network]:
    """Run one process on an idle network: its seconds, and the network afterwards."""
    env = simpy.Environment()
    network = Network(env, cluster)
    done = env.process(body(network))
    env.run(until=done)
    return float(env.now), network
