"""Shape rules refuse with numbers; the catalogue refuses doubles; attributes can be printed."""

from __future__ import annotations

import json

import numpy as np
import pytest

from siliform.graph_ir.errors import UserError
from siliform.graph_ir.graph import Builder
from siliform.graph_ir.ops import OPS, _catalogue, op_named
from siliform.graph_ir.opspec import OpSpec
from siliform.graph_ir.types import tensor

X = tensor("fp32", 3, 5, 4)
IMAGE = tensor("fp32", 2, 6, 9, 7)
MATRIX = tensor("fp32", 3, 5)
INDEX = tensor("int64", 4)


@pytest.mark.parametrize(
    ("name", "operands", "attributes", "message"),
    [
        ("linear", (X, tensor("fp32", 7, 5)), {}, "x has 4 features, weight takes 5"),
        ("matmul", (X, tensor("fp32", 5, 7)), {}, "a has 4 columns, b has 5 rows"),
        ("add", (X, tensor("fp32", 3)), {}, r"\(3,\)"),
        ("softmax", (X,), {"axis": 3}, "axis 3 of a tensor with 3 axes"),
        ("clamp", (X,), {}, "lower or an upper bound, got neither"),
        ("cast", (X,), {"format": "int8@tensor"}, "a cast to int8@tensor, whose scale"),
        ("gelu", (X,), {"approximate": "sigmoid"}, "approximate='sigmoid'; it is 'none' or 'tanh'"),
        ("prelu", (X, tensor("fp32", 4)), {}, r"slope has shape \(4,\) for x of shape \(3, 5, 4\)"),
        ("layer_norm", (X, tensor("fp32", 5)), {}, r"weight of the norm has shape \(5,\), x gives \(4,\)"),
        ("layer_norm", (X,), {"dims": 4}, "a norm over the last 4 axes"),
        ("group_norm", (IMAGE,), {"groups": 4}, r"4 groups of the channels of \(2, 6, 9, 7\)"),
        ("batch_norm", (IMAGE, INDEX, INDEX), {}, r"mean of batch_norm has shape \(4,\), x gives \(6,\)"),
        ("instance_norm", (MATRIX,), {}, "no axis behind its channels"),
        ("conv", (IMAGE, tensor("fp32", 8, 5, 3, 3)), {}, "6 channels, weights .* and 1 groups do not agree"),
        ("conv", (IMAGE, tensor("fp32", 8, 6, 11, 3)), {}, r"window of \(11, 3\) does not fit .*\(9, 7\)"),
        ("conv", (IMAGE, tensor("fp32", 8, 6, 3, 3)), {"stride": (1, 2, 3)}, "stride .* for 2 spatial axes"),
        ("conv", (IMAGE, tensor("fp32", 8, 6, 3, 3)), {"stride": 0}, r"stride \(0, 0\) .* are at least 1"),
        ("conv_transpose", (IMAGE, tensor("fp32", 6, 4, 3, 3)), {"output_padding": 1}, "is not below stride"),
        ("max_pool", (IMAGE,), {"kernel": 2, "padding": 2}, "more than half the kernel"),
        ("max_pool", (tensor("fp32", 2, 6),), {"kernel": 2}, "no axis behind its channels"),
        ("adaptive_avg_pool", (IMAGE,), {"size": (3,)}, r"of \(2, 6, 9, 7\) to \[3\]"),
        ("interpolate", (IMAGE,), {"size": (3, 3), "mode": "cubic"}, "mode 'cubic'; the modes are nearest"),
        ("reduce_max", (tensor("fp32", 3, 0),), {"axes": (1,)}, r"reduce_max over 0 elements of \(3, 0\)"),
        ("reduce_sum", (X,), {"axes": (1, -2)}, "name one of the 3 axes twice"),
        ("reduce_var", (tensor("fp32", 3, 1),), {"axes": (1,)}, "over 1 elements .* with correction 1"),
        ("norm", (X,), {"order": 3.0}, "norm of order 3.0; the orders are 1, 2 and inf"),
        ("rotary", (X, X, tensor("fp32", 5, 2)), {}, r"sin of shape \(5, 2\)|broadcast"),
        ("rotary", (MATRIX, MATRIX, MATRIX), {}, "does not fall into pairs"),
        (
            "reshape",
            (X,),
            {"shape": (7, 9)},
            r"60 elements of shape \(3, 5, 4\) do not fit the shape \(7, 9\)",
        ),
        ("reshape", (X,), {"shape": (-1, 7)}, "do not fit the shape"),
        ("permute", (X,), {"axes": (0, 1, 1)}, "is no order of the 3 axes"),
        ("expand", (X,), {"shape": (6, 5, 4)}, r"\(3, 5, 4\) does not expand to \(6, 5, 4\)"),
        ("squeeze", (X,), {"axes": (1,)}, "has 5 elements, only one can be squeezed"),
        ("slice", (X,), {"step": 0}, "a slice in steps of 0"),
        ("select", (X,), {"index": 3}, "index 3 of axis 0 .* has 3 elements"),
        ("split", (X,), {"sizes": (2, 2)}, r"parts of \[2, 2\] make 4, axis 0 has 3"),
        ("windows", (X,), {"axis": 1, "size": 6}, "windows of 6 every 1 along axis 1"),
        ("diagonal", (X,), {"axis1": 0}, "the diagonal of axis 0 .* with itself"),
        ("dropout", (X,), {"p": 1.5}, "probability 1.5"),
        ("concat", (X, MATRIX), {}, r"concat of \(3, 5, 4\) and \(3, 5\)"),
        ("concat", (), {}, "concat of 0 tensors"),
        ("stack", (X, MATRIX), {}, "which must be one"),
        ("pad", (X,), {"before": (1, 1), "after": (0, 0)}, "padding of 2 and 2 axes"),
        ("pad", (MATRIX,), {"before": (0, -6), "after": (0, 0)}, r"leaves \(3, -1\)"),
        ("pad", (MATRIX,), {"before": (0, 5), "after": (0, 0), "mode": "reflect"}, "wider than"),
        ("append", (X, tensor("bf16", 3, 1, 4)), {"axis": 1}, "bf16 rows appended to a cache in fp32"),
        ("slice_scatter", (X, X), {"end": 2}, r"source has shape .*, the slice of .* \(2, 5, 4\)"),
        ("one_hot", (X,), {"classes": 3}, "one_hot of fp32, which is no integer format"),
        ("tril", (INDEX,), {}, "tril of a tensor with 1 axes"),
        ("embedding", (X, MATRIX), {}, "indices in fp32; they are integers"),
        ("gather", (X, INDEX), {"axis": 0}, r"index of shape \(4,\) for \(3, 5, 4\)"),
        ("index_get", (X, INDEX), {"axes": (0, 1)}, "1 indices for 2 axes"),
        ("fold", (X,), {"size": (4, 4), "kernel": (2, 2)}, r"columns of shape \(3, 5, 4\) for 9 windows"),
        ("arange", (), {"end": 3, "step": 0}, "in steps of 0"),
        ("random_normal", (), {"shape": (3,), "deviation": -1.0}, "standard deviation of -1.0"),
        ("top_k", (X,), {"k": 5}, "the top 5 of 4 elements"),
        ("linear_recurrence", (X, MATRIX), {"axis": 0}, "they are one"),
        ("matrix_recurrence", (X, MATRIX), {}, "both need three axes or more"),
        ("matrix_recurrence", (X, X), {}, r"with b \(3, 5, 4\) it is \(3, 5, 5\)"),
        ("selective_scan", (X, X, MATRIX, X, X), {}, r"a has shape \(3, 5\); with u \(3, 5, 4\)"),
        ("dft", (X,), {"norm": "unit"}, "norm 'unit'; the norms are backward, ortho, forward"),
        ("dft", (X, MATRIX), {}, "imaginary part of"),
        ("dft", (X, X), {"real_length": 4}, "a real signal of 4 numbers, with an imaginary part"),
        ("dft", (X,), {"real_length": 4, "inverse": True}, "4 numbers, without an imaginary part"),
        (
            "dft",
            (X, X),
            {"real_length": 4, "inverse": True},
            "4 numbers along axis -1 for a real signal of 4, whose half spectrum has 3",
        ),
        ("grouped_matmul", (MATRIX, tensor("fp32", 2, 7, 4), INDEX), {}, r"\[T, K\] and \[E, N, K\]"),
        ("grouped_matmul", (MATRIX, tensor("fp32", 2, 7, 5), INDEX), {}, "integers of shape"),
    ],
)
def test_a_shape_rule_refuses_with_numbers(name, operands, attributes, message) -> None:
    spec = OPS[name]
    with pytest.raises(ValueError, match=message):
        spec.types(*operands, **spec.complete(attributes))


def test_the_builder_makes_it_a_users_mistake() -> None:
    b = Builder("mistake")
    x = b.input("x", X)
    with b.at("encoder.0", "model.py:7"), pytest.raises(UserError) as refused:
        b(OPS["reshape"], x, shape=(7, 9))
    assert str(refused.value) == (
        "asked: reshape(fp32[3,5,4]) with {'shape': (7, 9)}\n"
        "found: 60 elements of shape (3, 5, 4) do not fit the shape (7, 9)\n"
        "where: model.py:7\n"
        "next:  give operands whose shapes agree with the op's shape rule"
    )


def test_a_body_takes_its_parameters_as_operands() -> None:
    b = Builder("body")
    w = b.parameter("w", tensor("fp32", 3))
    body = b.finish(b(OPS["add"], b.input("x", tensor("fp32", 3)), w))
    with pytest.raises(ValueError, match=r"the body owns \['w'\]"):
        OPS["fused"].types(tensor("fp32", 3), body=body)


def test_a_body_takes_the_types_it_declares() -> None:
    b = Builder("body")
    body = b.finish(b(OPS["exp"], b.input("x", tensor("fp32", 3))))
    with pytest.raises(ValueError, match=r"operands fp32\[4\] for a body that takes fp32\[3\]"):
        OPS["fused"].types(tensor("fp32", 4), body=body)


def test_a_transform_too_long_for_a_matrix_has_no_expansion() -> None:
    b = Builder("long")
    x = b.input("x", tensor("fp32", 1, 4096))
    with pytest.raises(ValueError, match="4096 numbers as a product; at most 2048"):
        OPS["dct"].expansion(b, x)


def test_an_unknown_op_is_answered_with_the_nearest() -> None:
    with pytest.raises(UserError, match="next:  use one of the nearest: softmax, log_softmax"):
        op_named("softmx")


def test_the_catalogue_refuses_a_second_op_of_a_name_and_says_both_files() -> None:
    mine = OpSpec("softmax", "softmax", lambda x: x, lambda x: x, lambda x: [])
    with pytest.raises(ImportError) as refused:
        _catalogue(OPS["softmax"], mine)
    assert "two ops are named 'softmax'" in str(refused.value)
    assert "graph_ir/ops/softmax.py and " in str(refused.value)
    assert "test_ops_refusals.py" in str(refused.value)


def test_every_name_is_its_key_and_every_op_says_its_source() -> None:
    assert [name for name, spec in OPS.items() if spec.name != name or not spec.source] == []


def test_every_default_can_be_printed() -> None:
    for spec in OPS.values():
        for attribute in spec.attributes:
            json.dumps(attribute.default)


def test_random_numbers_follow_their_seed_and_their_law() -> None:
    normal, uniform = OPS["random_normal"].reference, OPS["random_uniform"].reference
    made = normal(shape=(100, 100), mean=2.0, deviation=3.0, seed=7)
    np.testing.assert_array_equal(made, normal(shape=(100, 100), mean=2.0, deviation=3.0, seed=7))
    assert abs(made.mean() - 2) < 0.1
    assert abs(made.std() - 3) < 0.1
    flat = uniform(shape=(100, 100), low=-1.0, high=3.0, seed=7)
    assert flat.min() >= -1
    assert flat.max() < 3
    assert abs(flat.mean() - 1) < 0.1


def test_an_append_writes_only_the_new_rows() -> None:
    spec = OPS["append"]
    cache, new = tensor("bf16", 1, 8, 4096, 128), tensor("bf16", 1, 8, 1, 128)
    (space,) = spec.spaces(cache, new, axis=2)
    assert (spec.movement, space.writes[0].elements(space.extents)) == ("append", 8 * 128)
