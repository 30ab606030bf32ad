"""Scaled formats: names, sizes, scale rules and rounding against brute force."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from siliform.graph_ir.errors import UserError
from siliform.graph_ir.formats import FORMATS, Quantised, format_named, quantise
from siliform.graph_ir.types import tensor

ELEMENTS = ["int8", "int4", "fp4_e2m1", "fp8_e4m3", "ternary", "binary", "log2_4"]
WHERE = ["tensor", "channel0", "channel1", "block3", "block32:e8m0", "block16:fp8_e4m3"]


@pytest.mark.parametrize(("element", "where"), list(product(ELEMENTS, WHERE)))
def test_names_round_trip_and_elements_are_kept(element, where):
    format = format_named(f"{element}@{where}")
    assert format.name == f"{element}@{where}"
    assert format.element == FORMATS[element]
    assert (format.bits, format.kind) == (FORMATS[element].bits, FORMATS[element].kind)


def test_the_default_scale_format_is_not_printed():
    assert format_named("int8@tensor:fp32").name == "int8@tensor"


@pytest.mark.parametrize(
    ("name", "shape", "bits"),
    [
        ("int8@tensor", (3, 5), 15 * 8 + 32),
        ("int4@channel0", (3, 5), 15 * 4 + 3 * 32),
        ("fp4_e2m1@block32:e8m0", (3, 64), 192 * 4 + 3 * 2 * 8),
        ("fp4_e2m1@block32:e8m0", (3, 65), 195 * 4 + 3 * 3 * 8),
        ("binary@channel1", (2, 7), 14 + 7 * 32),
    ],
)
def test_stored_bits_count_the_scales(name, shape, bits):
    assert format_named(name).tensor_bits(shape) == bits
    assert tensor(name, *shape).bytes == -(-bits // 8)


@pytest.mark.parametrize(("element", "where"), list(product(ELEMENTS, WHERE)))
def test_quantising_a_quantised_tensor_again_with_its_scales_changes_nothing(element, where):
    rng = np.random.default_rng(3)
    values = rng.standard_normal((4, 37)).astype(np.float32)
    values = np.abs(values) if element.startswith("log2") else values
    format = format_named(f"{element}@{where}")
    first = quantise(values, format)
    assert first.scale.shape == format.scale_shape(values.shape)
    np.testing.assert_array_equal(format.scale.round(first.scale), first.scale)
    np.testing.assert_array_equal(format.item.round(first.levels), first.levels)
    again = quantise(first.dequantise(), format, first.scale)
    np.testing.assert_array_equal(again.levels, first.levels)


def test_absmax_lands_on_the_greatest_level():
    q = quantise(np.array([[1.0, -2.0, 3.0], [0.5, 0.25, -0.5]]), format_named("int8@channel0"))
    assert q.levels.tolist() == [[42, -85, 127], [127, 64, -127]]
    np.testing.assert_array_equal(q.scale, np.float32([3 / 127, 0.5 / 127]).astype(np.float64))
    np.testing.assert_allclose(q.dequantise()[0], [42 * 3 / 127, -85 * 3 / 127, 3], rtol=1e-7)


def test_binary_and_ternary_scale_by_the_mean_magnitude_of_a_row():
    rows = np.array([[1.0, -3.0, 0.0, 2.0], [-0.1, 0.1, 0.1, 0.1]])
    binary = quantise(rows, format_named("binary@channel0"))
    assert binary.levels.tolist() == [[1, -1, 1, 1], [-1, 1, 1, 1]]
    np.testing.assert_allclose(binary.scale, [1.5, 0.1], rtol=1e-7)
    ternary = quantise(rows, format_named("ternary@channel0"))
    assert ternary.levels.tolist() == [[1, -1, 0, 1], [-1, 1, 1, 1]]


def test_zeros_have_the_scale_one():
    q = quantise(np.zeros((2, 40)), format_named("int8@block32"))
    assert (q.scale == 1).all()
    assert (q.levels == 0).all()


def test_mxfp4_equals_a_brute_force_of_the_specification():
    rng = np.random.default_rng(11)
    values = (rng.standard_normal((6, 70)) * np.exp2(rng.integers(-20, 20, (6, 1)))).astype(np.float32)
    values[0, :32] = 0
    q = quantise(values, format_named("fp4_e2m1@block32:e8m0"))
    levels = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6])
    for row, start in product(range(6), range(0, 70, 32)):
        block = values[row, start : start + 32].astype(np.float64)
        peak = np.abs(block).max()
        exponent = int(np.floor(np.log2(peak))) - 2 if peak else -127
        assert q.scale[row, start // 32] == 2.0**exponent
        for value, level in zip(block, q.levels[row, start : start + 32], strict=True):
            distance = np.abs(levels - min(abs(value) / 2.0**exponent, 6))
            nearest = np.flatnonzero(distance == distance.min())
            chosen = nearest[0] if len(nearest) == 1 else next(i for i in nearest if i % 2 == 0)
            assert level == np.copysign(levels[chosen], value)


def test_given_scales_are_rounded_to_their_format_and_levels_saturate():
    q = quantise(np.array([10.0, -300.0]), format_named("int8@tensor"), 0.1)
    assert q.scale == float(np.float32(0.1))
    assert q.levels.tolist() == [100, -128]
    with pytest.raises(ValueError, match="scales must be positive"):
        quantise(np.ones(2), format_named("int8@tensor"), 0.0)


def test_what_cannot_be_quantised_is_told():
    with pytest.raises(UserError, match="1 of them are NaN or infinite, so they have no scale"):
        quantise(np.array([1.0, np.inf]), format_named("int8@tensor"))
    with pytest.raises(UserError, match="1 axes, channel scales need 2 or more"):
        quantise(np.ones(3), format_named("int8@channel1"))
    with pytest.raises(ValueError, match="int8 has no scales"):
        quantise(np.ones(3), FORMATS["int8"])


def test_a_quantised_tensor_knows_its_shape():
    q = quantise(np.ones((2, 3)), format_named("int8@tensor"))
    assert isinstance(q, Quantised)
    assert (q.shape, q.ndim) == ((2, 3), 2)
