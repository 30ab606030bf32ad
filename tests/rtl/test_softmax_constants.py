"""What the softmax circuits take from the reference, for every distance; what is not built is refused."""

from __future__ import annotations

import numpy as np
import pytest

from siliform.graph_ir.errors import UserError
from siliform.graph_ir.variants import softmax as reference
from siliform.rtl.softmax.constants import below_bits, inverse_ln2, package, power_table
from siliform.rtl.softmax.unit import SoftmaxUnit


def test_saturated_distances_have_no_exponential_and_shorter_ones_may() -> None:
    bits = below_bits()
    assert bits == 17
    far = np.array([2**bits - 1, 2**bits, 2**bits + 1, 2**31, 2**32 - 1])
    for exponentials in (reference.base2_exponentials, reference.polynomial_exponentials):
        assert (exponentials(far) == 0).all()
        assert exponentials(np.array([2 ** (bits - 1)])) > 0


def test_the_inverse_of_ln2_divides_every_distance() -> None:
    inverse, bits = inverse_ln2()
    below = np.arange(2 ** below_bits())
    np.testing.assert_array_equal(below * inverse >> bits, below // reference.LN2)
    assert (inverse - 1) * reference.LN2 < 1 << bits <= inverse * reference.LN2


def test_constants_are_those_of_the_reference() -> None:
    text = package()
    assert f"localparam logic [Log2EWidth-1:0] Log2E = {reference.LOG2_E};" in text
    assert f"localparam logic [SquareWidth:0] Offset = {reference.OFFSET};" in text
    table = power_table()
    for index, (power, after) in enumerate(zip(reference.POWERS, reference.POWERS[1:], strict=False)):
        assert f"{index}: {{power_o, fall_o}} = {{25'd{power}, 19'd{power - after}}};" in table


def test_what_is_not_built_is_refused() -> None:
    with pytest.raises(UserError) as caught:
        SoftmaxUnit(function="sigmoid", numerics="integer_online")
    assert str(caught.value) == (
        "asked: softmax in hardware with numerics = 'integer_online'\n"
        "found: circuits for integer_base2, integer_polynomial\n"
        "where: numerics\n"
        "next:  choose one of integer_base2, integer_polynomial"
    )
    with pytest.raises(UserError, match="softmax in hardware with max_length = 3"):
        SoftmaxUnit(lanes=4, max_length=3)
