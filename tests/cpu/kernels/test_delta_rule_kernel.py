"""The delta rule in chunks under the interpreter, against its recurrence in float64."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from siliform.graph_ir.errors import UserError
from siliform.kernels.gpu.delta_rule import WAYS, delta_rule
from siliform.models.blocks.delta import delta_steps

#: Relative error by norm: the inverse, what tokens write, states and results are rounded to the dtype, and
#: the interpreter rounds bf16 towards zero.
BOUNDS = {torch.float32: 1e-6, torch.float16: 2e-3, torch.bfloat16: 3e-2}


def steps(*operands):
    return delta_steps(*(x.double() for x in operands)).numpy()


@pytest.fixture
def normal():
    generator = torch.Generator().manual_seed(14)
    return lambda *shape: torch.randn(shape, generator=generator)


def operands(normal, tokens, c=19, d=35, dtype=torch.float32):
    q, k = normal(2, 2, tokens, c), functional.normalize(normal(2, 2, tokens, c), dim=-1)
    v, beta = normal(2, 2, tokens, d), normal(2, 2, tokens).sigmoid()
    return tuple(part.to(dtype) for part in (q, k, v, beta))


@pytest.mark.parametrize(
    ("dtype", "chunk"), [(dtype, chunk) for dtype in BOUNDS for chunk in WAYS[dtype].chunks]
)
def test_odd_lengths_and_widths(dtype, chunk, normal, inside, error):
    """A chunk and a bit of another; operands inside poison."""
    given = [inside(part) for part in operands(normal, chunk + 7, dtype=dtype)]
    made = delta_rule(*given, chunk=chunk)
    assert made.dtype is dtype
    assert error(made, steps(*given)) <= BOUNDS[dtype]


@pytest.mark.parametrize("tokens", [1, 15, 16, 32, 49])
def test_chunks_filled_and_not(tokens, normal, error):
    given = operands(normal, tokens, 16, 16)
    assert error(delta_rule(*given, chunk=16), steps(*given)) <= BOUNDS[torch.float32]


def test_one_key_again_and_again(normal, error):
    """Each token overwrites the one before it: the triangle is full of ones, its powers are binomials."""
    q, k, v, beta = operands(normal, 70)
    given = [part.bfloat16() for part in (q, k[:, :, :1].expand_as(k), v, torch.ones_like(beta))]
    assert error(delta_rule(*given), steps(*given)) <= 0.1
    given = [part.float() for part in given]
    assert error(delta_rule(*given), steps(*given)) <= 1e-5


def test_corrections_beyond_what_is_held(normal, error):
    """beta up to 2 turns the state around at a key (an eigenvalue of -1), which does not grow."""
    q, k, v, beta = operands(normal, 70)
    assert error(delta_rule(q, k, v, 2 * beta), steps(q, k, v, 2 * beta)) <= 1e-5


def test_widths_of_several_tiles_and_heads_behind_tokens(normal, error):
    q, v = (normal(1, 35, 2, width).transpose(1, 2) for width in (70, 81))
    k = functional.normalize(normal(1, 35, 2, 70), dim=-1).transpose(1, 2)
    beta = normal(1, 35, 2).sigmoid().transpose(1, 2)
    assert error(delta_rule(q, k, v, beta, chunk=16), steps(q, k, v, beta)) <= BOUNDS[torch.float32]


def test_no_tokens(normal):
    given = operands(normal, 0)
    assert delta_rule(*given).shape == given[2].shape


def test_keys_wider_than_a_state_held_in_registers_are_refused(normal):
    with pytest.raises(UserError) as told:
        delta_rule(*operands(normal, 2, c=129))
    assert str(told.value) == (
        "asked: the kernel delta_rule with keys of 129 channels in torch.float32\n"
        "found: it holds a state's rows in registers, 128 of them at most\n"
        "where: siliform.kernels.gpu.delta_rule\n"
        "next:  take more heads of fewer channels, or run siliform.models.blocks.delta"
    )


def test_chunks_longer_than_their_inverse_is_made_for_are_refused(normal):
    with pytest.raises(UserError, match="chunk is one of None, 16, 32"):
        delta_rule(*operands(normal, 2), chunk=64)
