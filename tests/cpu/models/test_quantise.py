"""Quantisers: their equations in float64, and the levels that `graph_ir.formats` gives."""

from __future__ import annotations

from math import sqrt

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from siliform.graph_ir.errors import UserError
from siliform.graph_ir.formats import format_named, quantise
from siliform.graph_ir.formats.scaled import real
from siliform.models.quantise import (
    GELU_SHIFT,
    AdaLog,
    ChannelScales,
    LogRounding,
    fold,
    log_root2,
    quantise_weight,
    round_levels,
    search_adalog,
    tensor_scale,
    to_log2,
    weight_format,
)

ELEMENTS = (
    "int8",
    "int5",
    "int4",
    "int3",
    "fp4_e2m1",
    "fp4_e3m0",
    "fp8_e4m3",
    "ternary",
    "binary",
    "binary01",
)


@pytest.mark.parametrize("element", ELEMENTS)
def test_torch_rounds_as_the_format_does(element: str) -> None:
    format = format_named(element)
    values = np.unique(format.decode(format.codes()).astype(np.float64))
    values = values[np.isfinite(values)]
    ties = (values[:-1] + values[1:]) / 2
    drawn = np.random.default_rng(0).normal(0, float(values[-1]), 5000)
    x = np.concatenate([values, ties, np.nextafter(ties, 9e9), np.nextafter(ties, -9e9), drawn, [0.0, -0.0]])
    x = x.astype(np.float32)
    assert np.array_equal(round_levels(torch.from_numpy(x), element).numpy(), format.round(x))


@pytest.mark.parametrize("element", ["log2_4", "fp16", "int8@tensor"])
def test_formats_that_torch_cannot_round_are_refused(element: str) -> None:
    with pytest.raises(UserError) as refused:
        round_levels(torch.ones(3), element)
    assert refused.value.asked == f"activations in {element}"
    assert refused.value.next_step.startswith("use an integer such as int8")


@pytest.mark.parametrize(
    "name", ["int8", "int5", "int4", "int3", "mxfp4", "fp4_e3m0", "ternary", "int4@block32"]
)
@pytest.mark.parametrize("how", ["minmax", "mse"])
def test_weights_are_the_formats_own_levels_for_their_scales(name: str, how: str) -> None:
    weight = np.random.default_rng(1).normal(0, 0.04, (24, 96))
    made = quantise_weight(weight, name, how)  # type: ignore[arg-type]
    assert made.format == weight_format(name)
    again = quantise(weight, weight_format(name), made.scale)
    assert np.array_equal(again.levels, made.levels)
    assert np.array_equal(again.scale, made.scale)
    if how == "minmax":
        assert np.array_equal(made.scale, quantise(weight, weight_format(name)).scale)


@pytest.mark.parametrize(
    "name", ["int5", "int4", "int3", "mxfp4", "fp4_e3m0", "ternary", "int4@block32", "int4@tensor"]
)
def test_a_searched_scale_errs_less_everywhere(name: str) -> None:
    weight = np.random.default_rng(2).standard_t(4, (16, 128)) * 0.03
    rule, searched = (
        np.square(real(quantise_weight(weight, name, how)) - weight) for how in ("minmax", "mse")
    )
    assert searched.sum() < rule.sum()
    if "@" not in name and name != "mxfp4":  # each row has a scale of its own
        assert (searched.sum(1) <= rule.sum(1) * (1 + 1e-5)).all()


def test_binary_weights_are_centred_signs() -> None:
    weight = np.random.default_rng(3).normal(0.02, 0.04, (8, 65))
    made = quantise_weight(weight, "binary")
    mean, size = weight.mean(1, keepdims=True), np.abs(weight).mean(1, keepdims=True)
    wanted = size * np.where(weight - mean >= 0, 1, -1)  # m * sign(W - mean W)
    assert np.allclose(real(made), wanted, rtol=1e-6)
    assert abs(made.levels.mean()) < abs(quantise(weight, weight_format("binary")).levels.mean())


def test_the_scale_of_an_activation() -> None:
    x = torch.from_numpy(np.random.default_rng(4).normal(0, 1, (64, 64)).astype(np.float32))
    format = format_named("int4@tensor")
    assert tensor_scale(x, "int4", "minmax") == float(quantise(x.numpy(), format).scale)
    scale = tensor_scale(x, "int4", "mse")
    errors = [
        np.square(real(quantise(x.numpy(), format, s)) - x.numpy()).sum()
        for s in (scale, scale * 1.2, scale / 1.2)
    ]
    assert errors[0] == min(errors)
    assert tensor_scale(torch.zeros(4), "int8", "minmax") == 1.0
    assert tensor_scale(torch.zeros(4), "int8") > 0
    binary = format_named("binary@tensor")
    assert tensor_scale(x, "binary") == pytest.approx(float(quantise(x.numpy(), binary).scale), rel=1e-6)


def test_folded_scales_leave_the_function_alone() -> None:
    rng = np.random.default_rng(5)
    normal = rng.normal(size=(50, 24))
    gain, shift = rng.lognormal(0, 1, 24), rng.normal(0, 2, 24)
    weights = (rng.normal(size=(7, 24)), rng.normal(size=(5, 24)))
    biases = (rng.normal(size=7), rng.normal(size=5))
    given_ = normal * gain + shift
    channels = ChannelScales.covering(given_, bits=4)
    made = fold(channels, gain, shift, weights, biases)
    moved = normal * made.gain + made.shift
    for weight, bias, new_weight, new_bias in zip(weights, biases, made.weights, made.biases, strict=True):
        assert np.allclose(moved @ new_weight.T + new_bias, given_ @ weight.T + bias, rtol=1e-12, atol=1e-10)
    # One scale per tensor now gives every channel the levels that its own scale and zero point gave it.
    levels = quantise(moved, format_named("int4@tensor:fp64"), made.scale).levels
    assert np.array_equal(levels, channels.levels(given_))
    assert (levels.min(0) == -8).all()
    assert (levels.max(0) == 7).all()


def test_scales_per_channel_resolve_small_channels() -> None:
    rng = np.random.default_rng(6)
    x = rng.normal(size=(400, 8)) * np.array([10.0, 1, 1, 0.1, 0.1, 0.1, 0.1, 5])
    channels = ChannelScales.covering(x, bits=4)
    per_channel = (channels.levels(x) - channels.zero) * channels.scale
    per_tensor = real(quantise(x, format_named("int4@tensor")))
    small = slice(3, 7)
    assert np.square(per_channel - x)[:, small].sum() < 0.05 * np.square(per_tensor - x)[:, small].sum()


@given(st.integers(2, 6), st.floats(0.01, 4.0))
@settings(max_examples=30, deadline=None)
def test_base_root_two_becomes_shifts(bits: int, scale: float) -> None:
    x = np.random.default_rng(bits).uniform(0, scale, 200) ** 3
    codes = log_root2(x, scale, bits)
    shifts, scales = to_log2(codes, scale)
    assert np.allclose(scales * 2.0**-shifts, scale * sqrt(2) ** -codes, rtol=1e-12)
    assert shifts.max() <= 2 ** (bits - 1)  # half the range in bits, one bit of parity


def test_log2_is_the_formats_own() -> None:
    x = np.concatenate([np.random.default_rng(7).uniform(0, 1, 3000) ** 6, [0.0, 1.0]]).astype(np.float32)
    rounding = LogRounding(1.0, 1.0, 16)
    assert np.array_equal(rounding(torch.from_numpy(x)).numpy(), format_named("log2_4").round(x))


@given(st.integers(1, 74), st.integers(2, 8), st.floats(0.05, 3.0))
@settings(max_examples=50, deadline=None)
def test_adalog_by_tables_is_adalog_by_formula(numerator: int, bits: int, scale: float) -> None:
    made = AdaLog(scale, numerator, bits)
    codes = np.arange(2**bits)
    assert np.allclose(made.values, scale * 2.0 ** (-codes * numerator / 37), rtol=1e-12)
    assert np.array_equal(made.shifts, np.floor(codes * numerator / 37))
    assert (made.factors > 0.5).all()
    assert (made.factors <= 1).all()
    x = np.random.default_rng(numerator).uniform(0, scale, 500) ** 2
    direct = np.clip(np.rint(-np.log2(x / scale) * 37 / numerator), 0, 2**bits - 1)
    assert np.array_equal(made.codes(x), direct)
    looked_up = made.quantise(torch.from_numpy(x.astype(np.float32))).double().numpy()
    differs = ~np.isclose(looked_up, made.values[made.codes(x)], rtol=1e-6)
    assert differs.mean() < 0.01  # float32 may fall to the other side of a middle
    assert made.codes(np.zeros(1)) == 2**bits - 1


def test_the_searched_base_is_the_best_one() -> None:
    x = torch.softmax(
        torch.from_numpy(np.random.default_rng(8).normal(0, 3, (400, 20)).astype(np.float32)), -1
    )
    found = search_adalog(x, 4)

    def error(made: AdaLog) -> float:
        return float((made.quantise(x) - x).square().sum())

    others = [AdaLog(found.scale, n, 4) for n in range(1, 75)] + [AdaLog(float(x.max()), 37, 4)]
    assert error(found) <= min(map(error, others)) * (1 + 1e-4)
    with pytest.raises(ValueError, match="AdaLog of scale 0"):
        AdaLog(0.0, 37, 4)


def test_a_shift_before_adalog_comes_off_the_bias() -> None:
    rng = np.random.default_rng(9)
    hidden = torch.nn.functional.gelu(torch.from_numpy(rng.normal(0, 2, (200, 32))))
    assert float(hidden.min()) + GELU_SHIFT >= 0
    weight, bias = torch.from_numpy(rng.normal(size=(6, 32))), torch.from_numpy(rng.normal(size=6))
    moved = (hidden + GELU_SHIFT) @ weight.T + (bias - GELU_SHIFT * weight.sum(1))
    assert torch.allclose(moved, hidden @ weight.T + bias, rtol=1e-12, atol=1e-12)
    found = search_adalog(hidden, 6, GELU_SHIFT)
    rounded = found.quantise((hidden + GELU_SHIFT).float()) - GELU_SHIFT
    assert float((rounded - hidden).abs().mean()) < 0.05
    assert found == search_adalog(hidden + GELU_SHIFT, 6)  # the shift is that of the values searched
