"""Knobs, members and the slices of weights that they share."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from siliform.graph_ir.errors import UserError
from siliform.models.supernet.family import Family
from siliform.models.supernet.sharing import initial, skeleton, sliced

FAMILY = Family(
    side=8,
    patch=2,
    classes=10,
    head_width=4,
    depth=(1, 3),
    width=(8, 16),
    heads=(1, 2),
    ffn=(8, 12),
    attention=("softmax", "linear", "hash"),
    weight_formats=("ternary", "int8"),
    activation_formats=("int8",),
)


def test_knobs_depend_on_the_depth() -> None:
    """One knob per choice and layer; what has a single value is none."""
    names = [knob.name for knob in FAMILY.knobs]
    assert names[:2] == ["depth", "width"]
    assert names[2:] == [f"{n}[{i}]" for n in ("heads", "ffn", "attention", "bits.weight") for i in range(3)]
    conditions = {knob.name: knob.when and knob.when.values for knob in FAMILY.knobs}
    assert conditions["heads[0]"] is None
    assert conditions["heads[2]"] == (3,)


def test_points_and_members_are_one_to_one() -> None:
    """A member's choices give it back, and hold active knobs alone."""
    draw = np.random.default_rng(0)
    for _ in range(50):
        member = FAMILY.drawn(draw)
        choices = FAMILY.choices(member)
        assert FAMILY.member(choices) == member
        assert len(choices) == 2 + 4 * len(member.formats)


@pytest.mark.parametrize(
    ("change", "found", "next_step"),
    [
        ({"wdith": 8}, "no knob of this network", "give width"),
        ({"width": 9}, "no value of that knob", "use one of the nearest: "),
        ({"heads[2]": 1}, "a network of 1 layers", "give no heads[2]"),
    ],
)
def test_a_point_that_is_none_is_refused(change: dict[str, int], found: str, next_step: str) -> None:
    """Unknown knobs, unknown values and knobs of layers that are not there."""
    smallest = FAMILY.choices(FAMILY.drawn(np.random.default_rng(0), smallest=True))
    with pytest.raises(UserError) as caught:
        FAMILY.member(smallest | change)
    assert found in caught.value.found
    assert next_step in caught.value.next_step


def test_a_point_that_lacks_a_value_is_refused() -> None:
    """The first missing knob is named with a value that it could have."""
    with pytest.raises(UserError) as caught:
        FAMILY.member({"depth": 1, "width": 8})
    assert caught.value.found == "no value for heads[0]"
    assert caught.value.next_step == "give heads[0] = 2"


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"depth": ()}, "no value"),
        ({"heads": (2, 1)}, "(2, 1)"),
        ({"width": (0,)}, "(0,)"),
        ({"attention": ("softmax", "cosine")}, "'cosine'"),
        ({"weight_formats": ("int8", "ternary")}, "('int8', 'ternary')"),
        ({"attention": ("hash", "hash")}, "('hash', 'hash'), with a name twice"),
        ({"patch": 3}, "3, where images are 8 pixels wide"),
    ],
)
def test_a_family_that_is_none_is_refused(change: dict[str, object], found: str) -> None:
    """Each list is checked when the family is made, and the error names it."""
    with pytest.raises(UserError) as caught:
        replace(FAMILY, **change)
    assert caught.value.found == found
    assert caught.value.where == f"VitSupernet.{next(iter(change))}"


def test_sub_networks_are_leading_slices_of_one_set_of_weights() -> None:
    """A member's tensors are views of the shared ones, and its gradients land in their leading corner."""
    shared = initial((FAMILY.largest(kind).shape for kind in FAMILY.attention), seed=0)
    member = FAMILY.drawn(np.random.default_rng(1), smallest=True)
    kind = member.shape.layers[0].attention
    for weight in shared.values():
        weight.requires_grad_()
    network = skeleton(member.shape)
    own = sliced(shared, member.shape, network)
    whole = shared[f"blocks.0.mixing.{kind}.attention.query.weight"]
    assert torch.equal(own["blocks.0.mixing.attention.query.weight"], whole[:4, :8])
    torch.func.functional_call(network, own, (torch.rand(2, 8, 8),)).sum().backward()
    assert whole.grad is not None
    assert whole.grad[4:].abs().sum() == whole.grad[:, 8:].abs().sum() == 0
    assert shared["blocks.0.feed_forward.grow.weight"].grad is not None
    assert shared["blocks.1.feed_forward.grow.weight"].grad is None


def test_initial_weights_depend_on_the_seed_alone() -> None:
    """Whatever torch's own generator does, and without touching it."""
    shapes = [FAMILY.largest(kind).shape for kind in FAMILY.attention]
    torch.manual_seed(1)
    first, drawn = initial(shapes, seed=5), torch.rand(1)
    torch.manual_seed(1)
    assert torch.equal(torch.rand(1), drawn)
    second = initial(shapes, seed=5)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert any(not torch.equal(w, first[n]) for n, w in initial(shapes, seed=6).items())
