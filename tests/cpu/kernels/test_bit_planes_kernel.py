"""Packing of one- and two-bit levels, against the formats' own codes and their memory image."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from siliform.graph_ir import formats
from siliform.graph_ir.errors import UserError
from siliform.graph_ir.formats import format_named
from siliform.graph_ir.formats.packing import pack as image
from siliform.graph_ir.ops import OPS
from siliform.kernels.gpu.bit_planes import PLANES, Packed, pack, quantise
from siliform.models.quantise.weights import quantise_weight

SHAPES = [(3, 70), (1, 32), (2, 5, 33), (9, 129)]


def planes_of(codes, format):
    """What the formats' packing makes of each bit of the codes of a matrix, row by row, as int32 words."""
    rows, columns = codes.reshape(-1, codes.shape[-1]), -(-codes.shape[-1] // 32)
    padded = np.zeros((len(rows), 32 * columns), np.uint8)
    padded[:, : rows.shape[1]] = rows
    bit = format_named("binary01")
    planes = [image(padded >> i & 1, bit).view("<i4") for i in range(PLANES[format])]
    return np.stack(planes).reshape(PLANES[format], *codes.shape[:-1], columns)


def tokens(*shape):
    """Halves on purpose, which are the ties of all three formats, and zeros of both signs."""
    x = torch.randn(shape, generator=torch.Generator().manual_seed(3))
    x.view(-1)[:6] = torch.tensor([0.0, -0.0, 0.5, -0.5, 0.25, -0.25])
    return x


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("format", PLANES)
def test_words_are_the_formats_codes(format, shape, dtype, inside):
    x = tokens(*shape).to(dtype)
    packed = pack(inside(x), format)
    codes = format_named(format).encode(x.float().numpy())
    assert packed.shape == shape
    np.testing.assert_array_equal(packed.words.numpy(), planes_of(codes, format))


@pytest.mark.parametrize("format", ["binary", "binary01"])
@pytest.mark.parametrize("shape", [(), (70,)])
def test_a_threshold_is_that_of_binarise(format, shape):
    x, threshold = tokens(5, 70), tokens(70).roll(3).reshape(-1)[: int(np.prod(shape))].reshape(shape)
    levels = OPS["binarise"].reference(x.numpy(), threshold.numpy(), format=format)
    codes = format_named(format).encode(levels.astype(np.float64))
    np.testing.assert_array_equal(
        pack(x, format, threshold=threshold).words.numpy(), planes_of(codes, format)
    )


@pytest.mark.parametrize("format", PLANES)
@pytest.mark.parametrize("by_row", [False, True])
def test_quantised_as_scaled_formats_quantise(format, by_row):
    """A row of zeros has the scale 1."""
    x = tokens(6, 50)
    x[4] = 0
    wanted = formats.quantise(x.numpy(), format_named(f"{format}@{'channel0' if by_row else 'tensor'}"))
    made = quantise(x, format, by_row=by_row)
    codes = wanted.format.encode(wanted.levels)
    np.testing.assert_array_equal(made.words.numpy(), planes_of(codes, format))
    np.testing.assert_allclose(made.scale.numpy(), wanted.scale, rtol=1e-7)


def test_centred_rows_are_those_of_binary_weights():
    x = tokens(7, 50) + 0.7
    wanted = quantise_weight(x.numpy(), "binary")
    made = quantise(x, "binary", by_row=True, centred=True)
    np.testing.assert_array_equal(
        made.words.numpy(), planes_of(wanted.format.encode(wanted.levels), "binary")
    )
    np.testing.assert_allclose(made.scale.numpy(), wanted.scale, rtol=1e-7)


def test_rows_of_nothing():
    assert pack(torch.zeros(0, 5), "binary").words.shape == (1, 0, 1)
    assert pack(torch.zeros(5, 0), "ternary").words.shape == (2, 5, 0)


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        (
            lambda: quantise(torch.ones(2, 3, 4), "binary", by_row=True),
            "asked: [2, 3, 4] in binary with by_row=True, centred=False\n"
            "found: scales by row are those of a matrix, and binary rows alone are centred\n"
            "where: siliform.kernels.gpu.bit_planes\n"
            "next:  give a matrix [R, K], or leave out what its rows do not have",
        ),
        (
            lambda: pack(torch.ones(2, 2), "int4"),
            "asked: the kernel bit_planes with format='int4'\n"
            "found: format is one of 'binary', 'binary01', 'ternary'\n"
            "where: siliform.kernels.gpu.bit_planes\n"
            "next:  choose one of those, or leave format out",
        ),
        (
            lambda: Packed(torch.zeros(1, 3, 2, dtype=torch.int32), 65, "binary"),
            "asked: the kernel bit_planes with words of shape [1, 3, 2]\n"
            "found: beside the other operands it has the shape [1, 3, 3]\n"
            "where: siliform.kernels.gpu.bit_planes\n"
            "next:  give operands whose shapes agree; the function's docstring says how",
        ),
    ],
)
def test_what_cannot_be_packed_is_told(asked, text):
    with pytest.raises(UserError) as told:
        asked()
    assert str(told.value) == text
