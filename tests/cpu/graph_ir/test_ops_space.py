"""Iteration spaces: their notation, the elements that an access touches, the normal form of products."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siliform.graph_ir.ops import OPS
from siliform.graph_ir.space import Access, Contraction, Space, Window
from siliform.graph_ir.types import tensor


def test_the_notation_of_a_padded_strided_axis() -> None:
    space = Space.over("c 2*o+3*k-1<9, k -> c o", {"mac": 1}, c=2, o=4, k=3)
    assert space.reads[0].axes == (("c",), ("o", "k"))
    assert space.reads[0].windows == (None, Window((2, 3), 1, 9))
    assert space.reads[1].windows == ()


def test_sizes_and_keywords_both_give_extents() -> None:
    assert Space.over("i j -> i", {"add": 1}, {"i": 3}, j=5).dense_points == 15


@given(
    st.lists(st.tuples(st.integers(1, 6), st.integers(1, 4)), min_size=1, max_size=3),
    st.integers(0, 4),
    st.none() | st.integers(1, 20),
)
def test_a_window_touches_what_enumeration_finds(terms, offset, length) -> None:
    window = Window(tuple(step for _, step in terms), offset, length)
    extents = tuple(extent for extent, _ in terms)
    indices = {
        sum(step * position for (_, step), position in zip(terms, point, strict=True)) - offset
        for point in itertools.product(*map(range, extents))
    }
    inside = {i for i in indices if i >= 0 and (length is None or i < length)}
    assert window.touched(extents) == len(inside)


def test_nothing_is_touched_by_no_points() -> None:
    assert Window((2, 1)).touched((0, 3)) == 0
    assert Access((("i",), ("j", "k"))).elements({"i": 3, "j": 0, "k": 2}) == 0


def test_a_padded_convolution_reads_its_input_once_and_not_its_padding() -> None:
    (space,) = OPS["conv"].spaces(tensor("fp32", 1, 3, 8, 8), tensor("fp32", 4, 3, 3, 3), padding=1)
    assert space.reads[0].elements(space.extents) == 3 * 8 * 8


def test_a_patch_embedding_with_gaps_reads_only_what_it_needs() -> None:
    (space,) = OPS["conv"].spaces(tensor("fp32", 1, 3, 9, 9), tensor("fp32", 4, 3, 2, 2), stride=4)
    assert space.reads[0].elements(space.extents) == 3 * 4 * 4


@pytest.mark.parametrize(
    ("groups", "weight", "wanted"),
    [
        (1, (8, 6, 3, 3), Contraction(batch=1, m=2 * 5 * 5, n=8, k=54, points=50 * 8 * 54)),
        (2, (8, 3, 3, 3), Contraction(batch=2, m=50, n=4, k=27, points=50 * 8 * 27)),
        (6, (6, 1, 3, 3), Contraction(batch=6, m=50, n=1, k=9, points=50 * 6 * 9)),
    ],
)
def test_a_convolution_is_a_product_of_matrices(groups, weight, wanted) -> None:
    (space,) = OPS["conv"].spaces(tensor("fp32", 2, 6, 7, 7), tensor("fp32", *weight), groups=groups)
    assert space.contraction() == wanted


def test_experts_cost_their_tokens_and_read_each_used_weight_once() -> None:
    x, weight = tensor("bf16", 11, 5), tensor("bf16", 4, 7, 5)
    spaces = OPS["grouped_matmul"].spaces(x, weight, tensor("int64", 4))
    assert sum(space.macs for space in spaces) == sum(space.macs_dense for space in spaces) == 11 * 5 * 7
    assert sum(space.reads[1].elements(space.extents) for space in spaces) == 4 * 7 * 5
    assert {space.density_source for space in spaces} == {"declared"}
    (few,) = OPS["grouped_matmul"].spaces(tensor("bf16", 2, 5), weight, tensor("int64", 4))
    assert few.reads[1].elements(few.extents) == 2 * 7 * 5


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Space.over("i -> i", {"multiply": 1}, i=3), "multiply.*SCALAR_OPS"),
        (lambda: Space.over("i j -> i", {"add": 1}, i=3), "dims \\['j'\\] have no extent"),
        (lambda: Space.over("i -> i", {"add": 1}, i=3, kept=4), "kept=4 of 3 points"),
    ],
)
def test_a_space_refuses_nonsense(make, message) -> None:
    with pytest.raises(ValueError, match=message):
        make()
