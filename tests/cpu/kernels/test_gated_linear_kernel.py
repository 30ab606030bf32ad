"""Gated linear attention under the interpreter, against its recurrence in float64."""

from __future__ import annotations

import pytest
import torch

from siliform.graph_ir.errors import UserError
from siliform.kernels.gpu.gated_linear import gated_linear
from siliform.models.blocks.gated_linear import gated_steps

#: Relative error by norm: decayed operands, states and results are rounded to the dtype, and the interpreter
#: rounds bf16 towards zero. fp32: exponents of sums of decays, which are themselves rounded.
BOUNDS = {torch.float32: 5e-6, torch.float16: 1e-3, torch.bfloat16: 2e-2}


def steps(q, k, v, log_gate, normalised):
    gate = log_gate if log_gate.ndim == 4 else log_gate.unsqueeze(-1).expand_as(k)
    return gated_steps(*(x.double() for x in (q, k, v, gate)), normalised).numpy()


@pytest.fixture
def normal():
    generator = torch.Generator().manual_seed(12)
    return lambda *shape: torch.randn(shape, generator=generator)


@pytest.mark.parametrize("normalised", [True, False])
@pytest.mark.parametrize("gates", [(19,), ()], ids=["key", "head"])
@pytest.mark.parametrize("dtype", BOUNDS)
def test_odd_lengths_and_widths(dtype, gates, normalised, normal, inside, error):
    """Two chunks and a bit, two parts to a chunk; operands and gates inside poison."""
    q, k = (inside(normal(1, 2, 71, 19).abs().to(dtype)) for _ in "qk")
    v = inside(normal(1, 2, 71, 35).to(dtype))
    gate = inside(-normal(1, 2, 71, *gates).abs().to(dtype))
    made = gated_linear(q, k, v, gate, normalised=normalised, chunk=32)
    assert made.dtype is dtype
    assert error(made, steps(q, k, v, gate, normalised)) <= BOUNDS[dtype]


@pytest.mark.parametrize("gates", [(16,), ()], ids=["key", "head"])
def test_strong_decays_do_not_overflow(gates, normal, error):
    """exp(40 * 64) is no number: neither a chunk's nor a part's decay may be taken back by itself."""
    q, k, v = (normal(1, 1, 130, 16) for _ in "qkv")
    gate = -40 * torch.rand(1, 1, 130, *gates, generator=torch.Generator().manual_seed(3))
    made = gated_linear(q, k, v, gate)
    assert error(made, steps(q, k, v, gate, False)) <= 1e-5


@pytest.mark.parametrize("gates", [(70,), ()], ids=["key", "head"])
def test_widths_of_several_tiles_and_heads_behind_tokens(gates, normal, error):
    q, k, v = (normal(1, 35, 2, width).transpose(1, 2) for width in (70, 70, 81))
    gate = -normal(1, 35, 2, *gates).abs().transpose(1, 2)
    assert error(gated_linear(q, k, v, gate, chunk=16), steps(q, k, v, gate, False)) <= BOUNDS[torch.float32]


def test_keys_of_one_channel(normal, error):
    q, k, v = (normal(1, 1, 20, width) for width in (1, 1, 3))
    gate = -normal(1, 1, 20, 1).abs()
    assert error(gated_linear(q, k, v, gate, chunk=16), steps(q, k, v, gate, False)) <= BOUNDS[torch.float32]


def test_no_tokens():
    none = torch.zeros(1, 2, 0, 16)
    assert gated_linear(none, none, none, none, normalised=True).shape == none.shape


def test_gates_of_another_shape_are_refused():
    x = torch.zeros(1, 1, 4, 16)
    with pytest.raises(UserError) as told:
        gated_linear(x, x, x, torch.zeros(1, 1, 4, 8))
    assert str(told.value) == (
        "asked: the kernel gated_linear with log_gate of shape [1, 1, 4, 8]\n"
        "found: beside the other operands it has the shape [1, 1, 4, 16]\n"
        "where: siliform.kernels.gpu.gated_linear\n"
        "next:  give operands whose shapes agree; the function's docstring says how"
    )
