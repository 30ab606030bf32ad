"""Products of packed one- and two-bit levels: exact sums, and the reference's scales to the last bit."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from siliform.graph_ir import formats
from siliform.graph_ir.errors import UserError
from siliform.graph_ir.formats import format_named
from siliform.graph_ir.ops import OPS
from siliform.kernels.gpu.binary_matmul import binary_matmul
from siliform.kernels.gpu.bit_planes import pack, quantise
from siliform.kernels.gpu.packed_product import VARIANTS
from siliform.kernels.gpu.ternary_matmul import ternary_matmul

PAIRS = [("binary", "binary"), ("binary01", "binary"), ("ternary", "ternary")]
#: Rows, rows, columns: fewer and more than a tile of each variant has, words that end inside a block.
SIZES = [(3, 70, 33), (67, 45, 200), (17, 5, 0)]


def product(a, b, *more, **options):
    return (ternary_matmul if a.format == "ternary" else binary_matmul)(a, b, *more, **options)


def levels(x, format):
    return format_named(format).round(x.double().numpy()).astype(np.int64)


@pytest.fixture
def draw():
    generator = torch.Generator().manual_seed(11)
    return lambda *shape: torch.randn(shape, generator=generator)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
@pytest.mark.parametrize(("m", "n", "k"), SIZES)
def test_sums_are_exact(m, n, k, pair, variant, draw):
    a, b = draw(m, k), draw(n, k)
    made = product(pack(a, pair[0]), pack(b, pair[1]), variant=variant)
    assert made.dtype is torch.int32
    np.testing.assert_array_equal(made.numpy(), levels(a, pair[0]) @ levels(b, pair[1]).T)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
@pytest.mark.parametrize("ahead", [(), (2, 3)])
def test_leading_axes(ahead, pair, variant, draw):
    """Of both operands, as heads have them, and of a alone, as tokens of a batch have them."""
    a, b = draw(2, 3, 7, 40), draw(*ahead, 18, 40)
    made = product(pack(a, pair[0]), pack(b, pair[1]), variant=variant)
    wanted = levels(a, pair[0]) @ np.swapaxes(levels(b, pair[1]), -1, -2)
    np.testing.assert_array_equal(made.numpy(), wanted)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
def test_scales_are_applied_as_the_reference_does(pair, variant, draw):
    """One scale for x, one for each row of the weight: linear of quantised operands, bit for bit."""
    x, weight = draw(2, 9, 100), draw(35, 100)
    packed = quantise(x, pair[0]), quantise(weight, pair[1], by_row=True)
    made = product(*packed, variant=variant)
    known = (
        formats.quantise(x.numpy(), format_named(f"{pair[0]}@tensor"), packed[0].scale.numpy()),
        formats.quantise(weight.numpy(), format_named(f"{pair[1]}@channel0"), packed[1].scale.numpy()),
    )
    np.testing.assert_array_equal(made.numpy(), OPS["linear"].reference(*known))


@pytest.mark.parametrize("variant", VARIANTS)
def test_rows_of_both_have_scales_and_a_bias_is_added(variant, draw, error):
    a, b, bias = draw(20, 64), draw(19, 64), draw(19)
    one, two = (quantise(x, "binary", by_row=True, centred=True) for x in (a, b))
    exact = [
        np.where(x.double() >= x.double().mean(-1, keepdim=True), 1, -1) * p.scale.double().numpy()[:, None]
        for x, p in ((a, one), (b, two))
    ]
    made = binary_matmul(one, two, bias, variant=variant, dtype=torch.bfloat16)
    assert made.dtype is torch.bfloat16
    assert error(made, exact[0] @ exact[1].T + bias.numpy()) <= 2.0**-9


@pytest.mark.parametrize("variant", VARIANTS)
def test_one_scale_is_enough(variant, draw, error):
    a, b = draw(4, 5, 40), draw(6, 40)
    scaled = quantise(b, "ternary", by_row=True)
    made = ternary_matmul(pack(a, "ternary"), scaled, variant=variant)
    known = formats.quantise(b.numpy(), format_named("ternary@channel0")).dequantise().astype(np.float64)
    assert error(made, levels(a, "ternary") @ known.T) <= 1e-6


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        (
            lambda x: binary_matmul(pack(x, "binary"), pack(x[:, :3], "binary")),
            "asked: the product of a [4, 5] and b [4, 3], both by rows\n"
            "found: their rows differ in length, or their leading axes differ\n"
            "where: siliform.kernels.gpu.binary_matmul\n"
            "next:  give a [..., M, K] and b [..., N, K] of equal leading axes, or b without any",
        ),
        (
            lambda x: ternary_matmul(pack(x, "ternary"), pack(x, "binary")),
            "asked: the kernel ternary_matmul with b.format='binary'\n"
            "found: b.format is one of 'ternary'\n"
            "where: siliform.kernels.gpu.ternary_matmul\n"
            "next:  choose one of those, or leave b.format out",
        ),
    ],
)
def test_what_does_not_fit_is_told(asked, text):
    with pytest.raises(UserError) as told:
        asked(torch.ones(4, 5))
    assert str(told.value) == text
