"""Decode attention in its three ways against the op's reference, and what each way leaves to be joined."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from siliform.graph_ir.errors import UserError
from siliform.graph_ir.ops import OPS
from siliform.kernels.dtypes import to_numpy
from siliform.kernels.gpu.attention_operands import Tiles
from siliform.kernels.gpu.lean_attention import VARIANTS, context_tiles, fixed_pieces, lean_attention
from siliform.models.mixers.lean import all_joined, joined, partial

BOUND = {torch.float32: 1e-6, torch.float16: 1e-3, torch.bfloat16: 8e-3}  # roundings of weights and results
SMALL = Tiles(16, 16, 4, 2)


def operands(dtype=torch.float16, batch=3, heads=4, groups=2, queries=1, keys=75, width=24, value_width=40):
    draw = torch.Generator().manual_seed(keys + queries)
    shapes = ((heads, queries, width), (groups, keys, width), (groups, keys, value_width))
    return [torch.randn(batch, *shape, generator=draw).to(dtype) for shape in shapes]


def exact(q, k, v, **attributes):
    held = (to_numpy(t).astype(np.float64) for t in (q, k, v))
    return OPS["attention"].reference(*held, **attributes)


@pytest.mark.parametrize("programs", [1, 4, 7, 200])
@pytest.mark.parametrize("variant", VARIANTS)
def test_each_way_gives_the_reference(variant, programs, error):
    given = operands()
    made = lean_attention(*given, variant=variant, programs=programs, tiles=SMALL)
    assert error(made, exact(*given)) < BOUND[torch.float16]


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("dtype", BOUND, ids=str)
def test_dtypes_with_tiles_of_the_rule(variant, dtype, error):
    given = operands(dtype, batch=1, keys=300, width=64, value_width=64)
    made = lean_attention(*given, variant=variant)
    assert made.dtype is dtype
    assert error(made, exact(*given)) < BOUND[dtype]


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_few_new_tokens_see_what_is_before_them(variant, error):
    given = operands(queries=5)
    for pattern in ("causal", "full"):
        made = lean_attention(*given, variant=variant, pattern=pattern, tiles=SMALL, programs=5)
        assert error(made, exact(*given, pattern=pattern)) < BOUND[torch.float16]


@pytest.mark.parametrize("lengths", [(75, 0, 33), (1, 16, 17), (0, 0, 0), (0, 75, 64)])
@pytest.mark.parametrize("variant", VARIANTS)
def test_caches_of_different_lengths(variant, lengths, error):
    q, k, v = operands(torch.float32)
    for row, length in enumerate(lengths):  # what lies behind the end must not be read
        k[row, :, length:], v[row, :, length:] = torch.nan, torch.nan
    made = lean_attention(
        q, k, v, torch.tensor(lengths, dtype=torch.int32), variant=variant, tiles=SMALL, programs=7
    )
    for row, length in enumerate(lengths):
        if not length:
            assert not made[row].any()
            continue
        cut = [t[row : row + 1, :, :length] for t in (k, v)]
        assert error(made[row : row + 1], exact(q[row : row + 1], *cut)) < BOUND[torch.float32]


@pytest.mark.parametrize(("heads", "groups", "keys"), [(1, 1, 1), (20, 1, 40), (5, 5, 33), (24, 1, 17)])
def test_heads_that_share_keys(heads, groups, keys, error):
    given = operands(batch=1, heads=heads, groups=groups, keys=keys)
    for variant in VARIANTS:
        made = lean_attention(*given, variant=variant, tiles=Tiles(32, 16, 4, 2), programs=3)
        assert error(made, exact(*given)) < BOUND[torch.float16]


def test_layouts_and_scales(inside, error):
    q, k, v = operands(torch.float32)
    cache = inside(k.transpose(1, 2)).transpose(1, 2)  # [B, S, G, c] as a serving system keeps it
    assert not cache.is_contiguous()
    for scale in (-0.4, 3.0):
        made = lean_attention(q, cache, v, scale=scale, tiles=SMALL)
        assert error(made, exact(q, k, v, scale=scale)) < BOUND[torch.float32]
    assert lean_attention(q[0], k[0], v[0], tiles=SMALL).shape == (4, 1, 40)
    assert lean_attention(q[:0], k[:0], v[:0]).shape == (0, 4, 1, 40)


def test_it_joins_as_the_mathematics_says():
    """Parts of `models/mixers/lean.py` over uneven stretches give what the kernel gives."""
    q, k, v = operands(torch.float32, batch=1, heads=2)
    parts = [partial(q * 24**-0.5, x, y) for x, y in zip(k.split(31, 2), v.split(31, 2), strict=True)]
    together = parts[0]
    for part in parts[1:]:
        together = joined(together, part)
    at_once = all_joined(tuple(torch.stack(x) for x in zip(*parts, strict=True)), 0)
    made = lean_attention(q, k, v, programs=3, tiles=SMALL)
    for _, total, weighted in (together, at_once):
        torch.testing.assert_close(made, weighted / total, rtol=1e-5, atol=1e-6)


def test_pieces_fill_the_programs_that_there_are():
    assert fixed_pieces(heads=264, tiles=100, programs=264) == 1
    assert fixed_pieces(heads=1, tiles=4, programs=264) == 4, "no more pieces than tiles"
    assert fixed_pieces(heads=56, tiles=1000, programs=264) == 9, "504 of 528; 4 fill 224 of 264, just below"
    assert fixed_pieces(heads=300, tiles=1000, programs=264) == 3, "900 of 1056; one fills 300 of 528"


def test_tiles_are_of_one_size_in_bytes():
    sizes = {64: 128, 128: 64, 256: 32}
    for width, keys in sizes.items():
        tiles = context_tiles(width, torch.bfloat16, 5)
        assert (tiles.queries, tiles.keys) == (16, keys)
        assert 2 * tiles.keys * width * 2 == 32 * 1024
    assert context_tiles(128, torch.float32, 40) == Tiles(64, 32, 8, 3)


def test_what_it_does_not_take_is_told():
    q, k, v = operands(heads=260, keys=9)
    with pytest.raises(UserError) as refused:
        lean_attention(q, k, v)
    assert str(refused.value) == (
        "asked: the kernel lean_attention for 130 queries that share a head of keys\n"
        "found: they are the rows of one tile, of which there are 128 at most\n"
        "where: siliform.kernels.gpu.lean_attention\n"
        "next:  use siliform.kernels.gpu.attention, which has tiles of queries"
    )
    q, k, v = operands()
    with pytest.raises(UserError, match="variant is one of 'stream_k', 'fixed_split', 'per_head'"):
        lean_attention(q, k, v, variant="split")
    with pytest.raises(UserError, match="pattern is one of 'full', 'causal'"):
        lean_attention(q, k, v, pattern="window")
    with pytest.raises(UserError, match=r"lengths of shape \[2\]"):
        lean_attention(q, k, v, torch.tensor([3, 4], dtype=torch.int32))
