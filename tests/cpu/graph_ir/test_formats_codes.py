"""Every code of every format, and rounding onto the codes."""

from __future__ import annotations

from fractions import Fraction

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from siliform.graph_ir.errors import UserError
from siliform.graph_ir.formats import FORMATS, format_named, pack, unpack

SMALL = [f for f in FORMATS.values() if f.bits <= 16]
NATIVE = {
    "fp16": np.float16,
    "bf16": ml_dtypes.bfloat16,
    "fp8_e4m3": ml_dtypes.float8_e4m3fn,
    "fp8_e5m2": ml_dtypes.float8_e5m2,
    "fp4_e2m1": ml_dtypes.float4_e2m1fn,
}


@pytest.mark.parametrize("format", SMALL, ids=lambda f: f.name)
def test_every_code_survives_decoding_and_encoding(format):
    codes = format.codes()
    values = format.decode(codes)
    number = ~np.isnan(values.astype(np.float64))
    np.testing.assert_array_equal(format.encode(values)[number], codes[number])
    assert number.all() != format.has_nan
    assert np.isnan(format.decode(format.encode(values[~number]))).all()


@pytest.mark.parametrize("format", SMALL, ids=lambda f: f.name)
def test_declared_range_and_step_are_those_of_the_codes(format):
    values = format.decode(format.codes()).astype(np.float64)
    finite = values[np.isfinite(values)]
    assert (format.min, format.max) == (finite.min(), finite.max())
    assert np.isinf(values).any() == format.has_infinity
    multiples = [Fraction(v) / Fraction(format.step) for v in finite]
    assert all(m.denominator == 1 for m in multiples)


@pytest.mark.parametrize("name", NATIVE)
def test_codes_mean_what_ml_dtypes_says(name):
    codes = FORMATS[name].codes()
    with np.errstate(invalid="ignore"):
        wanted = codes.view(NATIVE[name]).astype(np.float32).astype(np.float64)
    np.testing.assert_array_equal(FORMATS[name].decode(codes), wanted)


@pytest.mark.parametrize(
    ("name", "magnitudes"),
    [
        ("fp4_e2m1", [0, 0.5, 1, 1.5, 2, 3, 4, 6]),
        ("fp4_e1m2", [0, 0.25, 0.5, 0.75, 1, 1.25, 1.5, 1.75]),
        ("fp4_e3m0", [0, 0.25, 0.5, 1, 2, 4, 8, 16]),
    ],
)
def test_four_bit_floats_by_hand(name, magnitudes):
    decoded = FORMATS[name].decode(np.arange(16))
    np.testing.assert_array_equal(decoded, [*magnitudes, *(-m for m in magnitudes)])
    assert np.signbit(decoded[8])


def _nearest(known, value):
    """Brute force: the nearest of {value: code} in exact arithmetic, ties to the even code, saturating."""
    exact = Fraction(value)
    least = min(abs(v - exact) for v in known)
    close = [v for v in known if abs(v - exact) == least]
    return float(close[0] if len(close) == 1 else next(v for v in close if known[v] % 2 == 0))


@pytest.mark.parametrize("name", ["fp8_e4m3", "fp8_e5m2", "fp4_e2m1", "fp4_e1m2", "fp4_e3m0", "int8", "int4"])
def test_rounding_equals_a_brute_force_search_on_and_beside_every_tie(name):
    format = FORMATS[name]
    decoded = format.decode(format.codes()).astype(np.float64)
    values = np.unique(decoded[np.isfinite(decoded)])
    ties = (values[1:] + values[:-1]) / 2
    points = np.concatenate([ties, np.nextafter(ties, np.inf), np.nextafter(ties, -np.inf), values * 2])
    known = {Fraction(float(format.decode(c))): int(c) for c in format.encode(values)}
    wanted = [_nearest(known, float(p)) for p in points]
    np.testing.assert_array_equal(format.round(points), wanted)


@pytest.mark.parametrize("name", ["bf16", "fp8_e4m3", "fp8_e5m2"])
def test_float64_is_rounded_once(name):
    # Just above a tie: through float32 it would become the tie, and then the even neighbour below.
    spacing = {"bf16": 2.0**-7, "fp8_e4m3": 2.0**-3, "fp8_e5m2": 2.0**-2}[name]
    above = 1 + spacing / 2 + 2.0**-45
    assert FORMATS[name].round(np.array([above, -above])).tolist() == [1 + spacing, -1 - spacing]
    assert FORMATS[name].round(np.array(1 + spacing / 2)) == 1


@pytest.mark.parametrize("name", NATIVE)
@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=20))
def test_float32_rounds_as_ml_dtypes_within_the_range(name, values):
    format = FORMATS[name]
    inside = np.clip(np.array(values, np.float32), format.min, format.max).astype(np.float32)
    wanted = inside.astype(NATIVE[name]).astype(np.float32)
    np.testing.assert_array_equal(format.round(inside), wanted)
    np.testing.assert_array_equal(format.round(inside.astype(np.float64)).astype(np.float32), wanted)


@pytest.mark.parametrize(
    ("name", "given_", "wanted"),
    [
        ("fp8_e4m3", [500, 1e30, -1e30, np.inf], [448, 448, -448, 448]),
        ("fp8_e5m2", [61441, 1e30, -1e30, np.inf], [57344, 57344, -57344, np.inf]),
        ("fp4_e2m1", [5, 7, -1e30, np.inf], [4, 6, -6, 6]),
        ("fp16", [65520, -1e30], [np.inf, -np.inf]),
        ("bf16", [3.395e38, 1e300], [3.3895313892515355e38, np.inf]),
        ("int4", [7.6, 8, -9, 0.5, 1.5, 2.5], [7, 7, -8, 0, 2, 2]),
        ("int8", [1e30, -np.inf, 126.5], [127, -128, 126]),
        ("uint8", [-3, 256, 254.5], [0, 255, 254]),
        ("int64", [1e30, -1e30, 2.0**62], [2**63 - 1, -(2**63), 2**62]),
        ("ternary", [0.5, -0.5, 0.51, -7], [0, 0, 1, -1]),
        ("binary", [0.0, -0.0, -1e-30], [1, 1, -1]),
        ("binary01", [0.5, 0.51, -3], [0, 1, 0]),
        ("log2_3", [1.0, 0.70, 0.71, 0.0, 1e-9, 5.0], [1, 0.5, 1, 2**-7, 2**-7, 1]),
        ("e8m0", [1.5, 3.0, 2.9, 0.0, 1e300], [2, 2, 2, 2.0**-127, 2.0**127]),
    ],
)
def test_saturation_and_ties_by_hand(name, given_, wanted):
    format = FORMATS[name]
    found = format.decode(format.encode(np.array(given_, np.float64)))
    assert found.tolist() == wanted


def test_log2_rounds_in_the_logarithm():
    logarithms = np.linspace(0, 7, 3990)  # 7 k / 3989 is never half an odd number
    values = np.exp2(-logarithms)
    wanted = np.rint(logarithms)
    assert np.abs(logarithms % 1 - 0.5).min() > 1e-4
    np.testing.assert_array_equal(FORMATS["log2_3"].encode(values), wanted)


def test_integers_beyond_float64_are_kept():
    exact = np.array([2**53 + 1, -(2**62) - 1, 2**63 - 1])
    np.testing.assert_array_equal(FORMATS["int64"].decode(FORMATS["int64"].encode(exact)), exact)
    assert FORMATS["int32"].round(exact).tolist() == [2**31 - 1, -(2**31), 2**31 - 1]


@pytest.mark.parametrize("name", ["fp4_e2m1", "fp4_e1m2", "int8", "ternary", "binary", "bool", "log2_4"])
def test_nan_is_refused_where_the_format_has_none(name):
    with pytest.raises(UserError) as raised:
        FORMATS[name].encode(np.array([1.0, np.nan, np.nan]))
    assert f"2 of them are NaN, which {name} cannot hold" in str(raised.value)


def test_negative_values_and_meaningless_codes_are_refused():
    with pytest.raises(UserError, match="2 of them are negative, the least is -3"):
        FORMATS["log2_4"].encode(np.array([0.5, -1.0, -3.0]))
    with pytest.raises(UserError, match="1 of them are 0b10"):
        FORMATS["ternary"].decode(np.array([0, 2]))
    with pytest.raises(ValueError, match="e8m0 has no negative values"):
        FORMATS["e8m0"].encode(np.array([-1.0]))


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("int9", "no format of that name"),
        ("int8@row", "'row' is none of tensor, channel<axis>, block<length>"),
        ("int8@tensor3", "'tensor3' is none of"),
        ("int8@block", "'block' is none of"),
        ("int8@block0", "block of size 0"),
        ("int8@tensor:int8", "scales in int8"),
    ],
)
def test_a_wrong_name_is_told(name, found):
    with pytest.raises(UserError) as raised:
        format_named(name)
    assert found in str(raised.value)
    assert "use one of the nearest: int8" in str(raised.value) or "write it as int8@" in str(raised.value)


@pytest.mark.parametrize("format", FORMATS.values(), ids=lambda f: f.name)
def test_packing_takes_the_declared_bytes_and_returns_the_codes(format):
    rng = np.random.default_rng(7)
    codes = rng.integers(0, 2 ** min(format.bits, 62), (3, 7)).astype(format.code_dtype)
    image = pack(codes, format)
    assert image.nbytes == format.packed_bytes(21) == -(-21 * format.bits // 8)
    np.testing.assert_array_equal(unpack(image, format, (3, 7)), codes)


def test_packed_order_by_hand():
    assert pack(np.array([0x1, 0x2, 0xF]), FORMATS["int4"]).tolist() == [0x21, 0x0F]
    assert pack(np.array([1, 0, 0, 0, 0, 0, 0, 1, 1]), FORMATS["binary"]).tolist() == [0x81, 0x01]
    assert pack(np.array([0x1234]), FORMATS["int16"]).tolist() == [0x34, 0x12]
    with pytest.raises(ValueError, match="takes 2 bytes, not 3"):
        unpack(np.zeros(3, np.uint8), FORMATS["int4"], (4,))
