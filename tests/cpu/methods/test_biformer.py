"""Bi-level routing attention: what its paper says of it, what it costs, and where its selection runs."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

import siliform as sf
from siliform.graph_ir.errors import UserError
from siliform.models.build import build_graph
from siliform.models.catalogue import model_named
from siliform.models.mixers.biformer import BiFormerMixer, balanced_regions, from_regions, to_regions
from siliform.models.request import Request
from siliform.models.tracing import trace

WIDTH, HEADS, SIDE = 12, 3, 6


def made(**choices: int | None) -> BiFormerMixer:
    torch.manual_seed(0)
    return BiFormerMixer(WIDTH, HEADS, **choices).double().eval()


def stream() -> torch.Tensor:
    return torch.randn(2, SIDE**2, WIDTH, dtype=torch.float64)


def test_all_regions_chosen_is_full_attention() -> None:
    x = stream()
    full = made(chosen=None)(x)
    for regions in (1, 2, 3, 6):
        torch.testing.assert_close(made(regions=regions, chosen=regions**2)(x), full)
    assert not torch.allclose(made(regions=3, chosen=2)(x), full)


def test_a_region_attends_to_the_regions_it_chose() -> None:
    mixer, x = made(regions=3, chosen=2), stream()
    tokens = to_regions(mixer.qkv(x), 3)
    index = mixer.route(tokens, 2)
    q, k, v = tokens.chunk(3, dim=-1)
    affinity = q.mean(2) @ k.mean(2).transpose(1, 2) * WIDTH**-0.5
    assert torch.equal(affinity.gather(2, index), affinity.sort(descending=True).values[..., :2])
    mixed = torch.empty_like(q)
    for image in range(2):
        for region in range(9):
            keys, values = (part[image, index[image, region]].flatten(0, 1) for part in (k, v))
            heads = (part.view(-1, HEADS, 4).transpose(0, 1) for part in (q[image, region], keys, values))
            mixed[image, region] = functional.scaled_dot_product_attention(*heads).transpose(0, 1).flatten(1)
    values = mixer.qkv(x)[..., 2 * WIDTH :].transpose(1, 2).unflatten(2, (SIDE, SIDE))
    near = mixer.positions(values).flatten(2).transpose(1, 2)
    torch.testing.assert_close(mixer(x), mixer.out(from_regions(mixed) + near))


def test_regions_are_squares_of_the_map() -> None:
    x = torch.arange(36.0).view(1, 36, 1)
    assert to_regions(x, 3)[0, 1, :, 0].tolist() == [2, 3, 8, 9]
    assert torch.equal(from_regions(to_regions(x, 3)), x)


def test_regions_that_do_not_divide_the_map_are_refused() -> None:
    with pytest.raises(UserError) as told:
        made(regions=4)(stream())
    assert "asked: a map of 6 x 6 tokens in 4 x 4 regions" in str(told.value)
    assert "give a divisor of the map's side" in str(told.value)


def test_counts_by_hand() -> None:
    regions, chosen, tokens = 3, 2, SIDE**2
    mixer = BiFormerMixer(WIDTH, HEADS, regions, chosen)
    graph = trace(mixer, (torch.zeros(1, tokens, WIDTH),))
    projections = 4 * tokens * WIDTH**2
    routing = regions**4 * WIDTH
    attention = 2 * tokens * (chosen * tokens // regions**2) * WIDTH
    assert graph.macs == projections + routing + attention + 25 * tokens * WIDTH
    assert graph.parameter_count == 4 * WIDTH**2 + 4 * WIDTH + 26 * WIDTH
    # Keys and values of the chosen regions are copied once: k / S² of them for each of S² regions.
    (taken,) = [node for node in graph.nodes if node.op.name == "take"]
    assert taken.output.type.bytes == 4 * chosen * tokens * 2 * WIDTH


def test_regions_follow_the_map() -> None:
    # (4 N²)^(1/6) is 8 for 16 x 16, 12.7 for 32 x 32 and 128 for 1024 x 1024.
    assert [balanced_regions(side, 4) for side in (1, 16, 32, 1024)] == [1, 8, 16, 128]
    macs = [
        build_graph("mixer:biformer", Request(sequence=tokens)).macs - 4 * tokens * 512**2
        for tokens in (1 << 14, 1 << 20)
    ]
    # N^(4/3) from 2^14 to 2^20 is a factor of 256, beside one of 64 for the convolution.
    assert 64 < macs[1] / macs[0] < 300


@pytest.mark.parametrize("size", ["t", "b"])
def test_network_by_hand(size: str) -> None:
    spec = model_named(f"biformer-{size}")
    widths, depths = spec.configuration["widths"], spec.configuration["depths"]
    graph = build_graph(spec, Request())
    macs, inputs, side = 112**2 * 27 * widths[0] // 2, widths[0] // 2, 56
    for width, depth, chosen in zip(widths, depths, (1, 4, 16, 49), strict=True):
        tokens, routing = side**2, 49**2 * width * (chosen < 49)
        block = tokens * (4 + 6) * width**2 + tokens * (9 + 25) * width
        attention = 2 * tokens * (chosen * tokens // 49) * width
        macs += tokens * 9 * inputs * width + depth * (block + attention + routing)
        inputs, side = width, side // 2
    assert graph.macs == macs + widths[-1] * 1000
    assert graph.parameter_count == spec.parameters


def test_selection_lands_on_selector_and_gather_engine() -> None:
    spec, parts = model_named("biformer-t").tiny(), {}
    for bits in (None, 16):
        graph = build_graph(spec.with_configuration(selector_bits=bits), Request())
        report = sf.estimate(graph, sf.accelerator("routing-edge"))
        parts[bits] = {part.op: part.unit for part in report.parts if part.op in ("top_k", "take")}
    # The selector compares integers; scores in floats are compared elsewhere.
    assert parts[16]["top_k"] == "topk" != parts[None]["top_k"]
    assert parts[16]["take"] == parts[None]["take"] == "gather"
