"""Formats of results: PyTorch's promotion, scalars that do not widen, scaled operands."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from siliform.graph_ir.formats import format_named, quantise
from siliform.graph_ir.ops import OPS
from siliform.graph_ir.ops.common import promoted
from siliform.graph_ir.types import tensor

DTYPES = {
    "fp64": torch.float64,
    "fp32": torch.float32,
    "fp16": torch.float16,
    "bf16": torch.bfloat16,
    "int64": torch.int64,
    "int32": torch.int32,
    "int16": torch.int16,
    "int8": torch.int8,
    "uint8": torch.uint8,
    "bool": torch.bool,
}


@pytest.mark.parametrize("shapes", [((3,), (3,)), ((3,), ()), ((), (3,)), ((), ())], ids=str)
def test_promotion_is_pytorchs(shapes) -> None:
    wrong = []
    for a, b in itertools.product(DTYPES, DTYPES):
        left, right = (torch.ones(s, dtype=DTYPES[n]) for s, n in zip(shapes, (a, b), strict=True))
        ours = promoted(tensor(a, *shapes[0]), tensor(b, *shapes[1])).name
        if DTYPES[ours] != torch.result_type(left, right):
            wrong.append((a, b, ours))
    assert not wrong


def test_fp8_of_two_kinds_meet_in_fp32() -> None:
    assert promoted(tensor("fp8_e4m3", 3), tensor("fp8_e5m2", 3)).name == "fp32"


def test_a_scalar_constant_keeps_the_tensors_format() -> None:
    (made,) = OPS["mul"].types(tensor("bf16", 3, 5), tensor("fp32"))
    assert str(made) == "bf16[3,5]"


@pytest.mark.parametrize(
    ("name", "operands", "attributes", "wanted"),
    [
        ("div", ("int64", "int64"), {}, "fp32"),
        ("eq", ("bf16", "bf16"), {}, "bool"),
        ("reduce_sum", ("int32",), {}, "int64"),
        ("reduce_sum", ("bf16",), {}, "bf16"),
        ("reduce_mean", ("int32",), {}, "fp32"),
        ("argmax", ("bf16",), {}, "int64"),
        ("cumsum", ("bool",), {"axis": 0}, "int64"),
        ("softmax", ("bf16",), {}, "bf16"),
        ("gelu", ("int8@tensor",), {}, "fp32"),
        ("relu", ("int32",), {}, "int32"),
        ("add", ("int8@tensor", "bf16"), {}, "fp32"),
        ("permute", ("int8@tensor",), {"axes": (0,)}, "int8@tensor"),
    ],
)
def test_result_formats(name, operands, attributes, wanted) -> None:
    spec = OPS[name]
    (made,) = spec.types(*(tensor(o, 4) for o in operands), **spec.complete(attributes))
    assert made.format.name == wanted


def test_a_view_of_a_scaled_tensor_keeps_levels_and_scale() -> None:
    x = quantise(np.arange(6, dtype=np.float32).reshape(2, 3), format_named("int8@tensor"))
    turned = OPS["permute"].reference(x, axes=(1, 0))
    first, second = OPS["split"].reference(x, sizes=(1, 1), axis=0)
    np.testing.assert_array_equal(turned.levels, x.levels.T)
    assert turned.scale == first.scale == second.scale == x.scale
    np.testing.assert_array_equal(second.levels, x.levels[1:])


def test_a_view_does_not_leave_scales_of_an_axis_behind() -> None:
    with pytest.raises(ValueError, match=r"permute of int8@channel0\[2,3\], whose scales belong to its axes"):
        OPS["permute"].types(tensor("int8@channel0", 2, 3), axes=(1, 0))


def test_pointwise_ops_apply_the_scale() -> None:
    x = quantise(np.linspace(-2, 2, 7, dtype=np.float32), format_named("int8@tensor"))
    np.testing.assert_array_equal(OPS["neg"].reference(x), -x.dequantise())
    np.testing.assert_array_equal(OPS["add"].reference(x, np.float32(1)), x.dequantise() + np.float32(1))


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("name", ["int8@tensor", "int8@channel0"])
def test_a_quantised_convolution_is_exact_before_its_scales(name, groups) -> None:
    draw = np.random.default_rng(0)
    x = quantise(draw.standard_normal((2, 4, 6, 5)).astype(np.float32), format_named("int8@tensor"))
    weight = draw.standard_normal((8, 4 // groups, 3, 2)).astype(np.float32)
    codes = quantise(weight, format_named(name))
    conv = OPS["conv"].reference
    whole = conv(x.levels, codes.levels, groups=groups, padding=1)
    assert whole.dtype == np.int64
    scale = codes.scale.reshape(-1, 1, 1) if codes.scale.size > 1 else codes.scale
    wanted = whole.astype(np.float32) * (x.scale * scale).astype(np.float32)
    np.testing.assert_array_equal(conv(x, codes, groups=groups, padding=1), wanted)


@pytest.mark.parametrize("name", ["int8@tensor", "int8@channel1", "int8@block4"])
def test_quantised_experts_agree_with_their_real_values(name) -> None:
    draw = np.random.default_rng(1)
    x = quantise(draw.standard_normal((7, 8)).astype(np.float32), format_named("int8@tensor"))
    weight = quantise(draw.standard_normal((3, 5, 8)).astype(np.float32), format_named(name))
    index = np.array([2, 0, 0, 2, 1, 2, 0])
    op = OPS["grouped_matmul"].reference
    made = op(x, weight, index, routing="index")
    np.testing.assert_allclose(
        made, op(x.dequantise(), weight.dequantise(), index, routing="index"), atol=1e-5
    )
