"""Scales and shifts moved into neighbouring layers leave functions alone, in float64."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn

from siliform.graph_ir.errors import UserError
from siliform.graph_ir.formats import format_named, quantise
from siliform.models.blocks.channels import MLP
from siliform.models.blocks.heads import ProjectedAttention
from siliform.models.blocks.softmax_attention import ScaledDotProduct
from siliform.models.blocks.transformer import TransformerBlock
from siliform.models.quantise.reparameterise import absorb_shift, fold_norm, smooth, smoothing_scales
from siliform.models.quantise.repquant import ChannelScales


def block() -> TransformerBlock:
    torch.manual_seed(0)
    made = TransformerBlock(15, ProjectedAttention(15, 3, 5, ScaledDotProduct()), MLP(15, 31)).double().eval()
    for norm in (made.mixer_norm, made.channel_norm):
        assert isinstance(norm, nn.LayerNorm)
        norm.weight.data = torch.randn(15, dtype=torch.float64).exp()
        norm.bias.data = torch.randn(15, dtype=torch.float64)
    return made


def readers(made: TransformerBlock) -> tuple[tuple[nn.LayerNorm, list[nn.Linear]], ...]:
    return (
        (made.mixer_norm, [made.mixer.query, made.mixer.key, made.mixer.value]),
        (made.channel_norm, [made.channel.up]),
    )  # type: ignore[return-value]


def test_a_folded_norm_leaves_a_block_alone() -> None:
    made, x = block(), torch.randn(2, 9, 15, dtype=torch.float64)
    before = made(x).detach()
    rows = x.flatten(0, 1)
    for norm, behind in readers(made):
        given = norm(rows).detach().numpy()
        channels = ChannelScales.covering(given, bits=4)
        scale = fold_norm(norm, behind, channels)
        # One scale now gives every channel the levels that its own scale and zero point gave it.
        moved = norm(rows).detach().numpy()
        levels = quantise(moved, format_named("int4@tensor:fp64"), np.asarray(scale)).levels
        assert np.array_equal(levels, channels.levels(given))
    torch.testing.assert_close(made(x), before, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("migration", [0.0, 0.5, 0.8])
def test_smoothing_leaves_a_block_alone(migration: float) -> None:
    made, x = block(), torch.randn(2, 9, 15, dtype=torch.float64)
    before = made(x).detach()
    rows = x.flatten(0, 1)
    for norm, behind in readers(made):
        greatest = norm(rows).detach().abs().amax(0)
        scales = smooth(norm, behind, greatest, migration)
        if migration == 0.5:  # both sides now have the same magnitude in every channel
            weights = torch.cat([reader.weight for reader in behind]).abs().amax(0)
            torch.testing.assert_close(norm(rows).abs().amax(0), weights)
        torch.testing.assert_close(norm(rows).abs().amax(0), greatest / scales)
    torch.testing.assert_close(made(x), before, rtol=1e-11, atol=1e-11)


def test_smoothing_helps_where_channels_differ() -> None:
    rng = np.random.default_rng(3)
    outliers = np.where(np.arange(64) % 16 == 0, 60.0, 1.0)
    x = torch.from_numpy(rng.normal(size=(200, 64)) * outliers)
    weight = torch.from_numpy(rng.normal(size=(32, 64)))
    scales = smoothing_scales(x.abs().amax(0), [weight])

    def error(a: torch.Tensor, w: torch.Tensor) -> float:
        formats = ((a, "int8@tensor"), (w, "int8@channel0"))
        sides = [quantise(side.numpy(), format_named(name)) for side, name in formats]
        rounded = [torch.from_numpy(side.dequantise()).double() for side in sides]
        return float((rounded[0] @ rounded[1].T - x @ weight.T).square().sum())

    assert error(x / scales, weight * scales) < 0.3 * error(x, weight)


def test_a_shift_comes_off_the_bias() -> None:
    layer, x = nn.Linear(11, 4).double(), torch.randn(6, 11, dtype=torch.float64)
    moved = copy.deepcopy(layer)
    absorb_shift(moved, 0.17)
    torch.testing.assert_close(moved(x + 0.17), layer(x), rtol=1e-12, atol=1e-12)


def test_what_cannot_be_folded_is_told() -> None:
    with pytest.raises(UserError) as refused:
        absorb_shift(nn.Linear(3, 2, bias=False), 1.0)
    assert refused.value.found == "a layer 3 -> 2 without a bias"
    channels = ChannelScales.covering(np.random.default_rng(0).normal(size=(9, 3)), 4)
    with pytest.raises(UserError) as refused:
        fold_norm(nn.LayerNorm(3, elementwise_affine=False), [nn.Linear(3, 2)], channels)
    assert refused.value.next_step == "make it with elementwise_affine=True"
