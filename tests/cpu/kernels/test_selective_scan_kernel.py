"""Mamba's scan under the interpreter, against the op's reference in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from siliform.graph_ir.errors import UserError
from siliform.graph_ir.ops import OPS
from siliform.kernels.dtypes import to_numpy
from siliform.kernels.gpu.selective_scan import selective_scan

#: Relative error by norm: sums are in fp32, the result is rounded once (bf16 towards zero, interpreted).
BOUNDS = {torch.float32: 1e-6, torch.float16: 2.0**-11, torch.bfloat16: 2.0**-7}


def exact(*operands):
    held = (None if o is None else to_numpy(o).astype(np.float64) for o in operands)
    return OPS["selective_scan"].reference(*held)


@pytest.fixture
def operands():
    generator = torch.Generator().manual_seed(15)

    def normal(*shape):
        return torch.randn(shape, generator=generator)

    def made(length, width=3, states=5, dtype=torch.float32):
        u, delta = normal(2, width, length), normal(2, width, length).abs()
        b, c = normal(2, states, length), normal(2, states, length)
        wide = -normal(width, states).abs(), normal(width), normal(2, width, states)
        u, delta, b, c = (part.to(dtype) for part in (u, delta, b, c))
        return u, delta, wide[0], b, c, *wide[1:]

    return made


@pytest.mark.parametrize("steps", [16, 32, 64])
@pytest.mark.parametrize("dtype", BOUNDS)
def test_odd_lengths_widths_and_states(dtype, steps, operands, inside, error):
    given = [inside(part) for part in operands(37, dtype=dtype)]
    made = selective_scan(*given, steps=steps)
    assert made.dtype is dtype
    assert error(made, exact(*given)) <= BOUNDS[dtype]


@pytest.mark.parametrize("length", [1, 16, 17])
@pytest.mark.parametrize("kept", [5, 6, 7], ids=["neither", "skip", "initial"])
def test_without_what_is_optional(kept, length, operands, error):
    given = operands(length)
    if kept == 7:
        given = (*given[:5], None, given[6])
    assert error(selective_scan(*given[:kept]), exact(*given[:kept])) <= BOUNDS[torch.float32]


def test_strong_decays_forget(operands, error):
    u, delta, a, b, c, d, initial = operands(20)
    given = u, 100 * delta, 100 * a, b, c, d, initial
    assert error(selective_scan(*given), exact(*given)) <= BOUNDS[torch.float32]


def test_channels_that_fill_no_block_and_single_states(operands, error):
    given = operands(18, width=37, states=1)
    assert error(selective_scan(*given, steps=16), exact(*given)) <= BOUNDS[torch.float32]


def test_the_result_is_the_widest_of_u_delta_b_and_c(operands, error):
    u, *others = operands(17, dtype=torch.bfloat16)
    made = selective_scan(u.float(), *others)
    assert made.dtype is torch.float32
    assert error(made, exact(u, *others)) <= 1e-6


def test_no_steps(operands):
    given = operands(0)
    assert selective_scan(*given).shape == (2, 3, 0)


def test_a_stretch_of_another_length_is_refused(operands):
    with pytest.raises(UserError) as told:
        selective_scan(*operands(4), steps=48)
    assert str(told.value) == (
        "asked: the kernel selective_scan with steps=48\n"
        "found: steps is one of None, 16, 32, 64, 128, 256\n"
        "where: siliform.kernels.gpu.selective_scan\n"
        "next:  choose one of those, or leave steps out"
    )


def test_shapes_that_do_not_fit_are_refused_by_the_op_s_rule(operands):
    u, delta, a, b, c, *_ = operands(4)
    with pytest.raises(UserError, match=r"b has shape \(2, 5, 3\)"):
        selective_scan(u, delta, a, b[:, :, :3], c)
