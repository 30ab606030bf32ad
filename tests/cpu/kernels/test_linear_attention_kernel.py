"""Linear attention under the interpreter, against all pairs of tokens in float64."""

from __future__ import annotations

import pytest
import torch

from siliform.graph_ir.errors import UserError
from siliform.kernels.gpu.linear_attention import ROWS, linear_attention, stretch_for
from siliform.models.blocks.linear_attention import TINY, features

#: Relative error by norm: features, sums that are read again and results are rounded to the dtype, and the
#: interpreter rounds bf16 towards zero.
BOUNDS = {torch.float32: 1e-6, torch.float16: 1e-3, torch.bfloat16: 2e-2}


def pairs(q, k, v, causal, normalised, feature="elu"):
    q, k, v = (x.double() for x in (q, k, v))
    if feature == "elu":
        q, k = features(q), features(k)
    weight = q @ k.mT
    weight = weight.tril() if causal else weight
    total = weight.sum(-1, keepdim=True) + TINY if normalised else 1
    return (weight @ v / total).numpy()


@pytest.fixture
def normal():
    generator = torch.Generator().manual_seed(11)
    return lambda *shape: torch.randn(shape, generator=generator)


@pytest.mark.parametrize("normalised", [True, False])
@pytest.mark.parametrize("causal", [False, True], ids=["all", "causal"])
@pytest.mark.parametrize("dtype", BOUNDS)
def test_odd_lengths_and_widths(dtype, causal, normalised, normal, inside, error):
    """Tokens that fill no chunk, widths that fill no tile, operands inside poison."""
    q, k, v = (inside(normal(2, 2, 37, width).to(dtype)) for width in (19, 19, 35))
    made = linear_attention(q, k, v, causal=causal, normalised=normalised, chunk=16)
    assert made.dtype is dtype
    assert error(made, pairs(q, k, v, causal, normalised)) <= BOUNDS[dtype]


@pytest.mark.parametrize("causal", [False, True], ids=["all", "causal"])
def test_features_made_outside(causal, normal, error):
    q, k, v = normal(1, 2, 21, 17).exp(), normal(1, 2, 21, 17).exp(), normal(1, 2, 21, 16)
    made = linear_attention(q, k, v, causal=causal, features=None, chunk=16)
    assert error(made, pairs(q, k, v, causal, True, None)) <= 1e-6


@pytest.mark.parametrize("chunk", [16, 32, 64, 128])
@pytest.mark.parametrize("tokens", [1, 16, 65])
def test_chunks_of_every_size(chunk, tokens, normal, error):
    q, k, v = (normal(1, 1, tokens, 16).half() for _ in "qkv")
    made = linear_attention(q, k, v, causal=True, chunk=chunk)
    assert error(made, pairs(q, k, v, True, True)) <= BOUNDS[torch.float16]


def test_widths_of_several_tiles_and_heads_behind_tokens(normal, error):
    """c and d above a tile's 64 columns; operands [B, N, H, c] seen as [B, H, N, c]."""
    q, k, v = (normal(1, 33, 2, width).transpose(1, 2) for width in (70, 70, 81))
    for causal in (False, True):
        made = linear_attention(q, k, v, causal=causal, chunk=16)
        assert error(made, pairs(q, k, v, causal, True)) <= 1e-6


def test_stretches_are_added_up(normal, error):
    """One head on three multiprocessors: six stretches are wanted, of whole tiles; queries are fewer."""
    q, k, v = normal(1, 1, 5, 16), normal(1, 1, 3 * ROWS + 7, 16), normal(1, 1, 3 * ROWS + 7, 16)
    assert stretch_for(1, 3 * ROWS + 7, 3) == ROWS
    assert error(linear_attention(q, k, v), pairs(q, k, v, False, True)) <= 1e-6


def test_no_more_stretches_than_occupy_the_gpu():
    assert stretch_for(1000, 4096, 132) == 4096
    assert stretch_for(33, 4096, 132) == 512
    assert stretch_for(33, 4090, 132) == 512


def test_no_tokens():
    none = torch.zeros(1, 2, 0, 16)
    assert linear_attention(none, none, none).shape == none.shape
    assert linear_attention(none, none, none, causal=True).shape == none.shape
    assert linear_attention(torch.ones(1, 2, 3, 16), none, none, normalised=False).abs().max() == 0


def test_causal_queries_have_the_keys_tokens():
    with pytest.raises(UserError) as told:
        linear_attention(torch.zeros(1, 1, 3, 16), *(torch.zeros(1, 1, 4, 16) for _ in "kv"), causal=True)
    assert str(told.value) == (
        "asked: the kernel linear_attention with q of shape [1, 1, 3, 16]\n"
        "found: beside the other operands it has the shape [1, 1, 4, 16]\n"
        "where: siliform.kernels.gpu.linear_attention\n"
        "next:  give operands whose shapes agree; the function's docstring says how"
    )


def test_operands_of_three_axes_are_refused():
    flat = torch.zeros(1, 4, 16)
    with pytest.raises(UserError) as told:
        linear_attention(flat, flat, flat)
    assert str(told.value) == (
        "asked: the kernel linear_attention with q of shape [1, 4, 16]\n"
        "found: it takes four axes, such as batch, heads, tokens and width\n"
        "where: siliform.kernels.gpu.linear_attention\n"
        "next:  add axes of extent 1 with Tensor.unsqueeze"
    )


def test_a_chunk_that_no_tile_holds_is_refused():
    x = torch.zeros(1, 1, 4, 16)
    with pytest.raises(UserError, match="chunk is one of 16, 32, 64\n"):
        linear_attention(x, x, x, causal=True, chunk=48)
