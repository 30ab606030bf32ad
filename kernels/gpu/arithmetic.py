"""Device functions that several kernels call, in a form that compiler and interpreter both take."""

from __future__ import annotations

import triton
import triton.language as tl

from siliform.kernels.gpu.device import interpreted

#: The interpreter holds bfloat16 as 16-bit integers and multiplies those, so that `dot` widens them for it.
INTERPRETED = tl.constexpr(interpreted())


@triton.jit
def widened(x):  # type: ignore[no-untyped-def]
    """Floats in fp32, integers as they are. The interpreter's own conversion from bf16 loses subnormals."""
    if INTERPRETED and x.dtype == tl.bfloat16:
        return (x.to(tl.int16, bitcast=True).to(tl.int32) << 16).to(tl.float32, bitcast=True)
    return x.to(tl.float32) if x.dtype.is_floating() else x


@triton.jit
def narrowed(x, dtype: tl.constexpr):  # type: ignore[no-untyped-def]
    """x in another type, to nearest even, as the interpreter's own conversion of fp32 to bf16 is not."""
    if INTERPRETED and dtype == tl.bfloat16:
        bits = x.to(tl.float32).to(tl.int32, bitcast=True)
        nearest = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16
        return tl.where(x == x, nearest, 0x7FC0).to(tl.int16).to(tl.bfloat16, bitcast=True)
    return x.to(dtype)


@triton.jit
def dot(a, b, acc, IMPRECISE: tl.constexpr = None, PRECISION: tl.constexpr = None):  # type: ignore[no-untyped-def]
    """``acc + a @ b`` in the type of `acc`: a [M, K] and b [K, N] of one type, K of 16 up (32 of 8 bits).

    fp32 operands are rounded as PRECISION says (`tl.dot`, input_precision), else not at all. fp8: after
    `IMPRECISE` terms the tensor core's sum is added to `acc` outside of it; None leaves it there.
    """
    if INTERPRETED and a.dtype == tl.bfloat16:
        return tl.dot(widened(a), widened(b), acc)
    if PRECISION is None:
        return tl.dot(a, b, acc, input_precision="ieee", max_num_imprecise_acc=IMPRECISE, out_dtype=acc.dtype)
    return tl.dot(a, b, acc, input_precision=PRECISION, out_dtype=acc.dtype)


@triton.jit
def popcount(x):  # type: ignore[no-untyped-def]
    """Ones in each 32-bit word, int32: pairs, nibbles and bytes added side by side.

    LLVM knows the ladder and makes one `popc` of it; the interpreter has no library function to call instead.
    """
    x = x - ((x >> 1) & 0x55555555)
    x = (x & 0x33333333) + ((x >> 2) & 0x33333333)
    x = (x + (x >> 4)) & 0x0F0F0F0F
    return ((x * 0x01010101) >> 24) & 0xFF
