"""Mamba-2's chunks under the interpreter, against its recurrence in float64."""

from __future__ import annotations

import pytest
import torch

from siliform.graph_ir.errors import UserError
from siliform.kernels.gpu.ssd import ssd
from siliform.models.blocks.ssd import ssd_steps

#: Relative error by norm: decayed operands, states and results are rounded to the dtype, and the interpreter
#: rounds bf16 towards zero.
BOUNDS = {torch.float32: 2e-6, torch.float16: 1e-3, torch.bfloat16: 2e-2}


def steps(*operands):
    return ssd_steps(*(x.double() for x in operands)).numpy()


def apart(x, log_decay, b, c, segments):
    """The recurrence of each segment by itself, one sequence after another."""
    made = torch.zeros(x.shape, dtype=torch.float64)
    for sequence in range(len(x)):
        for segment in segments[sequence].unique():
            own = segments[sequence] == segment
            parts = (part[sequence : sequence + 1, own].double() for part in (x, log_decay, b, c))
            made[sequence, own] = ssd_steps(*parts)[0]
    return made.numpy()


@pytest.fixture
def normal():
    generator = torch.Generator().manual_seed(13)
    return lambda *shape: torch.randn(shape, generator=generator)


def operands(normal, tokens, heads=4, groups=2, width=21, states=35, dtype=torch.float32):
    x, decay = normal(2, tokens, heads, width), -normal(2, tokens, heads).abs()
    b, c = normal(2, tokens, groups, states), normal(2, tokens, groups, states)
    return tuple(part.to(dtype) for part in (x, decay, b, c))


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("dtype", BOUNDS)
def test_odd_lengths_widths_and_groups(dtype, groups, normal, inside, error):
    given = [inside(part) for part in operands(normal, 37, groups=groups, dtype=dtype)]
    made = ssd(*given, chunk=16)
    assert made.dtype is dtype
    assert error(made, steps(*given)) <= BOUNDS[dtype]


@pytest.mark.parametrize("tokens", [1, 16, 32, 33, 131])
def test_chunks_filled_and_not(tokens, normal, error):
    given = operands(normal, tokens, heads=1, groups=1, width=16, states=16)
    assert error(ssd(*given, chunk=32), steps(*given)) <= BOUNDS[torch.float32]


def test_strong_decays_do_not_overflow(normal, error):
    x, decay, b, c = operands(normal, 130, heads=1, groups=1)
    given = x, 40 * decay, b, c
    assert error(ssd(*given), steps(*given)) <= 1e-5


def test_decays_are_summed_in_fp32_beside_narrow_operands(normal, error):
    x, decay, b, c = operands(normal, 37, dtype=torch.float16)
    given = x, decay.float(), b, c
    assert error(ssd(*given, chunk=16), steps(*given)) <= BOUNDS[torch.float16]


@pytest.mark.parametrize("integer", [torch.int32, torch.int64])
def test_segments_begin_with_no_state(integer, normal, error):
    """Ends of segments within chunks, at their edges, and whole chunks without one."""
    given = operands(normal, 83, heads=2, groups=1, width=16, states=16)
    lengths = torch.tensor([[5, 11, 40, 1, 26], [33, 15, 16, 16, 3]])
    numbers = torch.arange(5).to(integer)
    segments = torch.stack([numbers.repeat_interleave(of) for of in lengths])
    made = ssd(*given, chunk=16, segments=segments)
    assert error(made, apart(*given, segments)) <= BOUNDS[torch.float32]


def test_no_tokens(normal):
    given = operands(normal, 0)
    assert ssd(*given).shape == given[0].shape


def test_heads_that_groups_do_not_divide_are_refused(normal):
    with pytest.raises(UserError) as told:
        ssd(*operands(normal, 4, heads=3, groups=2))
    assert str(told.value) == (
        "asked: the kernel ssd with 3 heads of values and 2 of keys\n"
        "found: each head of keys serves as many heads of values\n"
        "where: siliform.kernels.gpu.ssd\n"
        "next:  give as many heads of values as of keys, or a multiple"
    )


def test_segments_that_are_no_integers_are_refused(normal):
    with pytest.raises(UserError, match="it takes segments in int32, int64"):
        ssd(*operands(normal, 4), segments=torch.zeros(2, 4))
