"""The attention kernel against the op's reference in float64: patterns, masks, weights, layouts, refusals."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from siliform.graph_ir.errors import UserError
from siliform.graph_ir.ops import OPS
from siliform.kernels.dtypes import to_numpy
from siliform.kernels.gpu.attention import attention, attention_with_sums
from siliform.kernels.gpu.attention_operands import Tiles, tiles_for

#: What a weight rounded to the dtype (8 and 11 bits of mantissa) and the rounded result may come to, by norm.
BOUND = {torch.float32: 1e-6, torch.float16: 1e-3, torch.bfloat16: 8e-3}
SMALL = Tiles(16, 16, 4, 2)
PATTERNS = (
    {},
    {"pattern": "causal"},
    {"pattern": "causal", "window": 9},
    {"pattern": "causal", "window": 40},
    {"pattern": "window", "window": 21},
    {"pattern": "block", "block": 7, "density": 0.5},
    {"pattern": "block", "block": 16, "density": 0.2},
)


def operands(
    dtype=torch.float16, batch=(2,), heads=2, groups=1, queries=37, keys=53, width=40, value_width=24
):
    draw = torch.Generator().manual_seed(queries * keys + width)
    shapes = ((heads, queries, width), (groups, keys, width), (groups, keys, value_width))
    return [torch.randn(*batch, *shape, generator=draw).to(dtype) for shape in shapes]


def exact(q, k, v, mask=None, **attributes):
    held = [to_numpy(t).astype(np.float64) for t in (q, k, v)]
    return OPS["attention"].reference(*held, None if mask is None else mask.numpy(), **attributes)


@pytest.mark.parametrize("attributes", PATTERNS, ids=str)
@pytest.mark.parametrize("weights", ["softmax", "sigmoid", "softplus"])
def test_each_pattern_equals_the_reference(attributes, weights, error):
    form = {} if weights == "softmax" else {"weights": weights, "bias": -2.5}
    given = operands()
    made = attention(*given, **attributes, **form, tiles=SMALL)
    assert made.dtype is torch.float16
    assert error(made, exact(*given, **attributes, **form)) < BOUND[torch.float16]


@pytest.mark.parametrize("dtype", BOUND, ids=str)
@pytest.mark.parametrize(("power", "bias"), [(1, 0.0), (3, -30.0), (15, 40.0)])
def test_powers_of_softplus_neither_overflow_nor_vanish(power, bias, dtype, error):
    """Scores about 40 to the power of 15 are 1e24, and about -30 exp(-90): beyond fp16, and 1 + e is 1."""
    given = operands(dtype)
    mask = torch.randn(37, 53, generator=torch.Generator().manual_seed(2)) > 0
    mask[3] = False
    form = {"weights": "softplus", "power": power, "bias": bias}
    made = attention(*given, mask, **form, tiles=SMALL)
    assert error(made, exact(*given, mask, **form)) < 3 * BOUND[dtype]
    assert not made[..., 3, :].any()


@pytest.mark.parametrize("dtype", BOUND, ids=str)
@pytest.mark.parametrize("width", [16, 32, 72])
def test_dtypes_and_widths(dtype, width, error):
    given = operands(dtype, (1,), 2, 1, 19, 35, width, width)
    made = attention(*given, pattern="causal", tiles=SMALL)
    assert made.dtype is dtype
    assert error(made, exact(*given, pattern="causal")) < BOUND[dtype]


@pytest.mark.parametrize(("queries", "keys"), [(1, 1), (1, 50), (16, 16), (17, 33), (33, 16)])
def test_lengths_about_the_edges_of_tiles(queries, keys, error):
    given = operands(queries=queries, keys=keys)
    for attributes in PATTERNS[: 1 if queries > keys else None]:
        made = attention(*given, **attributes, tiles=SMALL)
        assert error(made, exact(*given, **attributes)) < BOUND[torch.float16]


@pytest.mark.parametrize("shape", [(53,), (2, 1, 53), (2, 1, 37, 53), (2, 2, 37, 1)])
@pytest.mark.parametrize("kind", ["boolean", "added"])
def test_a_mask_is_applied_on_top_of_the_pattern(shape, kind, error):
    draw = torch.Generator().manual_seed(len(shape))
    drawn = torch.randn(shape, generator=draw)
    mask = drawn > 0.3 if kind == "boolean" else drawn
    given = operands()
    for form in ({"pattern": "causal"}, {"pattern": "declared", "weights": "sigmoid"}):
        made = attention(*given, mask, **form, tiles=SMALL)
        assert error(made, exact(*given, mask, **form)) < BOUND[torch.float16]


def test_a_query_without_any_key_gives_zero_and_a_sum_of_nothing():
    q, k, v = operands()
    mask = torch.ones(37, 53, dtype=torch.bool)
    mask[5] = False
    made, sums = attention_with_sums(q, k, v, mask, tiles=SMALL)
    assert not made[:, :, 5].any()
    assert torch.isneginf(sums[:, :, 5]).all()
    assert torch.isfinite(sums[:, :, 6]).all()
    minus = torch.zeros(37, 53).masked_fill(~mask, -torch.inf)
    assert torch.equal(attention(q, k, v, minus, tiles=SMALL), made)


def test_sums_are_logarithms_of_what_divides():
    q, k, v = operands(torch.float32)
    _, sums = attention_with_sums(q, k, v, pattern="causal", tiles=SMALL)
    scores = q.double() @ k.double().repeat_interleave(2, 1).mT / 40**0.5
    seen = torch.ones(37, 53, dtype=torch.bool).tril(53 - 37)
    wanted = scores.masked_fill(~seen, -torch.inf).logsumexp(-1)
    torch.testing.assert_close(sums.double(), wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("scale", [-0.3, 0.0, 2.0])
def test_any_scale(scale, error):
    given = operands(torch.float32)
    made = attention(*given, scale=scale, pattern="causal", tiles=SMALL)
    assert error(made, exact(*given, scale=scale, pattern="causal")) < BOUND[torch.float32]


def test_great_scores_do_not_overflow(error):
    q, k, v = operands(torch.float32)
    made = attention(q * 100, k * 100, v, tiles=SMALL)
    assert error(made, exact(q * 100, k * 100, v)) < 1e-3  # scores of some 1e5, whose last bit is 2**-7


def test_tensors_of_any_layout(inside, error):
    q, k, v = (inside(t.transpose(-2, -3)).transpose(-2, -3) for t in operands())
    wide = v.mT.contiguous().mT
    assert q.stride(-1) == 1
    assert not q.is_contiguous()
    assert wide.stride(-1) != 1
    assert error(attention(q, k, wide, tiles=SMALL), exact(q, k, v)) < BOUND[torch.float16]


def test_leading_axes_and_none(error):
    given = operands(batch=(2, 3), heads=4, groups=2, queries=9, keys=20)
    mask = torch.randn(3, 1, 9, 20, generator=torch.Generator().manual_seed(1)) > 0
    assert error(attention(*given, mask), exact(*given, mask)) < BOUND[torch.float16]
    plain = operands(batch=(), queries=9, keys=20)
    assert error(attention(*plain), exact(*plain)) < BOUND[torch.float16]
    assert attention(*operands(batch=(0,))).shape == (0, 2, 37, 24)


def test_tiles_of_the_tables(error):
    given = operands(torch.bfloat16, (1,), 1, 1, 260, 260, 64, 64)
    tiles = tiles_for(1, 260, given[0], given[2])
    assert (tiles.queries, tiles.keys) == (128, 64)
    made = attention(*given, pattern="causal", window=150)
    assert error(made, exact(*given, pattern="causal", window=150)) < BOUND[torch.bfloat16]
    few = tiles_for(3, 5, given[0], given[2])
    assert few.queries == 16
    assert tiles_for(1, 250, given[0], given[2]).queries == 64, "two programs would leave a third idle"


def test_what_it_does_not_take_is_told():
    q, k, v = operands()
    with pytest.raises(UserError, match="attention with 'cosine' weights; there are softmax, sigmoid"):
        attention(q, k, v, weights="cosine")
    with pytest.raises(UserError) as refused:
        attention(*operands(width=260))
    assert str(refused.value) == (
        "asked: the kernel attention for heads of width 260\n"
        "found: it holds heads of at most 256 in shared memory\n"
        "where: siliform.kernels.gpu.attention\n"
        "next:  split the heads, or compute attention as two products and a softmax"
    )
    with pytest.raises(UserError) as refused:
        attention(q, k, v, pattern="declared", density=0.5)
    assert str(refused.value) == (
        "asked: attention of density 0.5\n"
        "found: no mask, which would say what pairs are meant\n"
        "where: siliform.kernels.gpu.attention\n"
        "next:  give the mask, or a pattern that follows from numbers"
    )
    with pytest.raises(UserError, match="widths or lengths differ"):
        attention(q, k[..., :-1], v)
