"""Reads by index under the interpreter, bit for bit those of the references."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from siliform.graph_ir.errors import UserError
from siliform.graph_ir.ops import OPS
from siliform.kernels.dtypes import FORMAT_OF
from siliform.kernels.gpu.gather import embedding, gather, take


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(2)


def indices(generator, extent, *shape):
    """Of both ends of an axis."""
    return torch.randint(-extent, extent, shape, generator=generator)


@pytest.mark.parametrize("axis", [0, 1, 2, -1])
@pytest.mark.parametrize("smaller", [0, 1])
def test_gather_along_each_axis(axis, smaller, generator, inside):
    """The index as large as x along the other axes, or smaller; x is read inside poison."""
    x = torch.randn(5, 7, 9, generator=generator)
    shape = [extent - smaller for extent in x.shape]
    shape[axis] = 11
    index = indices(generator, x.shape[axis], *shape)
    made = gather(inside(x), index, axis=axis)
    np.testing.assert_array_equal(made.numpy(), OPS["gather"].reference(x.numpy(), index.numpy(), axis=axis))


@pytest.mark.parametrize("width", [1, 40, 300])
def test_rows_chosen_by_scores(width, generator):
    """The 3 best of 10 regions for each query, all of their width."""
    x = torch.randn(2, 10, width, generator=generator)
    best = torch.randn(2, 10, generator=generator).topk(3).indices
    made = gather(x, best[..., None].expand(2, 3, width), axis=1)
    np.testing.assert_array_equal(
        made.numpy(), np.take_along_axis(x.numpy(), best.numpy()[..., None], axis=1)
    )


@pytest.mark.parametrize("dtype", FORMAT_OF)
def test_every_dtype_is_moved_bit_by_bit(dtype, generator):
    x = torch.randint(0, 2, (4, 6), generator=generator).to(dtype)
    index = indices(generator, 4, 3, 6)
    assert torch.equal(gather(x, index, axis=0).float(), x.float().gather(0, index % 4))


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("shape", [(), (4,), (2, 3)])
def test_take(shape, axis, generator, inside):
    x = torch.randn(5, 7, 9, generator=generator)
    index = indices(generator, x.shape[axis], *shape).to(torch.int32)
    made = take(inside(x), index, axis=axis)
    np.testing.assert_array_equal(made.numpy(), OPS["take"].reference(x.numpy(), index.numpy(), axis=axis))


def test_embedding(generator):
    weight = torch.randn(12, 37, generator=generator).bfloat16()
    ids = torch.randint(0, 12, (2, 5), generator=generator)
    assert torch.equal(embedding(ids, weight), torch.nn.functional.embedding(ids, weight))


def test_nothing_is_gathered_of_nothing():
    assert gather(torch.ones(3, 4), torch.ones(0, 4, dtype=torch.int64), axis=0).shape == (0, 4)
    assert take(torch.ones(3, 0), torch.ones(2, dtype=torch.int64)).shape == (2, 0)


def test_an_index_beyond_the_axis_gives_zero():
    made = gather(torch.ones(3), torch.tensor([0, 3, -3, -4]), axis=0)
    assert made.tolist() == [1, 0, 1, 0]


def test_what_does_not_fit_is_told():
    with pytest.raises(UserError, match=r"index of shape \(2, 4\) for \(3, 3\) along axis 0"):
        gather(torch.ones(3, 3), torch.zeros(2, 4, dtype=torch.int64), axis=0)
    with pytest.raises(UserError, match="indices in fp32; they are integers"):
        take(torch.ones(3), torch.zeros(2))
