"""Tiled and persistent products under the interpreter, against the reference in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from siliform.graph_ir.errors import UserError
from siliform.graph_ir.ops import OPS
from siliform.kernels.dtypes import to_numpy
from siliform.kernels.gpu import matmul as matmuls
from siliform.kernels.gpu import split_k
from siliform.kernels.gpu.matmul import DTYPES, TILES, VARIANTS, Tile, linear, matmul, stages_for, tile_for

#: Relative error by norm: one rounding of the result (half a unit in the last place at most), and fp32 sums.
BOUNDS = {
    torch.bfloat16: 2.0**-9,
    torch.float16: 2.0**-11,
    torch.float32: 1e-6,
    torch.float8_e4m3fn: 1e-6,
    torch.int8: 0.0,
}
SMALL = Tile(32, 32, 64, 4, 2, group=2)
RESULT = {torch.int8: torch.int32, torch.float8_e4m3fn: torch.float32}


def operand(generator, *shape, dtype):
    if dtype is torch.int8:
        return torch.randint(-128, 128, shape, generator=generator, dtype=dtype)
    return torch.randn(shape, generator=generator).to(dtype)


def exact(op, *operands):
    return OPS[op].reference(*(to_numpy(o).astype(np.float64) for o in operands))


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(7)


@pytest.mark.parametrize("turned", [False, True], ids=["rows", "columns"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("variant", VARIANTS)
def test_products_of_odd_sizes(variant, dtype, turned, generator, inside, error):
    """Sizes that fill no tile; b contiguous along N or along K; the tiled kernel's operands inside poison."""
    m, n, k = (70, 48, 80) if variant == "persistent" else (67, 45, 83)
    a, b = operand(generator, m, k, dtype=dtype), operand(generator, k, n, dtype=dtype)
    wanted = exact("matmul", a, b)
    if turned:
        b = b.T.contiguous().T
    if variant != "persistent":
        a, b = inside(a), inside(b)
    made = matmul(a, b, variant=variant, tile=SMALL)
    assert made.dtype is RESULT.get(dtype, dtype)
    assert error(made, wanted) <= BOUNDS[dtype]


@pytest.mark.parametrize("fast", [False, True])
def test_sums_of_fp8_inside_and_outside_of_the_tensor_core(fast, generator, error):
    a, b = (operand(generator, 32, 32, dtype=torch.float8_e4m3fn) for _ in "ab")
    assert error(matmul(a, b, use_fast_accum=fast), exact("matmul", a, b)) <= 1e-6


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ((2, 3, 17, 20), (20, 19)),
        ((2, 3, 17, 20), (3, 20, 19)),
        ((17, 20), (2, 20, 19)),
        ((3, 1, 0, 20), (2, 20, 5)),
    ],
)
def test_leading_axes_broadcast(a, b, generator):
    a, b = operand(generator, *a, dtype=torch.float32), operand(generator, *b, dtype=torch.float32)
    torch.testing.assert_close(matmul(a, b, tile=SMALL), a @ b)


@pytest.mark.parametrize("variant", [None, "tiled", "split"])
def test_an_empty_sum_is_zero(variant):
    assert torch.equal(matmul(torch.zeros(3, 0), torch.zeros(0, 4), variant=variant), torch.zeros(3, 4))
    assert matmul(torch.zeros(0, 5), torch.zeros(5, 4), variant=variant).shape == (0, 4)


def test_a_long_sum_of_few_tiles_is_cut(generator, error, monkeypatch):
    """As many parts as processors have nothing else to do, which add up to the same; a batch of them too."""
    found = []
    whole = split_k.split_product
    monkeypatch.setattr(matmuls, "split_product", lambda *given: found.append(given[4]) or whole(*given))
    monkeypatch.setattr(matmuls, "multiprocessors", lambda device: 6)
    a, b = (operand(generator, 2, *shape, dtype=torch.float16) for shape in ((9, 399), (399, 21)))
    made = matmul(a, b, tile=SMALL)
    assert error(made, exact("matmul", a, b)) <= BOUNDS[torch.float16]
    assert found == [3]
    assert torch.equal(made, matmul(a, b, tile=SMALL))
    assert matmul(a[:1, :, :64], b[:1, :64], tile=SMALL).shape == (1, 9, 21)
    assert len(found) == 2  # two blocks of K are not cut


def test_parts_are_what_processors_have_left():
    """132 of an H100: 24 tiles leave room for five parts, of which 48 steps fill no more than 12."""
    assert split_k.parts_for(24, 100, 132) == 5
    assert split_k.parts_for(1, 48, 132) == 12
    assert split_k.parts_for(67, 10_000, 132) == 1
    assert split_k.parts_for(1, 10_000, 132) == split_k.MOST_PARTS
    assert split_k.parts_for(1, 3, 132) == 1


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.int8])
def test_linear_adds_a_bias(variant, dtype, generator, error):
    x, weight = operand(generator, 2, 35, 64, dtype=dtype), operand(generator, 48, 64, dtype=dtype)
    bias = operand(generator, 48, dtype=RESULT.get(dtype, dtype))
    made = linear(x, weight, bias, variant=variant, tile=SMALL)
    assert error(made, exact("linear", x, weight, bias)) <= BOUNDS[dtype]


def test_a_vector_goes_through_linear(generator):
    x, weight = torch.randn(20, generator=generator), torch.randn(7, 20, generator=generator)
    torch.testing.assert_close(linear(x, weight), weight @ x)


def test_the_default_tile_is_the_table_s():
    """The largest that occupies 132 multiprocessors, never more rows than the product has."""
    assert tile_for(4096, 4096, 1, 132) == TILES[0]
    assert (tile_for(1024, 2048, 1, 132).m, tile_for(1024, 2048, 1, 132).n) == (64, 128)
    assert tile_for(512, 512, 1, 132).m == 64
    assert tile_for(1, 4096, 1, 132).m == 16
    assert tile_for(20, 4096, 1, 132).m == 32
    assert tile_for(1, 8, 1, 132, TILES[3:4]).m == 64


def test_stages_are_those_that_shared_memory_holds():
    """Beside half a tile of 4-byte results an H100 has room for one stage less, and so has an A100."""
    assert stages_for(TILES[0], 227 * 1024, result_bytes=2) == TILES[0].num_stages == 4
    assert stages_for(TILES[0], 227 * 1024, result_bytes=4) == 3
    assert stages_for(TILES[0], 163 * 1024) == 3
    assert stages_for(TILES[0], 1024) == 1


def test_dtypes_that_differ_are_refused():
    with pytest.raises(UserError, match="they differ, and it takes them in one dtype"):
        matmul(torch.zeros(2, 2), torch.zeros(2, 2).half())


def test_a_dtype_without_a_kernel_is_refused():
    with pytest.raises(UserError, match="it takes a in bf16, fp16, fp32, int8, fp8_e4m3"):
        matmul(torch.zeros(2, 2).double(), torch.zeros(2, 2).double())


def test_operands_that_descriptors_cannot_hold_are_refused():
    with pytest.raises(UserError) as told:
        matmul(torch.zeros(2, 3), torch.zeros(3, 4), variant="persistent")
    assert str(told.value) == (
        "asked: the persistent kernel for a [1, 2, 3] of strides [6, 3, 1] and b [1, 3, 4] of strides "
        "[12, 4, 1]\n"
        "found: descriptors take one matrix each, not empty, contiguous along one axis, with its base and "
        "its other stride at multiples of 16 bytes\n"
        "where: siliform.kernels.gpu.matmul\n"
        "next:  pad the last axis, make the operands contiguous, or leave variant out"
    )
