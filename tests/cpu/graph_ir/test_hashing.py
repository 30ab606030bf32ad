"""Hash codes, attention by codes and hashed tables: identities, integer forms, refusals."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from siliform.graph_ir.errors import UserError
from siliform.graph_ir.formats import format_named, quantise
from siliform.graph_ir.graph import Builder
from siliform.graph_ir.interpret import interpret
from siliform.graph_ir.ops import OPS
from siliform.graph_ir.types import tensor
from siliform.graph_ir.variants import HASH_ATTENTION, HASH_CODES, HASH_LOOKUP, hashing

CODES, ATTENTION, LOOKUP = OPS["hash_codes"], OPS["hash_attention"], OPS["hash_lookup"]


def _signs(rng, *shape):
    return np.where(rng.random(shape) < 0.5, 1, -1)


@given(
    st.integers(1, 20), st.integers(1, 20), st.integers(1, 16), st.integers(1, 5), st.integers(0, 2**32 - 1)
)
def test_sums_by_codes_are_the_explicit_similarity_exactly(queries, keys, bits, width, seed):
    rng = np.random.default_rng(seed)
    q, k = _signs(rng, 2, queries, bits), _signs(rng, 2, keys, bits)
    v = rng.integers(-128, 128, (2, keys, width))
    similarity = q @ np.swapaxes(k, -1, -2) + bits + 1
    numerator, denominator = hashing.code_sums(q, k, v)
    np.testing.assert_array_equal(numerator, similarity @ v)
    np.testing.assert_array_equal(denominator, similarity.sum(-1))
    assert similarity.min() >= 1
    assert denominator.min() >= keys  # and so never zero


def test_quotients_are_the_nearest_and_halves_go_upwards():
    q, k = np.array([[1]]), np.array([[1], [-1]])
    # Similarities 3 and 1: y = (3 a + b) / 4 in steps of 1/256.
    made = hashing.mixed_levels(q, k, np.array([[1, -1, 127], [0, 0, 126]]))
    exact = [Fraction(3, 4), Fraction(-3, 4), Fraction(3 * 127 + 126, 4)]
    assert made.tolist() == [[int(256 * e) for e in exact]]
    v = np.zeros((512, 2), np.int64)
    v[0] = [1, -1]  # means of 1/512 and -1/512, half a step
    assert hashing.mixed_levels(q, np.ones((512, 1), np.int64), v).tolist() == [[1, 0]]


def test_powers_of_a_half():
    exponents = np.arange(2**17)
    made = hashing.half_power(exponents)
    assert made[0] == 2**16
    assert made[4096] == 2**15
    assert (np.diff(made) <= 0).all()
    assert made[17 << 12 :].max() == 0
    exact = 2.0 ** (16 - exponents / 4096)
    assert np.abs(made - exact).max() < 5


def _hashed(rng, turn, tokens=60):
    """Operands of hash_codes, and which tokens have no score near zero."""
    d, m, bits = ((64, 25, 16), (8, 25, 16), (32, 10, 8))[turn % 3]
    rate = np.float32((0.1, 0.5, 2)[turn // 3 % 3] / d)
    x, anchors = (rng.standard_normal((n, d)).astype(np.float32) for n in (tokens, m))
    kernel = np.exp(-rate * np.square(x[:, None] - anchors).sum(-1))
    means, weight = kernel.mean(0), rng.standard_normal((bits, m)).astype(np.float32)
    margin = np.abs((kernel - means) @ weight.T) / np.abs(weight).sum(-1)
    return (x, anchors, rate, means, weight), (margin >= 1 / 512).all(-1)


def test_integer_codes_are_the_float_ones_where_no_score_is_near_zero():
    rng, compared, flipped = np.random.default_rng(0), 0, 0
    for turn in range(9):
        operands, clear = _hashed(rng, turn)
        wanted, found = CODES.reference(*operands), HASH_CODES["integer"].reference(*operands)
        np.testing.assert_array_equal(found[clear], wanted[clear])
        compared += clear.sum()
        flipped += (found != wanted).sum()
    assert compared > 30
    assert flipped > 0  # near zero some differ, or the domain would be too narrow


def test_a_sign_of_nothing_is_one():
    x, anchors = np.array([[3, -4]]), np.array([[3, -4], [3, -4]])
    found = hashing.hash_levels(x, anchors, 2**15, 20, np.array([65536, 65536]), np.array([[1, -1], [-7, 5]]))
    assert found.tolist() == [[1, 1]]
    lower = hashing.hash_levels(x, anchors, 2**15, 20, np.array([65535, 65536]), np.array([[1, -1], [-7, 5]]))
    assert lower.tolist() == [[1, -1]]


def test_each_set_of_anchors_has_its_own_rate():
    rng = np.random.default_rng(1)
    x, anchors = rng.integers(-9, 9, (4, 2, 5, 3)), rng.integers(-9, 9, (2, 6, 3))
    means, weight = rng.integers(0, 65536, (2, 6)), rng.integers(-9, 9, (2, 7, 6))
    multiplier, shift = hashing.exponent_rate(np.array([0.01, 0.05]))
    both = hashing.hash_levels(x, anchors, multiplier, shift, means, weight)
    for s in range(2):
        one = hashing.hash_levels(x[:, s], anchors[s], multiplier[s], shift[s], means[s], weight[s])
        np.testing.assert_array_equal(both[:, s], one)


@pytest.mark.parametrize("keys", [7, 64, 512])
def test_integer_attention_is_within_its_tolerance(keys):
    rng, worst, variant = np.random.default_rng(2), 0.0, HASH_ATTENTION["integer"]
    for bits in (8, 16):
        q, k = _signs(rng, 3, keys, bits), _signs(rng, 3, keys, bits)
        v = rng.standard_normal((3, keys, 32)).astype(np.float32) + 1
        wanted, found = ATTENTION.reference(q, k, v), variant.reference(q, k, v)
        worst = max(worst, np.abs(found - wanted).max() / np.abs(wanted).max())
    assert variant.tolerance / 10 < worst <= variant.tolerance


def test_integer_lookup_is_within_its_tolerance():
    rng, worst, variant = np.random.default_rng(3), 0.0, HASH_LOOKUP["integer"]
    for chunks, tau in ((64, 8), (1, 8), (16, 4), (4, 10)):
        for deviation in (0.3, 1, 3):
            x = deviation * rng.standard_normal((20, chunks * tau))
            least = 0.51 * np.abs(x).max() / 127
            x = np.where(np.abs(x) < least, np.copysign(least, x), x).astype(np.float32)
            tables = rng.standard_normal((chunks, 2**tau, 32)).astype(np.float32)
            wanted, found = LOOKUP.reference(x, tables), variant.reference(x, tables)
            worst = max(worst, np.abs(found - wanted).max() / np.abs(wanted).max())
    assert variant.tolerance / 10 < worst <= variant.tolerance


def test_lookup_by_hand():
    x, tables = np.array([[5, -1, 0, -128]]), np.arange(24).reshape(2, 4, 3)
    assert hashing.lookup_addresses(x, 2).tolist() == [[1, 1]]
    curve = hashing.weight_curve(0.125)
    assert curve[0] == 4096  # log2 of 2
    weights = hashing.lookup_weights(x, curve, 2)
    # The last magnitude, 128, counts as 127.
    exponents = [curve[5] + curve[1], curve[0] + curve[127]]
    assert weights.tolist() == [hashing.half_power(np.array(exponents)).tolist()]
    total = weights[0, 0] * tables[0, 1] + weights[0, 1] * tables[1, 1]
    np.testing.assert_array_equal(hashing.lookup_levels(x, tables, curve)[0], np.rint(total / 256))


@pytest.mark.parametrize("name", ["hash_codes", "hash_attention", "hash_lookup"])
def test_levels_quantised_operands_and_a_graph_give_the_same(name):
    rng, spec = np.random.default_rng(4), OPS[name]
    if name == "hash_codes":
        levels = (rng.integers(-127, 128, (5, 6)), rng.integers(-127, 128, (4, 6)))
        rest = (np.float32(2e-5), np.full(4, 0.5, np.float32), rng.integers(-127, 128, (3, 4)))
        operands = (*levels, *rest)
    elif name == "hash_attention":
        operands = (_signs(rng, 3, 4), _signs(rng, 5, 4), rng.integers(-127, 128, (5, 6)))
    else:
        operands = (rng.integers(-127, 128, (5, 6)), rng.integers(-127, 128, (2, 8, 3)))
    reference = spec.variants["integer"].reference
    whole = reference(*operands)
    b = Builder("levels")
    given_values = [
        b.input(f"x{i}", tensor("fp32" if np.asarray(x).dtype.kind == "f" else "int64", *np.shape(x)))
        for i, x in enumerate(operands)
    ]
    (found,) = interpret(b.finish(b(spec, *given_values, numerics="integer")), *operands)
    np.testing.assert_array_equal(found, whole)
    if name == "hash_attention":
        narrow = (*operands[:2], quantise(operands[2] / 4, format_named("int8@tensor"), np.float32(0.25)))
        np.testing.assert_array_equal(reference(*narrow), whole * np.float32(0.25))


def test_integer_forms_refuse_what_they_cannot_hold():
    codes = np.ones((2, 3))
    with pytest.raises(ValueError, match="v holds 0 to 128; this form takes integers of 8 bits"):
        hashing.integer_hash_attention(codes, codes, np.array([[0], [128]]))
    with pytest.raises(ValueError, match="k holds other numbers than 1 and -1, which codes are made of"):
        hashing.integer_hash_attention(codes, 0 * codes, np.ones((2, 1)))
    with pytest.raises(ValueError, match="x in int4@tensor where this form takes int8@tensor or floats"):
        hashing.integer_hash_lookup(quantise(codes, format_named("int4@tensor")), np.ones((3, 2, 1)))
    with pytest.raises(
        ValueError, match="256 chunks, whose sum may not fit int32; integer look-up takes 255"
    ):
        hashing.integer_hash_lookup(np.ones((1, 256)), np.ones((256, 2, 1)))


REFUSALS = [
    (
        CODES,
        [(2, 5), (4, 6), (), (4,), (8, 4)],
        r"x ends in \(2, 5\); with anchors \(4, 6\) it ends in \(2, 6\)",
    ),
    (
        CODES,
        [(2, 5), (4, 5), (2,), (4,), (8, 4)],
        r"rate ends in \(2,\); with anchors \(4, 5\) it ends in \(\)",
    ),
    (CODES, [(2, 5), (4, 5), (), (4,), (8, 3)], r"weight ends in \(8, 3\); .* it ends in \(8, 4\)"),
    (CODES, [(2, 5), (0, 5), (), (0,), (8, 0)], "codes of 8 bits from 0 anchors; both are at least 1"),
    (CODES, [(5,), (4, 5), (), (4,), (8, 4)], r"they are \[\.\.\., \*S, N, D\]"),
    (ATTENTION, [(2, 8), (3, 7), (3, 5)], r"they are \[\.\.\., Nq, bits\], \[\.\.\., N, bits\]"),
    (ATTENTION, [(2, 8), (0, 8), (0, 5)], "attention over no key"),
    (ATTENTION, [(8,), (3, 8), (3, 5)], "they have two axes or more"),
    (LOOKUP, [(2, 12), (4, 4, 5)], r"they are \[\.\.\., K \* tau\] and \[K, 2\*\*tau, N\]"),
    (LOOKUP, [(2, 13), (4, 8, 5)], r"x \(2, 13\) and tables \(4, 8, 5\)"),
]


@pytest.mark.parametrize(("spec", "shapes", "found"), REFUSALS, ids=str)
def test_shapes_that_do_not_fit_are_refused(spec, shapes, found):
    b = Builder("wrong")
    values = [b.input(f"x{i}", tensor("fp32", *shape)) for i, shape in enumerate(shapes)]
    with pytest.raises(UserError, match=found):
        b(spec, *values)


def test_a_temperature_is_above_zero():
    b = Builder("cold")
    with pytest.raises(UserError, match=r"temperature is 0\.0; it is above 0"):
        b(LOOKUP, b.input("x", tensor("fp32", 2, 12)), b.input("t", tensor("fp32", 4, 8, 5)), temperature=0.0)
