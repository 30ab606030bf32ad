"""Collectives: events equal the closed forms on an idle network, and never beat the bandwidth."""

from __future__ import annotations

from functools import partial

import pytest

from siliform.arch.cluster import Cluster, cluster_of
from siliform.arch.design import load_design
from siliform.graph_ir.errors import UserError
from siliform.simulator.cluster.collectives import Collective, bandwidth_bound_seconds, elapsed, law, run

CHIP = load_design("nvidia-a100")
SHAPES = [(n, "ring") for n in (2, 3, 4, 5, 8)] + [(n, "all-to-all") for n in (2, 3, 4, 8)]
SHAPES += [(4, "mesh:2x2"), (6, "mesh:2x3"), (6, "mesh:3x2"), (9, "mesh:3x3"), (3, "mesh:1x3")]


def cluster(devices: int, topology: str) -> Cluster:
    """A100s with links of 1 MB/s and 1 ms, so that latency and bandwidth both count."""
    return cluster_of(CHIP, devices, topology, bandwidth_bytes_per_second=10**6, latency_seconds=1e-3)


def seconds(collective: Collective, machine: Cluster) -> float:
    """What events say."""
    return elapsed(machine, partial(run, collective=collective))[0]


@pytest.mark.parametrize(("devices", "topology"), SHAPES)
@pytest.mark.parametrize("kind", ["all-reduce", "all-gather", "reduce-scatter", "all-to-all", "send"])
@pytest.mark.parametrize("size", [0, 1, 7, 4096, 1_000_003])
def test_events_equal_the_law(devices: int, topology: str, kind: str, size: int) -> None:
    """On an idle network, to rounding, where the law is exact; else between the law and its double."""
    machine = cluster(devices, topology)
    asked = Collective(kind, size, tuple(range(devices)))
    closed, found = law(asked, machine), seconds(asked, machine)
    if closed.exact:
        assert found == pytest.approx(closed.seconds, rel=1e-9, abs=1e-15)
    else:
        assert closed.seconds * (1 - 1e-9) <= found <= 2 * closed.seconds
    assert found >= bandwidth_bound_seconds(asked, machine)
    assert (found == 0) == (size == 0)


def test_ring_closed_form_by_hand() -> None:
    """Four devices, 4000 bytes: six steps of 1000 bytes and a latency, and three additions of 1000 bytes."""
    machine = cluster(4, "ring")
    adding = 3 / (machine.accelerator.dram.bandwidth_bytes_per_second * 0.88)
    assert machine.accelerator.dram.efficiency_percent == 88
    expected = 6 * (1e-3 + 1000 / 1e6) + 3 * 1000 * adding
    assert law(Collective("all-reduce", 4000, (0, 1, 2, 3)), machine).seconds == pytest.approx(expected)


def test_halving_takes_fewer_latencies_behind_a_switch() -> None:
    """One byte among eight: two times three latencies, against fourteen around a ring."""
    asked = Collective("all-reduce", 1, tuple(range(8)))
    assert law(asked, cluster(8, "all-to-all")).algorithm == "halving"
    assert law(asked, cluster(8, "all-to-all")).seconds == pytest.approx(6e-3, rel=0.01)
    assert law(asked, cluster(8, "ring")).seconds == pytest.approx(14e-3, rel=0.01)


def test_all_to_all_is_bound_by_the_bisection() -> None:
    """Half of the bytes of each half cross it: two channels a direction in a 2 x 4 mesh and on a ring."""
    size, everyone = 8_000_000, tuple(range(8))
    asked = Collective("all-to-all", size, everyone)
    crossing = 4 * 4 * size // 8
    behind_a_switch = seconds(asked, cluster(8, "all-to-all"))
    for topology in ("ring", "mesh:2x4"):
        found = seconds(asked, cluster(8, topology))
        assert found >= crossing / (2 * 1e6)
        assert found > behind_a_switch
    assert behind_a_switch == pytest.approx(7 * size / 8 / 1e6, rel=1e-3)


def test_groups_contend_for_channels() -> None:
    """Two groups that share every link of a ring take as long as one after the other, nearly."""
    machine = cluster(8, "ring")
    size = 4_000_000

    def both(network):  # type: ignore[no-untyped-def]
        groups = [tuple(range(first, 8, 2)) for first in (0, 1)]
        started = [network.env.process(run(network, Collective("all-gather", size, g))) for g in groups]
        yield network.env.all_of(started)

    alone = seconds(Collective("all-gather", size, (0, 2, 4, 6)), machine)
    assert elapsed(machine, both)[0] == pytest.approx(2 * alone, rel=0.02)


def test_bytes_on_links_are_counted() -> None:
    """An all-gather of n bytes puts (P - 1) n/P on each upward channel of a ring, nothing downwards."""
    machine = cluster(4, "ring")
    _, network = elapsed(machine, partial(run, collective=Collective("all-gather", 4000, (0, 1, 2, 3))))
    assert network.carried_bytes["0->1"] == 3000
    assert network.carried_bytes["1->0"] == 0
    assert sum(network.carried_bytes.values()) == 4 * 3000


def test_errors_of_a_collective() -> None:
    """Each in four parts."""
    with pytest.raises(UserError) as caught:
        Collective("all-redcue", 1, (0, 1))
    assert str(caught.value) == (
        "asked: the collective 'all-redcue'\nfound: no collective of that name\n"
        "where: Collective.kind\nnext:  use all-reduce, all-gather, reduce-scatter"
    )
    with pytest.raises(UserError, match="a negative size, or a group that is empty or names a device twice"):
        Collective("send", 1, (0, 0))
