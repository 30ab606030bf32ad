"""Numeric variants: within their tolerance of the float form, in integers, whatever the tiling."""

from __future__ import annotations

import math

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
from siliform.graph_ir.variants import ADD, GELU, LAYER_NORM, LINEAR, MATMUL, RELU, RMS_NORM, SILU, SOFTMAX
from siliform.graph_ir.variants.chords import Chords
from siliform.graph_ir.variants.fixed_point import (
    divide_nearest,
    from_fixed,
    shift_right_even,
    square_root,
    to_fixed,
)
from siliform.graph_ir.variants.requantise import (
    common_multipliers,
    fixed_multiplier,
    requantise,
    requantised_sum,
)

TABLES = {
    "softmax": SOFTMAX,
    "gelu": GELU,
    "silu": SILU,
    "relu": RELU,
    "layer_norm": LAYER_NORM,
    "rms_norm": RMS_NORM,
    "add": ADD,
    "linear": LINEAR,
    "matmul": MATMUL,
}
ALL = [(op, name) for op, table in TABLES.items() for name in table]


def _operands(op, name, rng, turn):
    """Operands that reach the corners of each declared domain."""

    def normal(*shape):
        return rng.standard_normal(shape).astype(np.float32)

    if op == "softmax":
        scores = np.clip(normal(4, (3, 512)[turn % 2]) * (0.01, 1, 3, 16)[turn // 2 % 4], -32, 32)
        masked = rng.random(scores.shape) < 0.1
        masked[:, 0] = False
        return (np.where(masked, -np.inf, scores).astype(np.float32),)
    if op in ("gelu", "silu", "relu"):
        return (np.append(np.clip(normal(500) * (0.2, 1, 2, 8)[turn % 4], -16, 15.99), 1).astype(np.float32),)
    if op in ("layer_norm", "rms_norm"):
        n = (8, 768)[turn % 2]
        x = normal(4, n)
        x = (x / x.std(-1, keepdims=True) * (1 / 16, 1, 40)[turn % 3] + (0, 100, -3)[turn // 3 % 3]).astype(
            np.float32
        )
        return (x, normal(n), normal(n))[: 3 if op == "layer_norm" else 2]
    if op == "add":
        return normal(40, 25), normal(40, 25) * np.float32(2.0 ** (turn % 13 - 6))
    k = (64, 1024)[turn % 2]
    first, *rest = (
        (normal(5, k), normal(17, k), normal(17)) if op == "linear" else (normal(2, 5, k), normal(2, k, 17))
    )
    return (np.float32(0.7) * (first > 0) if name.startswith("binary01") else first, *rest)


@pytest.mark.parametrize(("op", "name"), ALL)
def test_within_its_tolerance_of_the_float_form(op, name):
    variant = TABLES[op][name]
    rng = np.random.default_rng(0)
    worst = 0.0
    for turn in range(36):
        operands = _operands(op, name, rng, turn)
        wanted, found = OPS[op].reference(*operands), variant.reference(*operands)
        assert found.dtype == np.float32
        assert found.shape == wanted.shape
        worst = max(worst, np.abs(found - wanted).max() / np.abs(wanted).max())
    assert variant.tolerance / 10 < worst <= variant.tolerance, f"{worst} of {variant.tolerance}"


@pytest.mark.parametrize(("op", "name"), ALL)
def test_ops_carry_the_variants_and_the_interpreter_runs_them(op, name):
    assert OPS[op].variants[name] is TABLES[op][name]
    operands = _operands(op, name, np.random.default_rng(1), 0)
    b = Builder("v")
    values = [b.input(f"x{i}", tensor("fp32", *x.shape)) for i, x in enumerate(operands)]
    graph = b.finish(b(OPS[op], *values, numerics=name))
    (found,) = interpret(graph, *operands)
    np.testing.assert_array_equal(found, TABLES[op][name].reference(*operands))


@pytest.mark.parametrize(("op", "name"), [c for c in ALL if c[0] in ("softmax", "layer_norm", "rms_norm")])
def test_a_row_does_not_depend_on_its_order_or_its_neighbours(op, name):
    reference = TABLES[op][name].reference
    x = np.random.default_rng(2).standard_normal((6, 96)).astype(np.float32)
    order = np.random.default_rng(3).permutation(96)
    whole = reference(x)
    np.testing.assert_array_equal(reference(x[:, order]), whole[:, order])
    np.testing.assert_array_equal(np.concatenate([reference(x[:2]), reference(x[2:])]), whole)


@pytest.mark.parametrize("name", SOFTMAX)
def test_probabilities_are_multiples_of_two_to_the_minus_15_and_nearly_sum_to_one(name):
    x = np.random.default_rng(4).standard_normal((5, 40)).astype(np.float32)
    x[:, 3] = -np.inf
    found = SOFTMAX[name].reference(x)
    steps = found * 2**15
    np.testing.assert_array_equal(steps, np.rint(steps))
    assert (found[:, 3] == 0).all()
    assert np.abs(steps.sum(-1) - 2**15).max() <= 20  # half a step for each of 40
    along_rows = SOFTMAX[name].reference(x[:, :3].T.copy(), axis=0)
    np.testing.assert_array_equal(along_rows, SOFTMAX[name].reference(x[:, :3].copy()).T)


def test_polynomial_softmax_by_hand():
    # exp(0) and exp(-ln 2) in the polynomial's steps: (1.353 in Q.12)**2 + 0.344 / 0.3585 in Q.24.
    top = 5542**2 + 16098640
    ln2 = round(math.log(2) * 2**12)
    found = SOFTMAX["integer_polynomial"].reference(np.array([0.0, -ln2 / 2**12]))
    total = top + (top >> 1)
    assert (found * 2**15).tolist() == [(2 * (v << 15) + total) // (2 * total) for v in (top, top >> 1)]


@pytest.mark.parametrize("name", GELU)
def test_gelu_is_zero_or_the_operand_far_out(name):
    x = np.array([-16.0, -6.0, 0.0, 6.0, 15.5], np.float32)
    found = GELU[name].reference(x)
    np.testing.assert_allclose(found, [0, 0, 0, 6, 15.5], atol=2**-11 if name == "piecewise_linear" else 0.02)
    np.testing.assert_array_equal(GELU[name].reference(x, approximate="tanh"), found)


def test_silu_is_zero_or_the_operand_far_out_and_symmetric_but_for_rounding():
    found = SILU["piecewise_linear"].reference(np.array([-16.0, -11.5, 0.0, 11.0, 15.5], np.float32))
    np.testing.assert_array_equal(found, [0, 0, 0, 11, 15.5])
    x = np.arange(0, 16, 1 / 2**11)
    made = SILU["piecewise_linear"].reference(np.concatenate([x, -x])).reshape(2, -1)
    # silu(x) - silu(-x) = x; two chords and the values at their ends are rounded.
    assert np.abs(made[0] - made[1] - x).max() <= 2 * 2**-11


def test_a_table_of_chords_has_a_knot_at_each_end():
    with pytest.raises(ValueError, match="16 knots for 16 chords"):
        Chords(1, (0,) * 16)


def test_relu_in_steps_of_two_to_the_minus_11():
    x = np.array([-1.0, -(2**-13), 0.0, 2**-12, 3 * 2**-12, 20.0], np.float32)
    assert (RELU["integer"].reference(x) * 2**11).tolist() == [0, 0, 0, 0, 2, 2**15 - 1]


def test_norms_of_several_axes_and_without_weight():
    x = np.random.default_rng(5).standard_normal((3, 4, 8)).astype(np.float32)
    variant = LAYER_NORM["integer"]
    found = variant.reference(x, dims=2, eps=1e-3)
    np.testing.assert_array_equal(found.reshape(3, 32), variant.reference(x.reshape(3, 32), eps=1e-3))
    assert np.abs(found - OPS["layer_norm"].reference(x, dims=2, eps=1e-3)).max() < 2e-3
    assert (variant.reference(np.full((2, 8), 7.0)) == 0).all()


@given(st.lists(st.integers(0, 2**62 - 1), min_size=1, max_size=20))
def test_the_integer_root_is_exact(values):
    assert square_root(np.array(values)).tolist() == [math.isqrt(v) for v in values]


def test_roots_at_squares_and_their_neighbours():
    roots = np.array([1, 2, 3, 255, 256, 65535, 2**31 - 1])
    for offset, less in ((-1, 1), (0, 0), (1, 0)):
        np.testing.assert_array_equal(square_root(roots**2 + offset), roots - less)
    with pytest.raises(ValueError, match="square roots of -1 to 4"):
        square_root(np.array([-1, 4]))


@given(st.integers(-(2**61), 2**61), st.integers(1, 40))
def test_shifts_round_half_to_even(value, places):
    found = int(shift_right_even(np.array([value]), places)[0])
    below, rest = divmod(value, 2**places)
    twice = 2 * rest - 2**places
    assert found == below + (twice > 0 or (twice == 0 and below % 2 == 1))


def test_fixed_point_by_hand():
    assert to_fixed([0.25, 0.375, -0.625, np.inf, -1e9], 1, "int8").tolist() == [0, 1, -1, 127, -128]
    assert from_fixed(np.array([3, -1]), 1).tolist() == [1.5, -0.5]
    assert divide_nearest(np.array([7, -7, 6]), 4).tolist() == [2, -2, 2]
    with pytest.raises(UserError, match="NaN, which int8 cannot hold"):
        to_fixed(np.array([np.nan]), 1, "int8")


@given(st.integers(-(2**31), 2**31 - 1), st.floats(2.0**-30, 1.0))
def test_requantisation_is_the_rounded_product(total, factor):
    multiplier, shift = fixed_multiplier(factor)
    assert 2**30 <= multiplier < 2**31
    assert abs(float(multiplier) / 2.0 ** float(shift) / factor - 1) <= 2.0**-31
    exact, rest = divmod(total * int(multiplier), 2 ** int(shift))
    twice = 2 * rest - 2 ** int(shift)
    wanted = exact + (twice > 0 or (twice == 0 and exact % 2 == 1))
    found = requantise(np.array([total]), multiplier, shift, "int8")
    assert found.tolist() == [max(-128, min(127, wanted))]


def test_requantisation_refuses_what_it_cannot_hold():
    with pytest.raises(OverflowError, match="do not fit the int32 accumulator"):
        requantise(np.array([2**31]), 2**30, 31, "int8")
    with pytest.raises(ValueError, match="factors must be positive"):
        fixed_multiplier(np.array([0.5, 0.0]))
    with pytest.raises(ValueError, match="they need 2\\*\\*-31 to 2\\*\\*29"):
        fixed_multiplier(2.0**40)


def test_two_factors_share_a_shift():
    assert common_multipliers(0.75, 3 * 2.0**-20) == (3 * 2**29, 3 * 2**11, 31)
    assert common_multipliers(1e-9, 0.5)[:2] == (2, 2**30)  # 2.1 of 2**-31
    one, other, shift = common_multipliers(1.5, 1.0)
    # 3 * 1.5 - 2 = 2.5 and 5 * 1.5 - 4 = 3.5: halves go to the even neighbour; 100 * 1.5 saturates.
    found = requantised_sum(np.array([3, 5, 100, -100]), np.array([-2, -4, 0, 0]), one, other, shift, "int8")
    assert found.tolist() == [2, 4, 127, -128]


def test_requantised_sums_are_int8_levels_and_broadcast():
    rng = np.random.default_rng(9)
    a, b = rng.standard_normal((4, 6)).astype(np.float32), rng.standard_normal(6).astype(np.float32)
    found = ADD["int8_requantised"].reference(a, b)
    assert found.shape == (4, 6)
    levels = found / (np.abs(found).max() / 127)
    np.testing.assert_allclose(levels, np.rint(levels), atol=1e-4)
    quantised = quantise(a, format_named("int8@tensor"))
    np.testing.assert_array_equal(ADD["int8_requantised"].reference(quantised, b), found)
    assert (ADD["int8_requantised"].reference(a, -a) == 0).all()


def test_log2_products_are_sums_of_shifts():
    rng = np.random.default_rng(6)
    x = rng.integers(-127, 128, (3, 9)).astype(np.float32)
    x[0, 0] = 127
    q, sign = rng.integers(0, 16, (4, 9)), rng.choice([-1, 1], (4, 9))
    q[0, 0] = 0
    found = LINEAR["log2_shift"].reference(x, (sign * np.exp2(-q)).astype(np.float32))
    for i, j in np.ndindex(3, 4):
        total = sum(int(s) * (int(v) << (15 - int(p))) for v, s, p in zip(x[i], sign[j], q[j], strict=True))
        assert found[i, j] == np.float32(np.float32(total) / 2**15)
    with pytest.raises(ValueError, match="factors in int8@tensor where this product takes floats"):
        LINEAR["log2_shift"].reference(x, quantise(x, format_named("int8@tensor")))


def test_requantised_products_are_int8_levels_of_exact_sums():
    rng = np.random.default_rng(7)
    x, w, bias = (rng.standard_normal(s).astype(np.float32) for s in ((3, 64), (5, 64), (5,)))
    found = LINEAR["int8_requantised"].reference(x, w, bias)
    scale = np.abs(found).max() / 127
    levels = found / scale
    np.testing.assert_allclose(levels, np.rint(levels), atol=1e-4)
    assert np.abs(np.rint(levels)).max() == 127
    one = LINEAR["int8_requantised"].reference(x[0], w, bias)
    assert one.shape == (5,)
    with pytest.raises(ValueError, match="an operand in int4@tensor where this product takes int8@tensor"):
        LINEAR["int8_requantised"].reference(quantise(x, format_named("int4@tensor")), w)


def test_mxfp4_takes_operands_that_are_quantised_already():
    rng = np.random.default_rng(8)
    x, w = rng.standard_normal((3, 64)), rng.standard_normal((5, 64))
    qx, qw = (quantise(v, format_named("fp4_e2m1@block32:e8m0")) for v in (x, w))
    np.testing.assert_array_equal(LINEAR["mxfp4"].reference(qx, qw), LINEAR["mxfp4"].reference(x, w))
    np.testing.assert_array_equal(MATMUL["mxfp4"].reference(x, w.T), LINEAR["mxfp4"].reference(x, w))
