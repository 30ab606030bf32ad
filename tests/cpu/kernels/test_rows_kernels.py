"""Norms, softmax, rotary and activations against the ops' references in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from siliform.graph_ir.errors import UserError
from siliform.graph_ir.ops import OPS
from siliform.kernels.dtypes import to_numpy
from siliform.kernels.gpu import activations, norms, rows
from siliform.kernels.gpu.row_tiles import row_tile
from siliform.kernels.gpu.softmax import _softmax

#: One rounding of the result: half a unit in the last place of 8 and 11 bits, and of fp32 some of them.
BOUND = {torch.float32: 2e-6, torch.float16: 5e-4, torch.bfloat16: 4e-3}
#: Exponentials that overflow, and logarithms of 0, are meant: NumPy, which interprets, warns of them.
pytestmark = pytest.mark.filterwarnings("ignore:.* encountered in:RuntimeWarning")
SHAPES = [(5, 70), (3, 1), (1, 768), (2, 3, 129), (17, 64)]


def normal(*shape, dtype=torch.float32, seed=0, mean=0.0):
    return (torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * 2 + mean).to(dtype)


def exact(op, *operands, **attributes):
    held = (None if t is None else to_numpy(t).astype(np.float64) for t in operands)
    return OPS[op].reference(*held, **attributes)


@pytest.mark.parametrize("dtype", BOUND, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_norms(dtype, shape, error):
    x, weight, bias = (
        normal(*shape, dtype=dtype, mean=3.0),
        normal(shape[-1], seed=1),
        normal(shape[-1], seed=2),
    )
    for operands in ((x,), (x, weight.to(dtype), bias), (x, None, bias.to(dtype))):
        made = rows.layer_norm(*operands, eps=1e-3)
        assert made.dtype is dtype
        if shape[-1] > 1:
            assert error(made, exact("layer_norm", *operands, eps=1e-3)) < BOUND[dtype]
        elif len(operands) == 1:
            assert not made.any(), "of one element nothing is left but its mean"
    for operands in ((x,), (x, weight)):
        assert error(rows.rms_norm(*operands), exact("rms_norm", *operands)) < BOUND[dtype]


def test_norms_over_several_axes_and_of_views(inside, error):
    x, weight = normal(4, 3, 5, 6), normal(5, 6, seed=1)
    assert error(rows.layer_norm(x, weight, dims=2), exact("layer_norm", x, weight, dims=2)) < 2e-6
    view = inside(normal(7, 33)[:, :20])
    assert view.stride(0) > 20
    assert error(rows.rms_norm(view), exact("rms_norm", view)) < 2e-6
    turned = normal(6, 5).T
    assert error(rows.layer_norm(turned), exact("layer_norm", turned)) < 2e-6
    assert rows.layer_norm(normal(0, 5)).shape == (0, 5)


def test_a_mean_much_greater_than_the_deviation_does_not_cancel(error):
    x = normal(4, 300, mean=1000.0)
    assert error(rows.layer_norm(x), exact("layer_norm", x)) < 1e-4  # x itself is known to 2**-14 here


@pytest.mark.parametrize("dtype", BOUND, ids=str)
def test_the_norm_of_a_sum_is_that_of_what_is_stored(dtype):
    x, residual = normal(6, 70, dtype=dtype), normal(6, 70, dtype=dtype, seed=1)
    weight, bias = normal(70, seed=2), normal(70, seed=3)
    made, summed = rows.residual_layer_norm(x, residual, weight, bias)
    # The interpreter cuts bf16 off where a GPU rounds to nearest.
    torch.testing.assert_close(summed, x + residual, rtol=2**-7 if dtype is torch.bfloat16 else 0, atol=0)
    assert torch.equal(made, rows.layer_norm(summed, weight, bias))
    made, again = rows.residual_rms_norm(x, residual, weight)
    assert torch.equal(again, summed)
    assert torch.equal(made, rows.rms_norm(summed, weight))


@pytest.mark.parametrize("dtype", BOUND, ids=str)
@pytest.mark.parametrize(("shape", "axis"), [((5, 70), -1), ((3, 1), 1), ((2, 33, 7), 1), ((40, 6), 0)])
@pytest.mark.parametrize("widest", [16384, 16], ids=["whole", "long"])
def test_softmax_along_any_axis(dtype, shape, axis, widest, error):
    x = normal(*shape, dtype=dtype)
    made = _softmax("softmax", x, axis, widest)
    assert made.is_contiguous()
    assert error(made, exact("softmax", x, axis=axis)) < BOUND[dtype]
    if shape[axis] > 1:
        assert (
            error(_softmax("log_softmax", x, axis, widest), exact("log_softmax", x, axis=axis)) < BOUND[dtype]
        )


@pytest.mark.parametrize("widest", [16384, 16], ids=["whole", "long"])
def test_softmax_of_infinities_and_great_numbers(widest):
    x = normal(4, 40)
    x[0] = -torch.inf
    x[1, ::2] = -torch.inf
    x[2] *= 1e4
    made = _softmax("softmax", x, -1, widest)
    assert made[0].isnan().all()
    np.testing.assert_allclose(made[1:].numpy(), exact("softmax", x[1:]), rtol=1e-5, atol=1e-7)
    wanted = exact("log_softmax", x[1:])
    np.testing.assert_allclose(
        _softmax("log_softmax", x, -1, widest)[1:].numpy(), wanted, rtol=1e-5, atol=1e-2
    )


@pytest.mark.parametrize("interleaved", [False, True])
@pytest.mark.parametrize("dtype", BOUND, ids=str)
def test_rotary_with_angles_that_broadcast(interleaved, dtype, error):
    x = normal(2, 3, 9, 24, dtype=dtype)
    for shape in ((9, 24), (1, 1, 9, 24), (2, 1, 9, 24), (24,), (2, 3, 9, 24)):
        cos, sin = normal(*shape, dtype=dtype, seed=1), normal(*shape, dtype=dtype, seed=2)
        made = rows.rotary(x, cos, sin, interleaved=interleaved)
        assert made.dtype is dtype
        assert error(made, exact("rotary", x, cos, sin, interleaved=interleaved)) < BOUND[dtype]


def test_rotary_of_any_layout_and_rank(inside, error):
    cos, sin = normal(9, 24, seed=1), normal(9, 24, seed=2)
    heads = inside(normal(2, 9, 3, 24)).transpose(1, 2)
    for x in (heads, normal(9, 24), normal(2, 2, 3, 9, 24), normal(24, 9).T):
        assert error(rows.rotary(x, cos, sin), exact("rotary", x, cos, sin)) < 2e-6
    mixed = rows.rotary(normal(9, 24, dtype=torch.bfloat16), cos, sin)
    assert mixed.dtype is torch.float32, "the op promotes, as pointwise ops do"


@pytest.mark.parametrize("dtype", BOUND, ids=str)
@pytest.mark.parametrize("name", ["gelu", "quick_gelu", "silu", "sigmoid", "relu"])
def test_activations(name, dtype, error):
    x = normal(3, 700, dtype=dtype, mean=1.0)
    x[0, :4] = torch.tensor([0.0, 60.0, -60.0, -200.0])
    made = getattr(rows, name)(x)
    assert made.dtype is dtype
    assert error(made, exact(name, x)) < BOUND[dtype]
    assert torch.isfinite(made).all()


def test_gelu_approximated(error):
    x = normal(3, 50)
    assert error(rows.gelu(x, approximate="tanh"), exact("gelu", x, approximate="tanh")) < 2e-6
    with pytest.raises(UserError, match="gelu with approximate='sigmoid'"):
        rows.gelu(x, approximate="sigmoid")


@pytest.mark.parametrize("kind", activations.KINDS)
def test_a_gate_and_what_it_lets_through_are_halves_of_one_row(kind, error):
    projected = normal(5, 3, 2 * 1030, dtype=torch.bfloat16)
    gate, up = projected.chunk(2, -1)
    plain = kind.removesuffix("_tanh")
    form = {"approximate": "tanh"} if plain != kind else {}
    wanted = exact(plain, gate, **form) * to_numpy(up).astype(np.float64)
    assert error(rows.gated(gate, up, activation=kind), wanted) < BOUND[torch.bfloat16]


def test_rows_are_put_together_where_there_are_many():
    few, many = (row_tile(n, 768, torch.device("cpu")) for n in (2, 10_000))
    assert (few.rows, few.columns) == (1, 1024)
    assert (many.rows, many.columns) == (4, 1024)
    assert row_tile(10_000, 60_000, torch.device("cpu")).num_warps == 32


def test_what_they_do_not_take_is_told():
    with pytest.raises(UserError) as refused:
        rows.layer_norm(torch.zeros(1, norms.WIDEST_ROW + 1))
    assert str(refused.value) == (
        "asked: a norm over rows of 65537 elements\n"
        "found: a program holds rows of at most 65536\n"
        "where: siliform.kernels.gpu.norms\n"
        "next:  use the op's reference, or torch's norm"
    )
    with pytest.raises(UserError, match=r"residual of shape \[3, 5\]"):
        rows.residual_rms_norm(normal(2, 5), normal(3, 5))
    with pytest.raises(UserError, match=r"with x of torch\.float64"):
        rows.softmax(normal(2, 5).double())
    with pytest.raises(UserError, match="axis 2 of a tensor with 2 axes"):
        rows.softmax(normal(2, 5), axis=2)
    with pytest.raises(UserError, match="does not fall into pairs"):
        rows.rotary(normal(2, 5), normal(2, 5), normal(2, 5))
    with pytest.raises(UserError, match="activation is one of 'gelu'"):
        rows.gated(normal(2, 5), normal(2, 5), activation="tanh")
