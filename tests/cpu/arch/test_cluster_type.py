"""A cluster is valid by construction; routes follow its links."""

from __future__ import annotations

import pytest

from siliform.arch.cluster import Cluster, cluster_of
from siliform.arch.design import load_design
from siliform.graph_ir.errors import UserError

A100 = load_design("nvidia-a100")
EDGE = load_design("edge-32x32")


@pytest.mark.parametrize("topology", ["ring", "mesh:3x4", "mesh:2x6", "mesh:12x1", "all-to-all"])
def test_every_route_is_made_of_channels_that_there_are(topology: str) -> None:
    """From each device to each other, without a channel twice."""
    machine = cluster_of(A100, 12, topology)
    known = {channel.name for channel in machine.channels}
    for source in range(12):
        for target in range(12):
            route = machine.route(source, target)
            assert set(route) <= known
            assert len(set(route)) == len(route)
            assert (route == ()) == (source == target)


def test_routes_by_hand() -> None:
    """The shorter way of a ring; rows first in a mesh; two channels through a switch."""
    ring, mesh = cluster_of(A100, 5, "ring"), cluster_of(A100, 6, "mesh:2x3")
    assert ring.route(4, 1) == ("4->0", "0->1")
    assert ring.route(1, 4) == ("1->0", "0->4")
    assert mesh.route(0, 5) == ("0->1", "1->2", "2->5")
    assert cluster_of(A100, 3).route(2, 0) == ("2->switch", "switch->0")
    assert mesh.cycle == (0, 1, 2, 5, 4, 3)
    assert [ring.hops(0, i) for i in range(5)] == [0, 1, 2, 2, 1]


@pytest.mark.parametrize("topology", ["ring", "mesh:3x3", "mesh:2x4", "mesh:4x2", "mesh:1x5"])
def test_steps_of_the_cycle_share_no_channel(topology: str) -> None:
    """All devices may pass on at once."""
    devices = {"mesh:2x4": 8, "mesh:4x2": 8, "mesh:1x5": 5}.get(topology, 9)
    machine = cluster_of(A100, devices, topology)
    order = machine.cycle
    assert sorted(order) == list(range(devices))
    used = [name for i in range(devices) for name in machine.route(order[i - 1], order[i])]
    assert len(used) == len(set(used))


def test_links_come_from_the_design_or_from_the_call() -> None:
    """The first that does not lead to the host; a design without one takes a bandwidth."""
    assert cluster_of(A100, 2).link.name == "nvlink"
    assert cluster_of(A100, 2).link.bandwidth_bytes_per_second == 300 * 10**9
    assert cluster_of(A100, 2, link="pcie").link.name == "pcie"
    changed = cluster_of(A100, 2, latency_seconds=1e-6, bandwidth_bytes_per_second=10**9)
    assert (changed.link.latency_seconds, changed.link.bandwidth_bytes_per_second) == (1e-6, 10**9)
    assert cluster_of(EDGE, 2, bandwidth_bytes_per_second=10**9).link.name == "link"


@pytest.mark.parametrize(
    ("devices", "topology", "link", "text"),
    [
        (
            0,
            "ring",
            "",
            "asked: a cluster of 0 devices\nfound: 0 is not between 1 and 1024\n"
            "where: --devices\nnext:  give a whole number from 1 to 1024",
        ),
        (
            4,
            "rign",
            "",
            "asked: the topology 'rign'\nfound: no topology of that name\nwhere: --topology\nnext:  use ring",
        ),
        (
            4,
            "mesh",
            "",
            "asked: the topology 'mesh'\nfound: no sides, which a mesh needs\nwhere: --topology\n"
            "next:  write ring, mesh:RxC (such as mesh:2x4) or all-to-all",
        ),
        (
            4,
            "ring:2x2",
            "",
            "asked: the topology 'ring:2x2'\nfound: sides, which a ring has not\nwhere: --topology\n"
            "next:  write ring, mesh:RxC (such as mesh:2x4) or all-to-all",
        ),
        (
            4,
            "mesh:2x3",
            "",
            "asked: 4 devices as 2 rows of 3\nfound: 2 x 3 is 6\nwhere: --topology\n"
            "next:  give rows and columns whose product is the number of devices",
        ),
        (
            4,
            "ring",
            "ethernet",
            "asked: a cluster of nvidia-a100 joined by 'ethernet'\nfound: links of the design: nvlink, pcie\n"
            "where: --link\nnext:  name one of these",
        ),
    ],
)
def test_errors(devices: int, topology: str, link: str, text: str) -> None:
    """Each in four parts."""
    with pytest.raises(UserError) as caught:
        cluster_of(A100, devices, topology, link=link)
    assert str(caught.value) == text


def test_a_design_without_links_needs_a_bandwidth() -> None:
    """And says how to give one."""
    with pytest.raises(UserError) as caught:
        cluster_of(EDGE, 4)
    assert str(caught.value) == (
        "asked: a cluster of edge-32x32\nfound: links of the design: none; none leads to another device\n"
        "where: --link-bandwidth\nnext:  give a bandwidth, such as --link-bandwidth '25 GB/s'"
    )


def test_rows_belong_to_a_mesh() -> None:
    """Built directly, too."""
    with pytest.raises(UserError, match="rows, which only a mesh has"):
        Cluster(accelerator=A100, devices=4, topology="ring", rows=2, columns=2, link=A100.links[0])
