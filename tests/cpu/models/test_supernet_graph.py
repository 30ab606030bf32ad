"""The deployed form: traced, formatted, costed, and equal to what PyTorch computes."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from time import process_time

import numpy as np
import pytest
import torch
from torch.func import functional_call

import siliform as sf
from siliform.graph_ir.graph import Graph, Value
from siliform.graph_ir.interpret import interpret
from siliform.graph_ir.passes import standard_passes
from siliform.models.supernet.data import Part
from siliform.models.supernet.deployment import composed, traced_whole, with_data
from siliform.models.supernet.family import Family, Subnetwork
from siliform.models.supernet.judging import deployed
from siliform.models.supernet.quantise import LayerFormats
from siliform.models.supernet.sharing import Weights, initial, skeleton, sliced
from siliform.models.supernet.vit import Vit
from siliform.models.tracing import trace

KINDS = ("softmax", "linear", "hash")
FAMILY = Family(
    side=8,
    patch=2,
    classes=10,
    head_width=5,
    depth=(1, 2),
    width=(7, 16),
    heads=(1, 3),
    ffn=(9, 16),
    attention=KINDS,
    weight_formats=("binary", "ternary", "int4", "int8"),
    activation_formats=("int4", "int8"),
)
IMAGES = np.random.default_rng(0).random((12, 8, 8)).astype(np.float32)


@cache
def weights() -> Weights:
    return initial((FAMILY.largest(kind).shape for kind in KINDS), seed=3)


def canonical(graph: Graph) -> str:
    """A graph's text with values numbered as they appear and scalars written out: equal but for names."""
    scalars = {n.name: repr(n.attributes["value"]) for n in graph.nodes if n.op.name == "constant"}
    numbers: dict[str, int] = {}

    def told(value: Value | None) -> str:
        if value is None or value.name in scalars:
            return "_" if value is None else scalars[value.name]
        return f"{numbers.setdefault(value.name, len(numbers))}: {value.type}"

    lines = [told(v) for v in (*graph.inputs, *graph.parameters)]
    for node in graph.nodes:
        if node.name not in scalars:
            sides = [told(v) for v in node.inputs], [told(v) for v in node.outputs]
            lines.append(f"{node.op.name} {sides} {dict(node.attributes)} {node.module} {node.source}")
    return "\n".join([*lines, *(told(v) for v in graph.outputs)])


@pytest.mark.parametrize("seed", range(6))
def test_pieces_make_the_graph_of_the_whole(seed: int) -> None:
    """Pieces traced one by one and joined read and cost as the network traced at once."""
    member = FAMILY.drawn(np.random.default_rng(seed))
    joined, whole = composed(member, "vit"), traced_whole(member, "vit")
    assert canonical(joined) == canonical(whole)
    assert [v.name for v in joined.parameters] == [v.name for v in whole.parameters]
    design = sf.accelerator("edge-32x32")
    first, second = (sf.estimate(graph, design, bits="traced") for graph in (joined, whole))
    assert (first.cycles, first.energy_j, first.macs) == (second.cycles, second.energy_j, second.macs)


@pytest.mark.parametrize("kind", KINDS)
def test_float_graph_is_the_module(kind: str) -> None:
    """Traced with its weights and without formats, and interpreted."""
    shape = FAMILY.largest(kind).shape
    network = Vit(shape).eval()
    own = sliced(weights(), shape, network)
    network.load_state_dict(own)
    images = torch.from_numpy(IMAGES)
    graph = standard_passes(trace(network, (images,)))
    with torch.no_grad():
        expected = network(images).numpy()
    np.testing.assert_allclose(interpret(graph, IMAGES)[0], expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("formats", [("int8", "int8"), ("ternary", "int8"), ("binary", "int4")])
def test_formatted_graph_is_the_quantised_module(kind: str, formats: tuple[str, str]) -> None:
    """Interpreted exactly, the deployed graph answers as PyTorch, but where a float sum tips a rounding."""
    largest = FAMILY.largest(kind)
    member = replace(largest, formats=(LayerFormats(*formats),) * 2)
    network = deployed(weights(), member, Part(IMAGES, np.zeros(12, np.int64)))
    graph = with_data(composed(member, "vit", len(IMAGES)), network)
    expected = network.answers(torch.from_numpy(IMAGES)).numpy()
    (found,) = interpret(graph, IMAGES)
    off = np.abs(found - expected) / np.abs(expected).max()
    assert np.median(off) < 1e-4
    assert off.max() < (0.2 if "int4" in formats else 0.02)  # a few roundings of 1 in 7, or in 127


def test_the_formats_matter() -> None:
    """The last test would not pass between networks in different formats."""
    member = FAMILY.largest("softmax")
    narrow = replace(member, formats=(LayerFormats("ternary", "int8"),) * 2)
    part = Part(IMAGES, np.zeros(12, np.int64))
    a, b = (deployed(weights(), m, part).answers(torch.from_numpy(IMAGES)) for m in (member, narrow))
    assert ((a - b).abs() / a.abs().max()).median() > 0.01


def test_products_are_in_the_formats_asked_for() -> None:
    """Per layer; hash codes are one bit wide, and the hash function and the ends keep eight."""
    member = replace(
        FAMILY.largest("hash"), formats=(LayerFormats("ternary", "int4"), LayerFormats("int4", "int8"))
    )
    found = {
        node.module: tuple(v.type.format.element.name for v in node.operands[:2])
        for node in composed(member, "vit").nodes
        if node.op.name in ("linear", "matmul")
    }
    attention = "blocks.0.mixing.attention"
    assert found["embed.patches"] == found["head.classify"] == ("int8", "int8")
    assert found[f"{attention}.query"] == ("int4", "ternary")
    assert found[f"{attention}.hash.anchors"] == found[f"{attention}.hash.project"] == ("int8", "int8")
    assert found[f"{attention}.mix.context"] == found[f"{attention}.mix.read"] == ("binary", "int4")
    assert found["blocks.1.mixing.attention.mix.read"] == ("binary", "int8")
    assert found["blocks.1.feed_forward.shrink"] == ("int8", "int4")


@pytest.mark.parametrize("kind", KINDS)
def test_work_of_a_layer_by_hand(kind: str) -> None:
    """Products of one attention, in multiplications: N tokens, W width, H heads of c, m anchors, Nh bits."""
    tokens, width, heads, head, anchors, bits = 16, 16, 3, 5, 25, 16
    member = FAMILY.largest(kind)
    macs = sum(n.macs for n in composed(member, "vit").nodes if n.module.startswith("blocks.0.mixing"))
    projections = tokens * width * heads * head
    expected = {
        "softmax": 4 * projections + 2 * heads * tokens**2 * head,
        "linear": 4 * projections + 2 * heads * tokens * head**2,
        "hash": 3 * projections + heads * tokens * (head * anchors + anchors * bits + 2 * bits * head),
    }
    assert macs == expected[kind]


def test_every_member_is_costed() -> None:
    """No part of a report is unknown or free of charge where work is done, on a design as it ships."""
    design = sf.accelerator("edge-32x32")
    draw = np.random.default_rng(7)
    for _ in range(3):
        report = sf.estimate(composed(FAMILY.drawn(draw), "vit"), design, bits="traced")
        assert report.cycles > 0
        assert report.energy_j is not None


def test_a_new_graph_takes_milliseconds() -> None:
    """Once the pieces are known, a graph is joined far below the 30 ms that a search can spare."""
    draw = np.random.default_rng(8)
    members: list[Subnetwork] = [FAMILY.drawn(draw) for _ in range(40)]
    for member in members:
        composed(member, "vit")
    start = process_time()
    for member in members:
        composed(member, "another")
    assert (process_time() - start) / len(members) < 0.03


def test_a_skeleton_has_no_weights() -> None:
    """It runs on whatever slices it is given."""
    shape = FAMILY.largest().shape
    network = skeleton(shape)
    assert all(p.is_meta for p in network.parameters())
    assert functional_call(network, sliced(weights(), shape, network), (torch.from_numpy(IMAGES),)).shape == (
        12,
        10,
    )
