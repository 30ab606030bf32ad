"""Hash codes, attention by codes, and hashed tables under the interpreter, against their references."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from siliform.graph_ir.errors import UserError
from siliform.graph_ir.ops import OPS
from siliform.kernels.dtypes import to_numpy
from siliform.kernels.gpu.hash_attention import hash_attention
from siliform.kernels.gpu.hash_codes import hash_codes
from siliform.kernels.gpu.hash_lookup import TILES, Tile, hash_lookup

#: Relative error by norm: one rounding of the result, and sums in fp32.
BOUNDS = {torch.bfloat16: 2.0**-9, torch.float16: 2.0**-11, torch.float32: 2e-6}
CLOSE = 1e-5  # of the sum of |weight|: a score within it of 0 may be of either sign in fp32


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(5)


def exact(op, *operands, **attributes):
    return OPS[op].reference(*(to_numpy(o).astype(np.float64) for o in operands), **attributes)


@pytest.mark.parametrize("dtype", BOUNDS)
@pytest.mark.parametrize(("ahead", "sets", "n"), [((2,), (3,), 70), ((), (), 5), ((2, 2), (), 65)])
def test_codes_are_those_of_the_reference(ahead, sets, n, dtype, generator):
    """25 anchors and 13 bits of tokens of 20 elements; where a score is as good as 0, either sign will do."""
    x = torch.randn(*ahead, *sets, n, 20, generator=generator).to(dtype)
    anchors = torch.randn(*sets, 25, 20, generator=generator).to(dtype)
    rate = torch.rand(sets, generator=generator) / 20
    means = torch.rand(*sets, 25, generator=generator) / 2
    weight = torch.randn(*sets, 13, 25, generator=generator)
    made = hash_codes(x, anchors, rate, means, weight)
    operands = [to_numpy(o).astype(np.float64) for o in (x, anchors, rate, means, weight)]
    token, support, fall, centre, factor = operands
    distance = np.square(token[..., :, None, :] - support[..., None, :, :]).sum(axis=-1)
    kernel = np.exp(-fall[..., None, None] * distance) - centre[..., None, :]
    score = kernel @ np.swapaxes(factor, -1, -2)
    clear = np.abs(score) > CLOSE * np.abs(factor).sum(axis=-1)[..., None, :]
    assert made.dtype is torch.int8
    assert clear.mean() > 0.99
    wanted = OPS["hash_codes"].reference(*operands)
    np.testing.assert_array_equal(made.numpy()[clear], wanted[clear])
    assert np.isin(made.numpy(), (-1, 1)).all()


def test_a_score_of_zero_gives_one_and_no_number_minus_one():
    x = torch.tensor([[0.0], [float("nan")]])
    made = hash_codes(x, torch.zeros(1, 1), torch.ones(()), torch.ones(1), torch.ones(2, 1))
    assert made.tolist() == [[1, 1], [-1, -1]]


@pytest.mark.parametrize("parts", [None, 1, 3])
@pytest.mark.parametrize("dtype", BOUNDS)
def test_attention_by_codes(dtype, parts, generator, error):
    """Keys that fill no step, 9 bits, a width that fills no tile; codes in int8 and in v's dtype."""
    q, k = (torch.randint(0, 2, (2, 3, n, 9), generator=generator) * 2 - 1 for n in (35, 150))
    v = (torch.randn(2, 3, 150, 40, generator=generator) + 1).to(dtype)
    made = hash_attention(q.to(torch.int8), k.to(dtype), v, parts=parts)
    assert made.dtype is dtype
    assert error(made, exact("hash_attention", q, k, v)) <= BOUNDS[dtype]


def test_values_wider_than_a_tile(generator, error):
    q, k = (torch.randint(0, 2, (n, 16), generator=generator, dtype=torch.int8) * 2 - 1 for n in (3, 20))
    v = torch.randn(20, 200, generator=generator)
    assert error(hash_attention(q, k, v), exact("hash_attention", q, k, v)) <= BOUNDS[torch.float32]


@pytest.mark.parametrize("tile", [None, *(Tile(t.tokens, t.tables, 32) for _, t in TILES)])
@pytest.mark.parametrize("dtype", BOUNDS)
def test_look_up(dtype, tile, generator, error):
    """7 tables of 2**5 rows, 5 no power of two; zeros of either sign are of the upper half."""
    x = torch.randn(3, 6, 35, generator=generator).to(dtype)
    x[0, 0, :4], x[0, 1, :4] = 0.0, -0.0
    tables = torch.randn(7, 32, 50, generator=generator).to(dtype)
    made = hash_lookup(x, tables, temperature=0.7, tile=tile)
    assert made.dtype is dtype
    assert error(made, exact("hash_lookup", x, tables, temperature=0.7)) <= BOUNDS[dtype]


def test_shapes_are_those_of_the_ops():
    with pytest.raises(UserError, match="attention over no key"):
        hash_attention(torch.ones(2, 4), torch.ones(0, 4), torch.ones(0, 3))
    with pytest.raises(UserError, match=r"x \(2, 9\) and tables \(2, 16, 5\)"):
        hash_lookup(torch.ones(2, 9), torch.ones(2, 16, 5))
    with pytest.raises(UserError, match=r"rate ends in \(1,\)"):
        hash_codes(torch.ones(2, 4), torch.ones(3, 4), torch.ones(1), torch.ones(3), torch.ones(5, 3))
