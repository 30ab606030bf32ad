"""Dynamic spectrum mixing: nothing is lost on the way to the frequencies and back, and O(N log N) of work."""

from __future__ import annotations

import math

import torch
from torch import nn

from siliform.models.mixers.dynamic_spectrum import DynamicSpectrumMixer, bands_of
from siliform.models.tracing import trace


def opened(weight: float, bands: int = 4) -> DynamicSpectrumMixer:
    """A mixer with the same weight in each band, and nothing behind the transforms."""
    mixer = DynamicSpectrumMixer(6, 1, bands).double()
    nn.init.zeros_(mixer.generate.down.weight)
    nn.init.constant_(mixer.generate.down.bias, math.log(weight / (1 - weight)))
    mixer.out.weight.data = torch.eye(6, dtype=torch.float64)
    nn.init.zeros_(mixer.out.bias)
    return mixer


def test_equal_weights_scale_the_map() -> None:
    x = torch.randn(2, 25, 6, dtype=torch.float64)
    torch.testing.assert_close(opened(0.25)(x), 0.25 * x)


def test_the_lowest_frequency_alone_is_the_mean() -> None:
    mixer, x = opened(0.5, bands=9), torch.randn(2, 25, 6, dtype=torch.float64)
    mixer.generate.down.bias.data = torch.full((54,), -1e9, dtype=torch.float64)
    mixer.generate.down.bias.data[:6] = 1e9  # 9 bands of a map of 5 x 5: the first holds u = v = 0 alone
    torch.testing.assert_close(mixer(x), x.mean(1, keepdim=True).expand_as(x))


def test_bands_are_steps_of_both_frequencies() -> None:
    bands = bands_of(5, 3).view(5, 5)
    assert bands[0].tolist() == [0, 0, 0, 1, 1]
    assert torch.equal(bands, bands.T)
    assert bands_of(4, 2).view(4, 4)[3, 3] == 1


def test_weights_follow_the_image() -> None:
    torch.manual_seed(0)
    mixer = DynamicSpectrumMixer(6, 1).double()
    x = torch.randn(1, 25, 6, dtype=torch.float64)
    assert not torch.allclose(mixer(x) + mixer(x + 1) - 2 * mixer.out.bias, mixer(2 * x + 1) - mixer.out.bias)


def test_counts_by_hand() -> None:
    for side in (4, 8):
        mixer = DynamicSpectrumMixer(24, 1, bands=5, reduction=4).to("meta")
        graph = trace(mixer, (torch.empty(1, side**2, 24, device="meta"),))
        assert graph.macs == side**2 * 24**2 + 24 * 6 + 6 * 5 * 24
        transforms = [node for node in graph.nodes if node.op.name == "dct"]
        assert len(transforms) == 4
        butterflies = sum(space.count("mul") for space in transforms[0].spaces)
        # Of side * 24 real rows two share a complex transform: side / 2 butterflies a stage, 4 products each.
        assert butterflies >= side * 24 / 2 * (side / 2) * math.log2(side) * 4
        assert butterflies < side * 24 * side * (2 * math.log2(side) + 8)
