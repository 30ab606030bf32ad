"""Contractions: exact for integers and levels, scales behind the sum, one definition for every tiling."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from siliform.graph_ir.arithmetic import contract, product_type
from siliform.graph_ir.formats import FORMATS, accumulator, format_named, quantise
from siliform.graph_ir.types import tensor

CASES = [
    ("...k,nk->...n", (2, 3, 8), (5, 8)),
    ("...mk,...kn->...mn", (2, 1, 4, 8), (3, 8, 5)),
    ("...mk,...kn->...mn", (1, 4, 8), (2, 3, 8, 5)),
    ("bgrsc,bgtc->bgrst", (2, 2, 3, 4, 8), (2, 2, 5, 8)),
    ("ngwcij,gdcij->ngdw", (2, 3, 4, 2, 3, 3), (3, 5, 2, 3, 3)),
    ("k,k->", (6,), (6,)),
    ("i,j->ji", (3,), (4,)),
    ("...k,nk->...n", (0, 8), (5, 8)),
    ("mk,nk->mn", (3, 0), (5, 0)),
]
LINEAR = "...k,nk->...n"


def _normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize(("subscripts", "a", "b"), CASES)
def test_floats_equal_einsum(subscripts, a, b):
    x, y = _normal(*a), _normal(*b, seed=1)
    found = contract(subscripts, x, y)
    assert found.dtype == np.float32
    wanted = np.einsum(subscripts, x.astype(np.float64), y.astype(np.float64))
    np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(("subscripts", "a", "b"), CASES)
def test_integers_are_exact(subscripts, a, b):
    rng = np.random.default_rng(0)
    x, y = rng.integers(-128, 128, a).astype(np.int8), rng.integers(-(2**31), 2**31, b)
    found = contract(subscripts, x, y)
    assert found.dtype == np.int64
    np.testing.assert_array_equal(found, np.einsum(subscripts, x.astype(np.int64), y))


def test_integers_that_need_more_than_float64_are_exact_in_int64():
    x = np.array([[2**40 + 1, 3]])
    assert contract(LINEAR, x, np.array([[2**20 + 1, 5]])).tolist() == [[(2**40 + 1) * (2**20 + 1) + 15]]
    with pytest.raises(OverflowError, match="may take 83 bits; int64 has 64"):
        contract(LINEAR, x, x)


def test_float64_stays_float64():
    assert contract(LINEAR, np.ones((1, 2)), np.ones((1, 2), np.float32)).dtype == np.float64


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("int8@tensor", "int8@channel0"),
        ("int8@channel0", "int4@tensor"),
        ("binary@tensor", "ternary@channel0"),
        ("fp4_e2m1@tensor", "fp4_e1m2@channel0"),
        ("fp8_e4m3@tensor", "fp8_e4m3@channel0"),
        ("fp8_e5m2@tensor", "fp8_e5m2@channel0"),
        ("log2_4@tensor", "int8@channel0"),
        ("log2_7@tensor", "log2_6@channel0"),
    ],
)
def test_scaled_operands_sum_exactly_and_scale_once(a, b):
    x, w = np.abs(_normal(3, 50)), np.abs(_normal(4, 50, seed=1))
    qx, qw = quantise(x, format_named(a)), quantise(w, format_named(b))
    found = contract(LINEAR, qx, qw)
    single = np.float32
    for i, j in np.ndindex(3, 4):
        pairs = zip(qx.levels[i], qw.levels[j], strict=True)
        total = sum(Fraction(float(p)) * Fraction(float(q)) for p, q in pairs)
        scale_x = single(qx.scale[i] if qx.scale.ndim else qx.scale)
        scale_w = single(qw.scale[j] if qw.scale.ndim else qw.scale)
        assert found[i, j] == single(float(total)) * single(scale_x * scale_w)


@pytest.mark.parametrize("subscripts", ["...k,nk->...n", "...mk,...nk->...mn"])
def test_block_scales_add_up_in_fp32_in_ascending_order(subscripts):
    qx = quantise(_normal(3, 70), format_named("fp4_e2m1@block32:e8m0"))
    qw = quantise(_normal(4, 70, seed=1), format_named("int8@block16"))
    found = contract(subscripts, qx, qw)
    wanted = np.zeros((3, 4), np.float32)
    for start in range(0, 70, 16):
        part = (qx.levels[:, start : start + 16] @ qw.levels[:, start : start + 16].T).astype(np.float32)
        scale_x, scale_w = qx.scale[:, start // 32], qw.scale[:, start // 16]
        wanted = wanted + part * (scale_x[:, None] * scale_w[None, :]).astype(np.float32)
    np.testing.assert_array_equal(found, wanted)


def test_one_operand_with_blocks_and_one_plain():
    qw = quantise(_normal(4, 70, seed=1), format_named("fp4_e2m1@block32:e8m0"))
    x = _normal(3, 70)
    np.testing.assert_allclose(contract(LINEAR, x, qw), x @ qw.dequantise().T, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("subscripts", "a", "b"),
    [
        (LINEAR, "int8@channel1", "int8@channel0"),  # a channel axis that is summed over
        ("...mk,...kn->...mn", "int8@tensor", "int8@block4"),  # blocks across the result's columns
    ],
)
def test_scales_that_vary_along_the_sum_are_multiplied_in(subscripts, a, b):
    x, w = _normal(3, 8), _normal(8, 8, seed=1)
    qx, qw = quantise(x, format_named(a)), quantise(w, format_named(b))
    wanted = np.einsum(subscripts, qx.dequantise(), qw.dequantise())
    np.testing.assert_allclose(contract(subscripts, qx, qw), wanted, rtol=1e-5, atol=1e-5)


def test_scales_follow_broadcast_and_permuted_axes():
    a = quantise(_normal(2, 1, 4, 8), format_named("int8@channel2"))
    b = quantise(_normal(3, 8, 5, seed=1), format_named("int8@channel0"))
    found = contract("...mk,...kn->...mn", a, b)
    np.testing.assert_allclose(found, a.dequantise() @ b.dequantise(), rtol=1e-5, atol=1e-5)


@given(st.integers(0, 2**32), st.integers(1, 40))
def test_a_sum_does_not_depend_on_the_order_of_its_terms(seed, terms):
    rng = np.random.default_rng(seed)
    x = quantise(rng.standard_normal((2, terms)), format_named("fp8_e5m2@tensor"))
    w = quantise(rng.standard_normal((3, terms)), format_named("fp16@tensor"))
    order = rng.permutation(terms)
    shuffled = [type(q)(q.levels[:, order], q.scale, q.format) for q in (x, w)]
    np.testing.assert_array_equal(contract(LINEAR, x, w), contract(LINEAR, *shuffled))


@pytest.mark.parametrize(
    ("subscripts", "message"),
    [
        ("mk,nk", "no einsum of two operands"),
        ("mk,nkj->mn", "does not fit operands"),
        ("mm,nm->n", "repeats a label"),
        ("mj,nk->mn", "sums one that a single operand has"),
        ("mk,kn->mn", "the label 'k' has the extents 8 and 5"),
    ],
)
def test_subscripts_that_do_not_fit_are_told(subscripts, message):
    shape = (8, 8) if subscripts.startswith("mm") else (3, 8)
    with pytest.raises(ValueError, match=message):
        contract(subscripts, np.ones(shape), np.ones((5, 8)))


@pytest.mark.parametrize(
    ("a", "b", "terms", "bits", "step"),
    [
        ("int8", "int8", 1, 16, 1),  # -128 * -128 = 2**14 needs 15 bits and a sign
        ("int8", "int8", 768, 25, 1),
        ("uint8", "int8", 1, 16, 1),
        ("binary", "binary", 128, 9, 1),
        ("ternary", "int8", 4, 11, 1),
        ("fp4_e2m1", "fp4_e2m1", 32, 14, Fraction(1, 4)),
        ("log2_4", "int8", 1, 23, Fraction(1, 2**15)),
    ],
)
def test_the_exact_accumulator_by_hand(a, b, terms, bits, step):
    found = accumulator(format_named(a), FORMATS[b], terms)
    assert (found.bits, found.step, found.is_integer) == (bits, step, step == 1)
    assert found.fits_float64


def test_wide_products_do_not_fit_float64():
    assert not accumulator(FORMATS["fp8_e5m2"], FORMATS["fp8_e5m2"], 4).fits_float64
    assert not accumulator(FORMATS["fp32"], FORMATS["fp32"]).fits_float64
    with pytest.raises(ValueError, match="an accumulator of 0 terms"):
        accumulator(FORMATS["int8"], FORMATS["int8"], 0)


@pytest.mark.parametrize(
    ("a", "b", "wanted"),
    [
        ("int8", "int4", "int32"),
        ("int16", "int8", "int64"),
        ("fp16", "fp16", "fp16"),
        ("fp16", "bf16", "fp32"),
        ("fp8_e4m3", "fp8_e4m3", "fp32"),
        ("int8@tensor", "int8@channel0", "fp32"),
        ("fp64", "int8@tensor", "fp64"),
        ("log2_4", "int8", "fp32"),
    ],
)
def test_the_type_of_a_product(a, b, wanted):
    assert product_type(tensor(a, 2, 2), tensor(b, 2, 2)).format.name == wanted
