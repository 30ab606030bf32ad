"""Weight-only products of four bits under the interpreter, against linear of the dequantised weight."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from siliform.graph_ir.errors import UserError
from siliform.graph_ir.formats import format_named, quantise
from siliform.graph_ir.ops import OPS
from siliform.kernels.dtypes import to_numpy
from siliform.kernels.gpu.fp4_matmul import BLOCKS, TILES, Tile, Weight, fp4_matmul, splits_for

SMALL = Tile(16, 32, 32, 4, 2)
ROUNDED = 2.0**-8  # bf16's relative error: of the result, and of a scaled level; of a scale in fp32 as well


def case(m, n, k, format):
    generator = torch.Generator().manual_seed(m + n + k)
    x = torch.randn(m, k, generator=generator).bfloat16()
    weight = quantise(torch.randn(n, k, generator=generator).numpy(), format_named(format))
    exact = to_numpy(x).astype(np.float64) @ weight.dequantise().astype(np.float64).T
    return x, weight, exact


@pytest.mark.parametrize("splits", [1, 3])
@pytest.mark.parametrize(
    "format",
    [
        "int4@channel0",
        "fp4_e2m1@channel0",
        "int4@block32",
        "int4@block16:bf16",
        "int4@block128:fp16",
        "fp4_e2m1@block32:e8m0",
        "fp4_e2m1@block64",
        "int4@block32:e8m0",
    ],
)
def test_products_of_odd_sizes(format, splits, inside, error):
    """K fills neither a block nor a tile of K, and no size a tile; x is read inside poison."""
    x, weight, exact = case(21, 37, 150, format)
    made = fp4_matmul(inside(x), Weight.of(weight), tile=SMALL, splits=splits)
    assert made.dtype is torch.bfloat16
    assert error(made, exact) <= ROUNDED


@pytest.mark.parametrize("element", ["int4", "fp4_e2m1"])
def test_every_level_and_least_scale_is_exact(element, error):
    """The unit matrix brings out the weight: all 16 codes with powers of two, from the least one on."""
    levels = format_named(element).decode(np.arange(16, dtype=np.uint8))
    rows = np.stack([np.roll(levels, i) for i in range(6)]).repeat(2, axis=1)
    scales = np.ldexp(1.0, np.array([-127, -126, -64, 0, 1, 99]))[:, None]
    weight = quantise(rows * scales, format_named(f"{element}@block32:e8m0"), scales)
    made = fp4_matmul(torch.eye(32).bfloat16(), Weight.of(weight), tile=SMALL)
    np.testing.assert_array_equal(made.double().numpy(), (rows * scales).T)


@pytest.mark.parametrize("tokens", [1, 20])
def test_the_default_tiles_and_a_bias(tokens, error):
    """More parts of K than one, leading axes of tokens."""
    x, weight, exact = case(tokens, 24, 512, "int4@block32:bf16")
    bias = torch.randn(24).bfloat16()
    made = fp4_matmul(x.view(1, tokens, 512), Weight.of(weight), bias)
    assert made.shape == (1, tokens, 24)
    assert error(made[0], exact + to_numpy(bias).astype(np.float64)) <= ROUNDED


def test_it_is_linear_of_the_quantised_weight(error):
    x, weight, _ = case(5, 16, 64, "fp4_e2m1@block32:e8m0")
    wanted = OPS["linear"].reference(x.float().numpy(), weight)
    assert error(fp4_matmul(x, Weight.of(weight), tile=SMALL), wanted) <= ROUNDED


def test_tiles_and_parts_of_the_table():
    assert [t.k % b for _, t in TILES for b in BLOCKS if b <= t.k] == [0] * sum(
        b <= t.k for _, t in TILES for b in BLOCKS
    )
    assert splits_for(tiles=64, steps=32, processors=132) == 2
    assert splits_for(tiles=200, steps=32, processors=132) == 1
    assert splits_for(tiles=1, steps=6, processors=132) == 3
    assert splits_for(tiles=1, steps=1, processors=132) == 1


@pytest.mark.parametrize(
    ("shape", "format"), [((4, 33), "int4@channel0"), ((4, 32), "int4@tensor"), ((4, 32), "int8@block32")]
)
def test_a_weight_of_another_form_is_refused(shape, format):
    with pytest.raises(UserError) as told:
        Weight.of(quantise(np.ones(shape), format_named(format)))
    assert str(told.value) == (
        f"asked: a weight {list(shape)} in {format}\n"
        "found: this kernel takes matrices of an even width in int4 or fp4_e2m1 with scales of axis 0 or of "
        "blocks of 16, 32, 64, 128\n"
        "where: siliform.kernels.gpu.fp4_matmul\n"
        "next:  quantise it to int4@block32, fp4_e2m1@block32:e8m0 or int4@channel0, say"
    )


def test_tokens_of_another_width_or_dtype_are_refused():
    weight = Weight.of(quantise(np.ones((4, 32)), format_named("int4@channel0")))
    with pytest.raises(UserError, match=r"with x of shape \[2, 16\]"):
        fp4_matmul(torch.ones(2, 16).bfloat16(), weight)
    with pytest.raises(UserError, match="it takes x in bf16"):
        fp4_matmul(torch.ones(2, 32), weight)
