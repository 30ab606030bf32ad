"""Knobs refuse what no search could use, in words; and layers depend on the depth."""

from __future__ import annotations

import math

import pytest

from siliform.graph_ir.errors import UserError
from siliform.graph_ir.knobs import Knob, When, categorical, integer, ordered, per_layer


def test_integers_are_inclusive_and_lazy() -> None:
    knob = integer("rows", 4, 16, 4)
    assert list(knob.values) == [4, 8, 12, 16]
    assert knob.ordered
    assert len(integer("seed", 0, 2**40)) == 2**40 + 1, "a wide range is not written out"


def test_index_is_the_position_of_a_value() -> None:
    knob = ordered("bits", (2, 4, 8))
    assert [knob.index(value) for value in knob.values] == [0, 1, 2]
    assert categorical("doubled", (False, True)).index(True) == 1


def test_true_is_not_one() -> None:
    with pytest.raises(UserError):
        integer("rows", 0, 1).index(True)
    with pytest.raises(UserError):
        categorical("doubled", (False, True)).index(1)


def test_an_unknown_value_names_the_nearest() -> None:
    with pytest.raises(UserError) as told:
        categorical("flow", ("weight-stationary", "output-stationary", "row")).index("weight")
    assert str(told.value) == (
        "asked: flow = 'weight'\n"
        "found: no value of that knob\n"
        "where: knob flow\n"
        "next:  use one of the nearest: weight-stationary"
    )


@pytest.mark.parametrize(
    ("make", "found", "allowed"),
    [
        (lambda: categorical("k", ()), "no value", "at least one value"),
        (lambda: integer("k", 3, 2), "range(3, 3), which is empty or falls", "low <= high, step >= 1"),
        (lambda: integer("k", 1, 2, 0), "a step of 0", "a step of 1 or more"),
        (
            lambda: Knob("k", range(5, 1, -1)),
            "range(5, 1, -1), which is empty or falls",
            "low <= high, step >= 1",
        ),
        (lambda: categorical("k", ("a", "b", "a")), "'a' more than once", "each value once"),
        (lambda: ordered("k", (1, 4, 2)), "(1, 4, 2), which do not increase", "numbers in increasing order"),
        (lambda: categorical("k", ("a", 1)), "values of several types: number, text", "values of one type"),
        (
            lambda: categorical("k", (True, 1)),
            "values of several types: number, true or false",
            "values of one type",
        ),
        (lambda: categorical("k", (math.nan,)), "NaN", "numbers that compare"),
        (lambda: categorical("k", (None,)), "None, a NoneType", "numbers, text, or true and false"),
    ],
)
def test_refusals(make, found: str, allowed: str) -> None:
    with pytest.raises(UserError) as told:
        make()
    assert str(told.value) == f"asked: the knob k\nfound: {found}\nwhere: knob k\nnext:  give {allowed}"


def test_numbers_whole_and_broken_mix() -> None:
    assert ordered("clock", (1, 1.5, 2)).index(1.5) == 1


def test_a_prefix_goes_before_the_condition_too() -> None:
    knob = integer("bits", 1, 8, when=When("attention", ("hash",))).under("network.")
    assert (knob.name, knob.when) == ("network.bits", When("network.attention", ("hash",)))
    assert integer("rows", 1, 2).under("array.").when is None


def test_layers_are_active_below_the_depth() -> None:
    layers = per_layer(categorical("attention", ("softmax", "hash")), ordered("depth", (2, 4)))
    assert [layer.name for layer in layers] == [f"attention[{i}]" for i in range(4)]
    assert [layer.when for layer in layers] == [None, None, When("depth", (4,)), When("depth", (4,))]


def test_layers_refuse_a_depth_that_is_no_number_and_a_condition() -> None:
    bits = ordered("bits", (4, 8))
    with pytest.raises(UserError, match="a depth in whole numbers"):
        per_layer(bits, ordered("depth", (1.5, 2.0)))
    with pytest.raises(UserError, match="a knob without one: its layers depend on the depth"):
        per_layer(ordered("bits", (4, 8), when=When("a", (1,))), integer("depth", 1, 2))
