"""Devices as processes: short stories, told as what each spent its time on."""

from __future__ import annotations

import pytest

from siliform.arch.cluster import Cluster, cluster_of
from siliform.arch.design import load_design
from siliform.simulator.cluster.actions import Await, Meet, Post, Work
from siliform.simulator.cluster.costs import Cost
from siliform.simulator.cluster.machine import DeviceTimes, Ran, run_devices


def joined(devices: int) -> Cluster:
    """Links of 1 MB/s without latency."""
    return cluster_of(load_design("nvidia-a100"), devices, "ring", bandwidth_bytes_per_second=10**6)


def work(seconds: float, energy_j: float | None = 1.0) -> Work:
    """Compute for so long."""
    return Work("work", Cost(seconds, energy_j, 10, 100))


def told(times: DeviceTimes) -> list[float]:
    """Computing, waiting for bytes, waiting for others, the end."""
    found = (times.compute_s, times.communication_s, times.waiting_s, times.end_s)
    return [round(seconds, 4) for seconds in found]


def spent(ran: Ran) -> list[list[float]]:
    """The same of every device."""
    return [told(times) for times in ran.devices]


def test_a_collective_begins_with_the_last_and_holds_all() -> None:
    """One works 1 s, the other 3 s; then 2 MB are gathered in 1 s, and the first works on."""
    meet = Meet("all-gather", 2_000_000, (0, 1), "a")
    ran = run_devices(joined(2), [[work(1), meet, work(2)], [work(3), meet]])
    assert ran.seconds == pytest.approx(6)
    assert spent(ran) == [[3, 1, 2, 6], [3, 1, 2, 4]]
    assert ran.operations == {"all-gather": [1, 2_000_000, pytest.approx(1)]}


def test_a_message_travels_behind_computing() -> None:
    """Two seconds of bytes behind three of work cost nothing; behind one they cost one."""
    for busy, waited in ((3.0, 0.0), (1.0, 1.0)):
        actions = [[Post(1, 2_000_000, "m"), work(busy)], [work(busy), Await("m")]]
        ran = run_devices(joined(2), actions)
        assert told(ran.devices[1])[:2] == [busy, waited]


def test_waiting_for_a_sender_is_not_communication() -> None:
    """Nothing is on its way until it is posted."""
    ran = run_devices(joined(2), [[work(2), Post(1, 1_000_000, "m")], [Await("m"), work(1)]])
    assert spent(ran) == [[2, 0, 2, 2], [1, 1, 2, 4]]


def test_a_message_that_nobody_sends_is_a_fault_of_ours() -> None:
    """And is told, instead of a run that ends too early."""
    with pytest.raises(RuntimeError, match=r"devices \[1\] wait for what nobody sends"):
        run_devices(joined(2), [[work(1)], [Await("never")]])


def test_work_adds_up() -> None:
    """Energy is unknown as soon as one part of it is."""
    ran = run_devices(joined(2), [[work(1), work(1)], [work(1), work(1, None)]])
    assert [times.energy_j for times in ran.devices] == [2.0, None]
    assert [(times.macs, times.dram_bytes) for times in ran.devices] == [(20, 200), (20, 200)]
    assert [(s.device, s.kind, s.start_s, s.end_s) for s in ran.slices if s.device == 0] == [
        (0, "compute", 0, 1),
        (0, "compute", 1, 2),
    ]
