"""Attention over listed blocks against the op's reference with the layout as a mask."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from siliform.graph_ir.errors import UserError
from siliform.graph_ir.ops import OPS
from siliform.kernels.dtypes import to_numpy
from siliform.kernels.gpu.attention_operands import Tiles
from siliform.kernels.gpu.block_sparse_attention import block_list, block_sparse_attention

BOUND = {torch.float16: 1e-3, torch.bfloat16: 8e-3}  # roundings of weights and results, by norm
FORMS = ({}, {"pattern": "causal"}, {"pattern": "causal", "window": 25}, {"pattern": "window", "window": 41})


def operands(dtype, queries, keys, width=40):
    draw = torch.Generator().manual_seed(queries)
    return [
        torch.randn(2, h, n, width, generator=draw).to(dtype) for h, n in ((4, queries), (2, keys), (2, keys))
    ]


def drawn(*shape, share=0.5):
    return torch.rand(shape, generator=torch.Generator().manual_seed(7)) < share


def exact(given, layout, edge, **form):
    queries, keys = given[0].shape[-2], given[1].shape[-2]
    mask = layout.repeat_interleave(edge, -1).repeat_interleave(edge, -2)[..., :queries, :keys]
    held = [to_numpy(t).astype(np.float64) for t in given]
    return OPS["attention"].reference(*held, mask.numpy(), **form)


@pytest.mark.parametrize("form", FORMS, ids=str)
@pytest.mark.parametrize("dtype", BOUND, ids=str)
def test_a_layout_is_a_mask(form, dtype, error):
    given, layout = operands(dtype, 50, 75), drawn(4, 5)
    blocks = block_list(layout, queries=50, keys=75, edge=16, **form)
    made = block_sparse_attention(*given, blocks)
    assert error(made, exact(given, layout, 16, **form)) < BOUND[dtype]


@pytest.mark.parametrize("tiles", [Tiles(16, 16, 4, 2), Tiles(32, 16, 4, 2), Tiles(16, 32, 4, 2)], ids=str)
def test_each_head_its_own_layout_and_tiles_smaller_than_blocks(tiles, error):
    given, layout = operands(torch.float16, 70, 70), drawn(4, 3, 3)
    blocks = block_list(layout, queries=70, keys=70, edge=32, pattern="causal")
    made = block_sparse_attention(*given, blocks, tiles=tiles, weights="sigmoid", bias=-2.0)
    form = {"pattern": "causal", "weights": "sigmoid", "bias": -2.0}
    assert error(made, exact(given, layout, 32, **form)) < BOUND[torch.float16]


def test_queries_without_a_block_give_zero():
    given, layout = operands(torch.float16, 40, 40), torch.ones(3, 3, dtype=torch.bool)
    layout[1] = False
    made = block_sparse_attention(*given, block_list(layout, queries=40, keys=40, edge=16))
    assert not made[:, :, 16:32].any()
    assert made[:, :, :16].any(-1).all()


def test_only_blocks_that_a_pattern_cuts_are_masked():
    causal = block_list(torch.ones(3, 3, dtype=torch.bool), queries=48, keys=48, edge=16, pattern="causal")
    assert causal.whole.tolist() == [[0, 1, 2]]
    assert causal.listed.tolist() == [[1, 2, 3]]
    assert [row[: n + 1] for n, row in enumerate(causal.order[0].tolist())] == [[0], [0, 1], [0, 1, 2]]
    ragged = block_list(torch.ones(3, 3, dtype=torch.bool), queries=48, keys=47, edge=16)
    assert ragged.whole.tolist() == [[2, 2, 2]]


def test_what_it_does_not_take_is_told():
    with pytest.raises(UserError) as refused:
        block_list(drawn(3, 3), queries=40, keys=80, edge=16)
    assert str(refused.value) == (
        "asked: the kernel block_sparse_attention with layout of shape [1, 3, 3]\n"
        "found: beside the other operands it has the shape [1, 3, 5]\n"
        "where: siliform.kernels.gpu.block_sparse_attention\n"
        "next:  give operands whose shapes agree; the function's docstring says how"
    )
    with pytest.raises(UserError, match="edge is one of 16, 32"):
        block_list(drawn(3, 3), queries=40, keys=40, edge=20)
    blocks = block_list(drawn(2, 3, 3), queries=40, keys=40, edge=16)
    with pytest.raises(UserError, match=r"with blocks of shape \[2, 3, 3\]"):
        block_sparse_attention(*operands(torch.float16, 40, 40), blocks)
