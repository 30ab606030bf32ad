"""Spaces: every point has one row, one number and one key, and a mapping of values that says the same."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siliform.dse.space import Space
from siliform.graph_ir.errors import UserError
from siliform.graph_ir.knobs import Knob, When, categorical, integer, ordered, per_layer


@st.composite
def spaces(draw: st.DrawFn) -> Space:
    """Up to six knobs in any order, some under conditions, conditions upon conditions included."""
    knobs: list[Knob] = []
    for place in range(draw(st.integers(1, 6))):
        values = draw(st.integers(1, 4))
        when = None
        if knobs and draw(st.booleans()):
            parent = draw(st.sampled_from(knobs))
            chosen = draw(st.sets(st.sampled_from(list(parent.values)), min_size=1))
            when = When(parent.name, tuple(sorted(chosen)))
        knobs.append(Knob(f"k{place}", tuple(range(values)), draw(st.booleans()), when))
    return Space(tuple(draw(st.permutations(knobs))))


def brute(space: Space) -> list[dict[str, object]]:
    """Every point of a space, from the definition: a knob is there where its condition holds."""
    found = []
    for values in product(*(knob.values for knob in space.knobs)):
        point = dict(zip(space.names, values, strict=True))
        while True:
            gone = [
                k.name
                for k in space.knobs
                if k.name in point and k.when and point.get(k.when.knob) not in k.when.values
            ]
            if not gone:
                break
            for name in gone:
                del point[name]
        if point not in found:
            found.append(point)
    return found


@settings(max_examples=60, deadline=None)
@given(spaces())
def test_at_numbers_each_point_once(space: Space) -> None:
    points = brute(space)
    assert space.size == len(points)
    rows = space.at(np.arange(space.size))
    decoded = [space.decode(row) for row in rows]
    assert all(decoded.count(point) == 1 for point in points)
    assert (rows == space.canonical(rows)).all()
    assert len(set(space.keys(rows))) == space.size


@settings(max_examples=60, deadline=None)
@given(spaces(), st.integers(0, 2**32))
def test_rows_points_and_keys_round_trip(space: Space, seed: int) -> None:
    rows = space.sample(20, np.random.default_rng(seed))
    assert (rows == space.canonical(rows)).all()
    assert (np.stack([space.encode(space.decode(row)) for row in rows]) == rows).all()
    assert (space.rows_of(space.keys(rows)) == rows).all()
    assert (space.active(rows).sum(axis=1) == [len(space.decode(row)) for row in rows]).all()


@settings(max_examples=30, deadline=None)
@given(spaces(), st.integers(0, 2**32))
def test_features_tell_points_apart(space: Space, seed: int) -> None:
    """Equal features mean equal points, so nothing is hidden from a predictor."""
    rows = space.sample(40, np.random.default_rng(seed))
    features = space.features(rows)
    assert len(np.unique(features, axis=0)) == len(set(space.keys(rows)))
    assert features.min() >= 0
    assert features.max() <= 1


def test_keys_of_wide_knobs_keep_order() -> None:
    """Two bytes a knob where one has more than 256 values, the first in front: keys sort as rows do."""
    space = Space((integer("a", 1, 1000), integer("b", 1, 3)))
    rows = space.at(np.arange(space.size))
    assert space.keys(rows) == sorted(space.keys(rows))
    assert len(space.keys(rows)[0]) == 4


def test_per_layer_counts_what_is_there() -> None:
    depth = integer("depth", 1, 4)
    space = Space((depth, *per_layer(categorical("attention", ("softmax", "linear", "hash")), depth)))
    assert space.size == 3 + 9 + 27 + 81
    point = {"depth": 2, "attention[0]": "hash", "attention[1]": "linear"}
    assert space.decode(space.encode(point)) == point


def test_column_and_part() -> None:
    space = Space((ordered("bits", (2, 4, 8)), categorical("flow", ("a", "b"))))
    assert space.column("bits", np.array([[2, 0], [0, 1]])).tolist() == [8, 2]
    assert space.part({"flow"}) == (1,)


def test_samples_take_every_value_of_an_active_knob_equally_often() -> None:
    space = Space((categorical("unit", ("a", "b")), integer("x", 1, 1000, when=When("unit", ("b",)))))
    units = space.sample(4000, np.random.default_rng(0))[:, 0]
    assert abs(units.mean() - 0.5) < 0.04, "five standard deviations"


def test_spaces_too_large_to_number_are_counted_but_not_listed() -> None:
    space = Space(tuple(integer(f"k{i}", 1, 2**16) for i in range(5)))
    assert space.size == 2**80
    with pytest.raises(UserError) as told:
        space.at(np.arange(1))
    assert str(told.value) == (
        "asked: all points of the space one after another\n"
        "found: 1.21e+24 points\n"
        "where: the search space\n"
        "next:  search it (nsga2, predictor, random), or leave knobs and values out"
    )


def test_the_digest_knows_values_and_conditions_but_not_what_they_mean() -> None:
    def made(values: tuple[int, ...] = (1, 2), when: When | None = None, meaning: str = "") -> str:
        return Space((categorical("u", ("a", "b")), ordered("k", values, when=when, meaning=meaning))).digest

    assert made() == made(meaning="rows")
    assert len({made(), made((1, 3)), made(when=When("u", ("a",))), made(when=When("u", ("b",)))}) == 4


FREE = ordered("bits", (4, 8))


@pytest.mark.parametrize(
    ("knobs", "text"),
    [
        ((), "asked: a space without a knob\nfound: no choice at all\n"),
        ((FREE, FREE), "asked: the knob bits\nfound: two knobs of that name\n"),
        (
            (FREE, integer("k", 1, 2, when=When("bit", (4,)))),
            "asked: the knob k when bit has certain values\nfound: no knob 'bit'\n"
            "where: the search space\nnext:  use one of the nearest: bits",
        ),
        ((FREE, integer("k", 1, 2, when=When("bits", ()))), "found: a condition without values\n"),
        (
            (FREE, integer("k", 1, 2, when=When("bits", (5,)))),
            "asked: bits = 5\nfound: no value of that knob\n",
        ),
        (
            (integer("a", 1, 2, when=When("b", (1,))), integer("b", 1, 2, when=When("a", (1,)))),
            "asked: the knobs a, b\nfound: conditions in a circle\n",
        ),
    ],
)
def test_refused_spaces(knobs: tuple[Knob, ...], text: str) -> None:
    with pytest.raises(UserError) as told:
        Space(knobs)
    assert text in str(told.value)


@pytest.mark.parametrize(
    ("point", "text"),
    [
        ({"bit": 4}, "asked: bit = 4\nfound: no knob of that name\n"),
        ({"bits": 5, "unit": "tree"}, "asked: bits = 5\nfound: no value of that knob\n"),
        (
            {"unit": "tree"},
            "asked: a point\nfound: no value of bits\nwhere: the search space\nnext:  give one of [4, 8]",
        ),
        (
            {"bits": 4, "unit": "tree", "rows": 1},
            "asked: rows = 1\nfound: unit = 'tree', with which rows means nothing\n"
            "where: the search space\nnext:  leave rows out, or set unit to one of ['array']",
        ),
    ],
)
def test_refused_points(point: dict[str, object], text: str) -> None:
    space = Space(
        (FREE, categorical("unit", ("array", "tree")), integer("rows", 1, 2, when=When("unit", ("array",))))
    )
    with pytest.raises(UserError) as told:
        space.encode(point)  # type: ignore[arg-type]
    assert text in str(told.value)
