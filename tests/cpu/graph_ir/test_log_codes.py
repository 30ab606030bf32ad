"""Logarithmic codes in integers: the float form on every value, exact ties, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from siliform.graph_ir.errors import UserError
from siliform.graph_ir.formats import format_named
from siliform.graph_ir.graph import Builder
from siliform.graph_ir.interpret import interpret
from siliform.graph_ir.ops import OPS
from siliform.graph_ir.types import tensor
from siliform.graph_ir.variants import LOG_CODES, QUANTIZE
from siliform.graph_ir.variants.log_codes import limits, values_of

EVERY = np.arange(2**16) / 2**15


@pytest.mark.parametrize(
    ("bits", "numerator", "denominator", "scale"),
    [(4, 1, 1, 1.0), (8, 1, 1, 1.0), (3, 1, 2, 1.0), (4, 20, 37, 0.7), (5, 74, 37, 1.9), (8, 3, 37, 1e-3)],
)
def test_integers_do_what_floats_do(bits: int, numerator: int, denominator: int, scale: float) -> None:
    how = {"bits": bits, "numerator": numerator, "denominator": denominator, "scale": scale}
    found = LOG_CODES["integer"].reference(EVERY, **how)
    np.testing.assert_array_equal(found, OPS["log_codes"].reference(EVERY, **how))
    assert found[0] == 2**bits - 1
    assert (np.diff(found.astype(int)) <= 0).all()
    steps = limits(bits, numerator, denominator, scale)
    assert steps.shape == (2**bits - 1,)
    assert (np.diff(steps) <= 0).all()


def test_a_tie_goes_to_the_even_code() -> None:
    # Base 4: the middle of codes k and k + 1 is 2**-(2 k + 1), a value.
    middles = 2.0 ** -np.array([1, 3, 5, 7])
    assert LOG_CODES["integer"].reference(middles, bits=4, numerator=2).tolist() == [0, 2, 2, 4]
    # Base 2**(18 / 37): half a step below 2**-9 the product of floats need not be a half.
    tie = np.array([2.0**-9])
    assert LOG_CODES["integer"].reference(tie, bits=8, numerator=18, denominator=37).tolist() == [18]


def test_codes_with_base_two_are_those_of_the_format() -> None:
    for bits in (1, 2, 4, 8):
        codes = format_named(f"log2_{bits}").encode(EVERY)
        np.testing.assert_array_equal(LOG_CODES["integer"].reference(EVERY, bits=bits), codes)
        made = QUANTIZE["integer_log2"].reference(EVERY, format=f"log2_{bits}@tensor")
        np.testing.assert_array_equal(made.levels, np.exp2(-codes.astype(float)))
        assert made.scale == 1


def test_values_mean_what_their_codes_say() -> None:
    codes = np.arange(256, dtype=np.uint8)
    how = {"numerator": 20, "denominator": 37, "scale": 0.25}
    values = OPS["log_values"].reference(codes, **how)
    assert values[0] == np.float32(0.25)
    np.testing.assert_array_equal(OPS["log_codes"].reference(values, bits=8, **how), codes)


def test_values_saturate_and_are_rounded() -> None:
    x = np.array([-1.0, 2**-17, 3 * 2**-17, 1.0, 5.0])
    assert values_of(x).tolist() == [0, 0, 1, 2**15, 2**16 - 1]


def test_log2_is_near_the_scale_that_comes_from_the_data() -> None:
    variant, worst = QUANTIZE["integer_log2"], 0.0
    rng = np.random.default_rng(0)
    for turn in range(24):
        x = rng.dirichlet(np.full((3, 50)[turn % 2], 0.5), 4).astype(np.float32)
        wanted = OPS["quantize"].reference(x, format="log2_4@tensor").dequantise()
        found = variant.reference(x, format="log2_4@tensor").dequantise()
        worst = max(worst, np.abs(found - wanted).max() / wanted.max())
    assert variant.tolerance / 10 < worst <= variant.tolerance


def test_log2_takes_no_other_scale_and_no_other_format() -> None:
    quantise = QUANTIZE["integer_log2"].reference
    assert quantise(EVERY, np.ones(()), format="log2_4@tensor").scale == 1
    with pytest.raises(ValueError, match=r"integer_log2 of probabilities has the scale 1, not 0\.5"):
        quantise(EVERY, np.array(0.5), format="log2_4@tensor")
    with pytest.raises(ValueError, match="adalog<n>_<bits>@tensor, not int8@tensor"):
        quantise(EVERY, format="int8@tensor")


@pytest.mark.parametrize(
    ("op", "how", "numerics"),
    [
        ("log_codes", {"bits": 4, "numerator": 5}, "integer"),
        ("quantize", {"format": "log2_4@tensor"}, "integer_log2"),
    ],
)
def test_the_interpreter_runs_them(op: str, how: dict[str, object], numerics: str) -> None:
    x = np.random.default_rng(1).random((3, 5)).astype(np.float32)
    b = Builder("v")
    graph = b.finish(b(OPS[op], b.input("x", tensor("fp32", 3, 5)), numerics=numerics, **how))
    (found,) = interpret(graph, x)
    wanted = OPS[op].variants[numerics].reference(x, **how)
    np.testing.assert_array_equal(getattr(found, "levels", found), getattr(wanted, "levels", wanted))


def test_negative_values_are_refused() -> None:
    with pytest.raises(UserError) as caught:
        OPS["log_codes"].reference(np.array([0.5, -0.25, -1]), bits=4)
    assert str(caught.value) == (
        "asked: 3 values in logarithmic codes\n"
        "found: 2 of them are negative, the least is -1\n"
        "where: log_codes\n"
        "next:  use it for non-negative data such as probabilities, or add a shift before"
    )


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ({"bits": 9}, "codes of 9 bits; they have 1 to 8"),
        ({"bits": 4, "numerator": 0}, r"the base 2\*\*\(0/1\); both are 1 or more"),
        ({"bits": 4, "scale": 0.0}, "the scale 0.0; it is positive"),
    ],
)
def test_what_is_no_base_is_refused(how: dict[str, object], told: str) -> None:
    b = Builder("wrong")
    with pytest.raises(UserError, match=told):
        b(OPS["log_codes"], b.input("x", tensor("fp32", 4)), **how)
