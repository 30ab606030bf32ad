"""The best of each row under the interpreter, in the reference's order, and rows gathered by it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from siliform.graph_ir.errors import UserError
from siliform.graph_ir.ops import OPS
from siliform.kernels.gpu.gather import gather
from siliform.kernels.gpu.top_k import DTYPES, top_k


@pytest.mark.parametrize("largest", [True, False])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("shape", "axis", "k"), [((5, 13), -1, 4), ((3, 40, 2), 1, 7), ((70,), 0, 1), ((2, 3), 1, 3)]
)
def test_the_order_is_the_references(shape, axis, k, dtype, largest):
    """Numbers drawn from few, so that many are equal, both zeros, infinities and NaN among them."""
    few = torch.tensor([0.0, -0.0, 1.5, -1.5, 3e-5, float("inf"), -float("inf"), float("nan")])
    chosen = torch.randint(0, len(few), shape, generator=torch.Generator().manual_seed(k))
    x = few[chosen].to(dtype)
    values, places = top_k(x, k=k, axis=axis, largest=largest)
    wanted, where = OPS["top_k"].reference(x.float().numpy(), k=k, axis=axis, largest=largest)
    assert values.dtype is dtype
    np.testing.assert_array_equal(values.float().numpy(), wanted)
    np.testing.assert_array_equal(places.numpy(), where)


def test_the_best_rows_are_gathered():
    scores, x = torch.randn(2, 20), torch.randn(2, 20, 6)
    _, places = top_k(scores, k=5)
    made = gather(x, places[..., None].expand(2, 5, 6), axis=1)
    torch.testing.assert_close(made, x.take_along_dim(scores.topk(5).indices[..., None], 1), rtol=0, atol=0)


def test_none_of_a_row_and_none_of_no_row():
    assert [tuple(t.shape) for t in top_k(torch.ones(3, 4), k=0)] == [(3, 0), (3, 0)]
    assert [tuple(t.shape) for t in top_k(torch.ones(0, 4), k=2)] == [(0, 2), (0, 2)]


def test_a_row_too_long_is_refused():
    with pytest.raises(UserError) as told:
        top_k(torch.ones(1, 5000), k=2)
    assert str(told.value) == (
        "asked: the best 2 of 5000 elements\n"
        "found: a row is held in registers, 4096 elements at most\n"
        "where: siliform.kernels.gpu.top_k\n"
        "next:  use torch.topk, or choose among the best of each part of the row"
    )
