"""Messages over the channels of a cluster, as SimPy processes that queue where they meet.

A message enters the channels of its route one after the other and holds each for bytes / bandwidth. It
may enter the next one a channel's delay after it entered this one, before its tail is in (virtual
cut-through with room to wait in: Kermani and Kleinrock, Computer Networks 3, 1979). So alone it takes the
delays of its route plus bytes / bandwidth once. Channels serve in order of arrival; equal times in order
of sending.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import simpy

from siliform.arch.cluster import Cluster

Steps = Generator[simpy.Event, Any, None]


class Network:
    """The channels of one cluster in one SimPy environment.

    Attributes
    ----------
    env : the environment, whose time is in seconds.
    carried_bytes, busy_seconds : per channel by name, so far.
    """

    def __init__(self, env: simpy.Environment, cluster: Cluster) -> None:
        self.env, self.cluster = env, cluster
        self._queues = {channel.name: simpy.Resource(env) for channel in cluster.channels}
        self._delays = {channel.name: channel.delay_seconds for channel in cluster.channels}
        self._rate = cluster.link.bandwidth_bytes_per_second
        self.carried_bytes = {channel.name: 0 for channel in cluster.channels}
        self.busy_seconds = {channel.name: 0.0 for channel in cluster.channels}

    def send(self, source: int, target: int, size_bytes: int) -> simpy.Process:
        """Start a message now; the process ends when its last byte has arrived."""
        return self.env.process(self._carry(self.cluster.route(source, target), size_bytes))

    def _carry(self, route: tuple[str, ...], size_bytes: int) -> Steps:
        held = size_bytes / self._rate
        for name in route:
            turn = self._queues[name].request()
            yield turn
            self.carried_bytes[name] += size_bytes
            self.busy_seconds[name] += held
            self.env.process(self._hold(name, turn, held))
            yield self.env.timeout(self._delays[name])
        yield self.env.timeout(held if route else 0.0)

    def _hold(self, name: str, turn: Any, seconds: float) -> Steps:
        yield self.env.timeout(seconds)
        self._queues[name].release(turn)
