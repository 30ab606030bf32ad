"""ternary_matmul: products of levels -1, 0 and +1, packed as two planes of bits, both operands by rows.

The planes are the bits of the format's code: the low one marks what is not zero, the high one what is
negative. Of a word of each operand, ``both = low_a and low_b`` marks the products that are not zero and
``both and (high_a xor high_b)`` those that are -1, so that the sum is ``P(both) - 2 P(negative)``, P counting
ones. Sums are exact in int32, scales and a bias come behind them.

The variants are those of `binary_matmul`: `counted` counts ones, `spread` makes int8 levels of the bits in
registers and multiplies on the tensor cores. Scales by row: Ma et al., BitNet b1.58, 2024, equation 3.
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
    a, b, scale_a, scale_b, bias, c, m, n, k, words, a_lead, b_lead, a_plane, b_plane, a_step, b_step,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_W: tl.constexpr, STAGES: tl.constexpr,
    SCALED: tl.constexpr, BIASED: tl.constexpr,
):  # fmt: skip
    """c [L, m, n] of a [2, L, m, words] and b [2, L, n, words] by counting; *_plane: between planes."""
    rows = tl.cdiv(m, BLOCK_M)
    row = tl.program_id(0) % rows * BLOCK_M + tl.arange(0, BLOCK_M)
    column = tl.program_id(0) // rows * BLOCK_N + tl.arange(0, BLOCK_N)
    lead = tl.program_id(1).to(tl.int64)
    word = tl.arange(0, BLOCK_W)
    from_a = a + lead * a_lead + (row % m)[:, None].to(tl.int64) * words + word[None, :]
    from_b = b + lead * b_lead + (column % n)[:, None].to(tl.int64) * words + word[None, :]
    total = tl.zeros((BLOCK_M, BLOCK_N), tl.int32)
    for start in tl.range(0, words, BLOCK_W, num_stages=STAGES):
        inside = word[None, :] < words - start
        x, y = tl.load(from_a + start, mask=inside, other=0), tl.load(from_b + start, mask=inside, other=0)
        x_high = tl.load(from_a + a_plane + start, mask=inside, other=0)
        y_high = tl.load(from_b + b_plane + start, mask=inside, other=0)
        # Words first: a sum over the first axis stays inside each thread.
        both = tl.trans(x)[:, :, None] & tl.trans(y)[:, None, :]
        negative = both & (tl.trans(x_high)[:, :, None] ^ tl.trans(y_high)[:, None, :])
        total += tl.sum(popcount(both), axis=0) - 2 * tl.sum(popcount(negative), axis=0)
    store_scaled(
        total, c, scale_a, scale_b, bias, row, column, m, n, lead, a_step, b_step, SCALED, BIASED
    )  # fmt: skip


@triton.jit
def levels(low, high, ROWS: tl.constexpr, WORDS: tl.constexpr):  # type: ignore[no-untyped-def]
    """int8 [ROWS, 32 WORDS] of the two planes int32 [ROWS, WORDS]: the low bit less twice the high one."""
    bit = tl.arange(0, 32)[None, None, :]
    apart = ((low[:, :, None] >> bit) & 1) - 2 * ((high[:, :, None] >> bit) & 1)
    return tl.reshape(apart.to(tl.int8), (ROWS, 32 * WORDS))


@triton.jit
def spread(  # type: ignore[no-untyped-def]
    a, b, scale_a, scale_b, bias, c, m, n, k, words, a_lead, b_lead, a_plane, b_plane, a_step, b_step,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_W: tl.constexpr, STAGES: tl.constexpr,
    SCALED: tl.constexpr, BIASED: tl.constexpr,
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
        inside = word[None, :] < words - start
        x, y = tl.load(from_a + start, mask=inside, other=0), tl.load(from_b + start, mask=inside, other=0)
        x_high = tl.load(from_a + a_plane + start, mask=inside, other=0)
        y_high = tl.load(from_b + b_plane + start, mask=inside, other=0)
        x, y = levels(x, x_high, BLOCK_M, BLOCK_W), levels(y, y_high, BLOCK_N, BLOCK_W)
        total = dot(x, tl.trans(y), total)
    store_scaled(
        total, c, scale_a, scale_b, bias, row, column, m, n, lead, a_step, b_step, SCALED, BIASED
    )  # fmt: skip


def ternary_matmul(
    a: Packed,
    b: Packed,
    bias: torch.Tensor | None = None,
    *,
    variant: str | None = None,
    dtype: torch.dtype = torch.float32,
) -> torch.Tensor:
    """a [..., M, K] and b [..., N, K] in ternary, bias [N] -> [..., M, N].

    The result is int32 where neither operand has a scale, else of `dtype`. Leading axes are equal, or b has
    none. `variant` is ``counted`` or ``spread``; None counts where there are few rows.

    Raises
    ------
    UserError : formats or shapes that do not fit.
    """
    for name, operand in (("a", a), ("b", b)):
        checks.choice("ternary_matmul", f"{name}.format", operand.format, ("ternary",))
    made = launch("ternary_matmul", variant, a, b, bias, dtype)
    planes = (a.words.stride(0), b.words.stride(0))
    kernel = counted if made.variant == "counted" else spread
    kernel[made.grid](*made.arguments[:-2], *planes, *made.arguments[-2:], **made.constants)
    return made.result


COMPILED = tuple(
    build(kernel, few, "a_plane:i32/16 b_plane:i32/16")
    for kernel, few in ((counted, True), (counted, False), (spread, True), (spread, False))
)
