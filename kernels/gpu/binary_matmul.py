"""binary_matmul: products of one-bit operands, packed 32 levels a word, both by rows.

==================  =======================  ============================================
a, b                levels                   sum over K
==================  =======================  ============================================
binary, binary      {-1, +1} x {-1, +1}      ``K - 2 P(a xor b)``
binary01, binary    {0, 1} x {-1, +1}        ``2 P(a and b) - P(a)``
==================  =======================  ============================================

P counts ones. Sums are exact in int32; scales, one for all of an operand or one for each of its rows (BiPFT,
arXiv 2312.08937), are multiplied behind them, and a bias is added, as `graph_ir.arithmetic` says.

Two kernels: `counted` counts ones on the ordinary units, a handful of words at a time for every pair of rows
of a tile, which costs little traffic and 1/32 of the additions; `spread` makes int8 levels of the bits in
registers and multiplies them on the tensor cores, which is meant for products of many rows.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl

from siliform.kernels.gpu import checks
from siliform.kernels.gpu.arithmetic import dot, popcount
from siliform.kernels.gpu.bit_planes import Packed
from siliform.kernels.gpu.packed_product import build, launch, store_scaled


@triton.jit
def counted(  # type: ignore[no-untyped-def]
    a, b, scale_a, scale_b, bias, c, m, n, k, words, a_lead, b_lead, a_step, b_step,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_W: tl.constexpr, STAGES: tl.constexpr,
    SIGNS: tl.constexpr, SCALED: tl.constexpr, BIASED: tl.constexpr,
):  # fmt: skip
    """c [L, m, n] of a [L, m, words] and b [L, n, words] by counting; SIGNS: a is of -1, +1, else of 0, 1."""
    rows = tl.cdiv(m, BLOCK_M)
    row = tl.program_id(0) % rows * BLOCK_M + tl.arange(0, BLOCK_M)
    column = tl.program_id(0) // rows * BLOCK_N + tl.arange(0, BLOCK_N)
    lead = tl.program_id(1).to(tl.int64)
    word = tl.arange(0, BLOCK_W)
    from_a = a + lead * a_lead + (row % m)[:, None].to(tl.int64) * words + word[None, :]
    from_b = b + lead * b_lead + (column % n)[:, None].to(tl.int64) * words + word[None, :]
    total = tl.zeros((BLOCK_M, BLOCK_N), tl.int32)
    ones = tl.zeros((BLOCK_M, 1), tl.int32)
    for start in tl.range(0, words, BLOCK_W, num_stages=STAGES):
        x = tl.load(from_a + start, mask=word[None, :] < words - start, other=0)
        y = tl.load(from_b + start, mask=word[None, :] < words - start, other=0)
        # Words first: a sum over the first axis stays inside each thread.
        x, y = tl.trans(x)[:, :, None], tl.trans(y)[:, None, :]
        if SIGNS:
            total += tl.sum(popcount(x ^ y), axis=0)
        else:
            total += tl.sum(popcount(x & y), axis=0)
            ones += tl.sum(popcount(x), axis=0)
    total = k - 2 * total if SIGNS else 2 * total - ones
    store_scaled(
        total, c, scale_a, scale_b, bias, row, column, m, n, lead, a_step, b_step, SCALED, BIASED
    )  # fmt: skip


@triton.jit
def levels(words, ROWS: tl.constexpr, WORDS: tl.constexpr, SIGNS: tl.constexpr):  # type: ignore[no-untyped-def]
    """int8 [ROWS, 32 WORDS] of int32 [ROWS, WORDS]: each bit as 0 and 1, or as -1 and +1 where SIGNS."""
    apart = (words[:, :, None] >> tl.arange(0, 32)[None, None, :]) & 1
    if SIGNS:
        apart = apart * 2 - 1
    return tl.reshape(apart.to(tl.int8), (ROWS, 32 * WORDS))


@triton.jit
def spread(  # type: ignore[no-untyped-def]
    a, b, scale_a, scale_b, bias, c, m, n, k, words, a_lead, b_lead, a_step, b_step,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_W: tl.constexpr, STAGES: tl.constexpr,
    SIGNS: tl.constexpr, SCALED: tl.constexpr, BIASED: tl.constexpr,
):  # fmt: skip
    """The same by products of int8 on the tensor cores."""
    rows = tl.cdiv(m, BLOCK_M)
    row = tl.program_id(0) % rows * BLOCK_M + tl.arange(0, BLOCK_M)
    column = tl.program_id(0) // rows * BLOCK_N + tl.arange(0, BLOCK_N)
    lead = tl.program_id(1).to(tl.int64)
    word = tl.arange(0, BLOCK_W)
    from_a = a + lead * a_lead + (row % m)[:, None].to(tl.int64) * words + word[None, :]
    from_b = b + lead * b_lead + (column % n)[:, None].to(tl.int64) * words + word[None, :]
    total = tl.zeros((BLOCK_M, BLOCK_N), tl.int32)
    for start in tl.range(0, words, BLOCK_W, num_stages=STAGES):
        x = tl.load(from_a + start, mask=word[None, :] < words - start, other=0)
        y = tl.load(from_b + start, mask=word[None, :] < words - start, other=0)
        x, y = levels(x, BLOCK_M, BLOCK_W, SIGNS), levels(y, BLOCK_N, BLOCK_W, True)
        total = dot(x, tl.trans(y), total)
    if SIGNS:  # where both rows are filled up, -1 meets -1
        total -= tl.cdiv(words, BLOCK_W) * BLOCK_W * 32 - k
    store_scaled(
        total, c, scale_a, scale_b, bias, row, column, m, n, lead, a_step, b_step, SCALED, BIASED
    )  # fmt: skip


def binary_matmul(
    a: Packed,
    b: Packed,
    bias: torch.Tensor | None = None,
    *,
    variant: str | None = None,
    dtype: torch.dtype = torch.float32,
) -> torch.Tensor:
    """a [..., M, K] in binary or binary01 and b [..., N, K] in binary, bias [N] -> [..., M, N].

    The result is int32 where neither operand has a scale, else of `dtype`. Leading axes are equal, or b has
    none. `variant` is ``counted`` or ``spread``; None counts where there are few rows.

    Raises
    ------
    UserError : formats or shapes that do not fit.
    """
    checks.choice("binary_matmul", "a.format", a.format, ("binary", "binary01"))
    checks.choice("binary_matmul", "b.format", b.format, ("binary",))
    made = launch("binary_matmul", variant, a, b, bias, dtype)
    kernel = counted if made.variant == "counted" else spread
    kernel[made.grid](*made.arguments, SIGNS=a.format == "binary", **made.constants)
    return made.result


COMPILED = tuple(
    build(kernel, few, SIGNS=signs)
    for kernel, few, signs in (
        (counted, True, True),
        (counted, False, True),
        (counted, False, False),
        (spread, True, True),
        (spread, False, True),
    )
)
