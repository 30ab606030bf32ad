"""Packed sequences: attention of each by itself against the op's reference, rows moved there and back."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from siliform.graph_ir.errors import UserError
from siliform.graph_ir.ops import OPS
from siliform.kernels.dtypes import to_numpy
from siliform.kernels.gpu.attention_operands import Tiles
from siliform.kernels.gpu.packing import pack, starts_of, unpack
from siliform.kernels.gpu.varlen_attention import varlen_attention

BOUND = {torch.float32: 1e-6, torch.float16: 1e-3, torch.bfloat16: 8e-3}  # roundings of weights and results
LENGTHS = (16, 1, 0, 37, 18)
SMALL = Tiles(16, 16, 4, 2)


def operands(dtype=torch.float16, lengths=LENGTHS, key_lengths=None, heads=4, groups=2, width=24):
    draw = torch.Generator().manual_seed(len(lengths))
    rows, keys = sum(lengths), sum(key_lengths or lengths)
    shapes = ((rows, heads, width), (keys, groups, width), (keys, groups, width + 8))
    return [torch.randn(shape, generator=draw).to(dtype) for shape in shapes]


def exact(q, k, v, lengths=LENGTHS, key_lengths=None, **form):
    """The op's reference of each sequence, one behind the other."""
    cut = zip(q.split(lengths), k.split(key_lengths or lengths), v.split(key_lengths or lengths), strict=True)
    made = []
    for parts in cut:
        if not len(parts[0]):
            continue
        held = [to_numpy(t).astype(np.float64).swapaxes(0, 1) for t in parts]
        made.append(OPS["attention"].reference(*held, **form).swapaxes(0, 1))
    return np.concatenate(made)


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"pattern": "causal"},
        {"pattern": "causal", "window": 9},
        {"pattern": "window", "window": 21},
        {"weights": "sigmoid", "bias": -2.0, "pattern": "causal"},
        {"scale": -0.4},
    ],
    ids=str,
)
def test_each_sequence_is_by_itself(form, error):
    given = operands()
    made = varlen_attention(*given, starts_of(torch.tensor(LENGTHS)), **form, tiles=SMALL)
    assert error(made, exact(*given, **form)) < BOUND[torch.float16]


@pytest.mark.parametrize("dtype", BOUND, ids=str)
def test_dtypes_with_tiles_of_the_tables(dtype, error):
    given = operands(dtype)
    made = varlen_attention(*given, starts_of(torch.tensor(LENGTHS)), pattern="causal")
    assert made.dtype is dtype
    assert error(made, exact(*given, pattern="causal")) < BOUND[dtype]


def test_keys_of_other_lengths_as_behind_a_cache(error):
    lengths, key_lengths = (3, 1, 20), (30, 1, 33)
    given = operands(lengths=lengths, key_lengths=key_lengths)
    starts, key_starts = (starts_of(torch.tensor(x)) for x in (lengths, key_lengths))
    made = varlen_attention(*given, starts, key_starts, pattern="causal", tiles=SMALL)
    assert error(made, exact(*given, lengths, key_lengths, pattern="causal")) < BOUND[torch.float16]


def test_queries_before_all_keys_give_zero(error):
    lengths, key_lengths = (40, 5), (7, 5)
    given = operands(torch.float32, lengths=lengths, key_lengths=key_lengths)
    starts, key_starts = (starts_of(torch.tensor(x)) for x in (lengths, key_lengths))
    for form in (
        {"pattern": "causal"},
        {"pattern": "causal", "window": 3},
        {"pattern": "window", "window": 5},
    ):
        made = varlen_attention(*given, starts, key_starts, **form, tiles=SMALL)
        assert not made[: 40 - 7 - 2].any()
        if form["pattern"] == "causal":
            late = [given[0][33:], *given[1:]]
            assert error(made[33:], exact(*late, (7, 5), key_lengths, **form)) < BOUND[torch.float32]


def test_one_sequence_and_none(error):
    given = operands(lengths=(50,))
    made = varlen_attention(*given, starts_of(torch.tensor([50])), tiles=SMALL)
    assert error(made, exact(*given, (50,))) < BOUND[torch.float16]
    empty = varlen_attention(*operands(lengths=()), torch.zeros(1, dtype=torch.int32))
    assert empty.shape == (0, 4, 32)


def test_views_out_of_one_projection(error):
    """q, k and v as a linear layer leaves them: parts of one row."""
    rows = torch.randn(72, 3, 4, 24, generator=torch.Generator().manual_seed(0)).half()
    q, k, v = rows.unbind(1)
    made = varlen_attention(q, k, v, starts_of(torch.tensor(LENGTHS)), tiles=SMALL)
    assert error(made, exact(q, k, v)) < BOUND[torch.float16]


@pytest.mark.parametrize("shape", [(), (5,), (3, 7), (1030,)])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.int8], ids=str)
def test_rows_are_packed_and_unpacked(shape, dtype):
    draw = torch.Generator().manual_seed(3)
    padded = torch.randint(-99, 99, (5, 37, *shape), generator=draw).to(dtype)
    starts = starts_of(torch.tensor(LENGTHS))
    made = pack(padded, starts)
    wanted = torch.cat([row[:length] for row, length in zip(padded, LENGTHS, strict=True)])
    assert torch.equal(made, wanted)
    assert torch.equal(pack(padded, starts, rows=72), wanted)
    back = unpack(made, starts, longest=40)
    assert back.shape == (5, 40, *shape)
    for row, given, length in zip(back, padded, LENGTHS, strict=True):
        assert torch.equal(row[:length], given[:length])
        assert not row[length:].any()


def test_what_it_does_not_take_is_told():
    given, starts = operands(), starts_of(torch.tensor(LENGTHS))
    with pytest.raises(UserError) as refused:
        varlen_attention(*given, starts.long())
    assert str(refused.value) == (
        "asked: the kernel varlen_attention with starts of torch.int64\n"
        "found: it takes starts in int32\n"
        "where: siliform.kernels.gpu.varlen_attention\n"
        "next:  convert it with Tensor.to, or run the op's reference on the CPU"
    )
    with pytest.raises(UserError, match="pattern is one of 'full', 'causal', 'window'"):
        varlen_attention(*given, starts, pattern="block")
    with pytest.raises(UserError, match=r"key_starts of shape \[3\]"):
        varlen_attention(*given, starts, starts[:3])
    with pytest.raises(UserError, match=r"starts of shape \[6\]"):
        pack(torch.zeros(3, 4), starts)
