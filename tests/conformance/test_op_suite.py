"""The suite itself: an op that is wrong in one way fails the one check that looks there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from siliform.graph_ir.ops import OPS
from siliform.graph_ir.space import Access, Space
from tests.conformance import op_suite
from tests.conformance.op_data import floats
from tests.conformance.op_suite import Case, check_op

MATMUL, GELU, RESHAPE = OPS["matmul"], OPS["gelu"], OPS["reshape"]
PRODUCT = Case((floats(3, 5), floats(5, 7)), work={"mac": 105}, oracle=lambda a, b: a @ b)
ROW = Access((("i",),))


def _spaces(*spaces: Space):
    return lambda *operands, **attributes: list(spaces)


WRONG = {
    "check_types": (replace(MATMUL, shape=lambda a, b: a), PRODUCT, "rule .*, result"),
    "check_work": (
        replace(MATMUL, spaces=_spaces(Space.over("m k, k n -> m n", {"mac": 2}, m=3, k=5, n=7))),
        PRODUCT,
        "spaces say {'mac': 210}, counted {'mac': 105}",
    ),
    "check_execution": (
        replace(MATMUL, spaces=_spaces(Space.over("m k, k n -> n m", {"mac": 1}, m=3, k=5, n=7))),
        PRODUCT,
        "Not equal to tolerance",
    ),
    "check_movement": (
        replace(RESHAPE, spaces=_spaces(Space.over("i -> i", {}, i=6))),
        Case((floats(2, 3),), {"shape": (6,)}),
        "is a view and has 1 spaces",
    ),
    "check_oracle": (MATMUL, replace(PRODUCT, oracle=lambda a, b: a @ b * 1.001), "Mismatch"),
    "check_expansion": (
        replace(GELU, expansion=lambda b, x, *, approximate: b(OPS["relu"], x)),
        Case((floats(3, 5),)),
        "Mismatch",
    ),
    "check_expansion_ends": (
        replace(GELU, expansion=lambda b, x, *, approximate: b(OPS["neg"], b(GELU, b(OPS["neg"], x)))),
        Case((floats(3, 5),)),
        "expands in a circle: gelu -> gelu",
    ),
}


@pytest.mark.parametrize("name", list(WRONG))
def test_a_wrong_op_is_found(name) -> None:
    spec, case, message = WRONG[name]
    with pytest.raises(AssertionError, match=message):
        getattr(op_suite, name)(spec, case)


def test_a_wrong_count_of_elements_is_found() -> None:
    class Careless(Access):
        def elements(self, extents) -> int:
            return super().elements(extents) + 1

    space = Space({"i": 3}, (Careless((("i",),)),), (ROW,), {"exp": 1})
    with pytest.raises(AssertionError, match="touches 4, 3 counted"):
        op_suite.check_accesses(replace(OPS["exp"], spaces=_spaces(space)), Case((floats(3),)))


def test_an_op_that_computes_must_be_counted_by_hand() -> None:
    with pytest.raises(AssertionError, match="exp computes, and no case counts its work by hand"):
        check_op(OPS["exp"], [Case((floats(3),))])


def test_an_op_that_computes_nothing_is_a_movement() -> None:
    free = replace(OPS["exp"], spaces=_spaces(Space.over("i -> i", {}, i=3)))
    with pytest.raises(AssertionError, match="exp computes nothing and is no movement"):
        check_op(free, [Case((floats(3),))])


def test_a_right_op_passes() -> None:
    check_op(MATMUL, [PRODUCT, Case((np.eye(2, dtype=np.int8), np.eye(2, dtype=np.int8)))])
