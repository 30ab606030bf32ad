"""requantise and requantised_add bit for bit, halves and ends of the range among them."""

from __future__ import annotations

import pytest
import torch

from siliform.graph_ir.errors import UserError
from siliform.graph_ir.ops import OPS
from siliform.kernels.gpu.requantise import requantise, requantised_add

FORMATS = {"int8": torch.int8, "uint8": torch.uint8, "int16": torch.int16, "int32": torch.int32}


def integers(low, high, *shape, dtype=torch.int32, seed=0):
    return torch.randint(low, high, shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


def exact(op, *operands, **attributes):
    return OPS[op].reference(*(None if t is None else t.numpy() for t in operands), **attributes)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("each", [True, False], ids=["channels", "one"])
@pytest.mark.parametrize("biased", [True, False], ids=["bias", "none"])
def test_it_is_the_reference(format, each, biased):
    x = integers(-(2**20), 2**20, 3, 7, 70)
    shape = (70,) if each else ()
    multiplier, shift = integers(2**30, 2**31, *shape, seed=1), integers(36, 46, *shape, seed=2)
    bias = integers(-500, 500, 70, seed=3) if biased else None
    made = requantise(x, multiplier, shift, bias, format=format)
    assert made.dtype is FORMATS[format]
    assert (made.numpy() == exact("requantise", x, multiplier, shift, bias, format=format)).all()


def test_halves_go_to_even_and_ends_saturate():
    x = torch.tensor([[-5, -4, -3, -2, -1, 0, 1, 2, 3, 5, 508, 510, 600, -514, -1000]], dtype=torch.int32)
    one, two = torch.tensor(1, dtype=torch.int32), torch.tensor(2, dtype=torch.int32)
    assert requantise(x, one, two).tolist() == [[-1, -1, -1, 0, 0, 0, 0, 0, 1, 1, 127, 127, 127, -128, -128]]
    halves = torch.arange(-7, 8, dtype=torch.int32)[None]
    assert requantise(halves, one, one).tolist() == [[-4, -3, -2, -2, -2, -1, 0, 0, 0, 1, 2, 2, 2, 3, 4]]


@pytest.mark.parametrize("shift", [1, 31, 32, 61, 62])
def test_the_greatest_products(shift):
    x = torch.tensor([[-(2**31), 2**31 - 1, -1, 1, 0]], dtype=torch.int32)
    multiplier = torch.tensor(2**31 - 1, dtype=torch.int32)
    places = torch.tensor(shift, dtype=torch.int32)
    made = requantise(x, multiplier, places, format="int32")
    assert (made.numpy() == exact("requantise", x, multiplier, places, format="int32")).all()


def test_narrow_operands_long_rows_and_views():
    x = integers(-128, 128, 2, 3000, dtype=torch.int8)
    multiplier, shift = integers(1, 2**15, 3000, dtype=torch.int64, seed=1), integers(9, 16, 3000, seed=2)
    assert (requantise(x, multiplier, shift).numpy() == exact("requantise", x, multiplier, shift)).all()
    turned = integers(-(2**20), 2**20, 9, 4).T
    one = torch.tensor(2**30, dtype=torch.int32), torch.tensor(44, dtype=torch.int32)
    assert (requantise(turned, *one).numpy() == exact("requantise", turned, *one)).all()
    assert requantise(turned[:0], *one).shape == (0, 9)


@pytest.mark.parametrize("dtype", [torch.int8, torch.int16], ids=str)
@pytest.mark.parametrize("format", ["int8", "int16"])
def test_sums(dtype, format):
    ends = torch.iinfo(dtype)
    a, b = (integers(ends.min, ends.max + 1, 5, 300, dtype=dtype, seed=s) for s in (0, 1))
    for first, second, shift in ((2**31 - 1, 2**30, 33), (1, 1, 1), (0, 3, 2)):
        form = {"multiplier_a": first, "multiplier_b": second, "shift": shift, "format": format}
        made = requantised_add(a, b, **form)
        assert made.dtype is FORMATS[format]
        assert (made.numpy() == exact("requantised_add", a, b, **form)).all()


def test_what_it_does_not_take_is_told():
    x, one = integers(0, 9, 2, 5), torch.tensor(1)
    with pytest.raises(UserError) as refused:
        requantise(x, one, one, format="int4")
    assert str(refused.value) == (
        "asked: the kernel requantise into int4\n"
        "found: no torch dtype holds that format\n"
        "where: siliform.kernels.gpu.requantise\n"
        "next:  ask for int8 or another whole number of bytes, or run the op's reference"
    )
    with pytest.raises(UserError, match="requantise takes integers"):
        requantise(x.float(), one, one)
    with pytest.raises(UserError, match="integers of at most 16 bits are added"):
        requantised_add(x, x, multiplier_a=1, multiplier_b=1, shift=1)
