"""Products of few tiles and long sums: K is cut into parts, so that every multiprocessor has some of it.

`partial` sums one part of K for one tile of the result; `added` adds the parts up, always in the same order,
so that a result is the same bits in every run, as with sums by atomic additions it would not be. What that
costs is one more kernel and the parts written and read in fp32 (int32 of integers). Sources: Stream-K, arXiv
2301.03598, section 3.2 (fixed split), and the law of products in arch/gpu/product.py, which cuts K as well.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl

from siliform.kernels.gpu.aot import Build
from siliform.kernels.gpu.arithmetic import dot, narrowed, widened

ADDED = 1024  # elements of the result that one program adds up
#: Steps of K that a part has at least: fewer do not outweigh the kernel that adds the parts.
LEAST_STEPS = 4
MOST_PARTS = 32


@triton.jit
def partial(  # type: ignore[no-untyped-def]
    a, b, parts, m, n, k, steps,
    a_lead, a_row, a_column, b_lead, b_row, b_column,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr, SUM: tl.constexpr,
    IMPRECISE: tl.constexpr,
):  # fmt: skip
    """parts [P, L, m, n] of a [L, m, k] b [L, k, n]: program (tile of L, part) sums `steps` blocks of K."""
    rows, columns = tl.cdiv(m, BLOCK_M), tl.cdiv(n, BLOCK_N)
    lead = (tl.program_id(0) // (rows * columns)).to(tl.int64)
    row, column = tl.program_id(0) % (rows * columns) // columns, tl.program_id(0) % columns
    # Rows beyond the last begin anew at the first: what they give is not stored, and no mask is needed.
    at_m = ((row * BLOCK_M + tl.arange(0, BLOCK_M)) % m).to(tl.int64)
    at_n = ((column * BLOCK_N + tl.arange(0, BLOCK_N)) % n).to(tl.int64)
    first = tl.program_id(1) * steps * BLOCK_K
    end = tl.minimum(first + steps * BLOCK_K, k)
    at_k = first + tl.arange(0, BLOCK_K)
    from_a = a + lead * a_lead + at_m[:, None] * a_row + at_k[None, :].to(tl.int64) * a_column
    from_b = b + lead * b_lead + at_k[:, None].to(tl.int64) * b_row + at_n[None, :] * b_column
    total = tl.zeros((BLOCK_M, BLOCK_N), SUM)
    for start in range(first, end, BLOCK_K):
        own = start + tl.arange(0, BLOCK_K)
        x = tl.load(from_a, mask=own[None, :] < end, other=0.0)
        y = tl.load(from_b, mask=own[:, None] < end, other=0.0)
        total = dot(x, y, total, IMPRECISE)
        from_a += BLOCK_K * a_column
        from_b += BLOCK_K * b_row
    to_m, to_n = row * BLOCK_M + tl.arange(0, BLOCK_M), column * BLOCK_N + tl.arange(0, BLOCK_N)
    before = tl.program_id(1).to(tl.int64) * (tl.num_programs(0) // (rows * columns)) + lead
    to = parts + before * m * n + to_m[:, None].to(tl.int64) * n + to_n[None, :]
    tl.store(to, total, mask=(to_m[:, None] < m) & (to_n[None, :] < n))


@triton.jit
def added(parts, bias, c, size, n, count, BLOCK: tl.constexpr, BIASED: tl.constexpr):  # type: ignore[no-untyped-def]
    """c [size] = the sum of parts [count, size], from the first to the last, and bias [n] of each row."""
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    from_parts = parts + at
    total = tl.load(from_parts, mask=at < size, other=0.0)
    for _ in range(1, count):
        from_parts += size
        total += tl.load(from_parts, mask=at < size, other=0.0)
    if BIASED:
        total += widened(tl.load(bias + at % n, mask=at < size, other=0.0))
    tl.store(c + at, narrowed(total, c.dtype.element_ty), mask=at < size)


def parts_for(tiles: int, steps: int, processors: int) -> int:
    """How many parts of K: as many as give every multiprocessor one tile's, none shorter than LEAST_STEPS.

    1 where tiles occupy more than half of the multiprocessors by themselves.
    """
    return max(1, min(processors // max(tiles, 1), steps // LEAST_STEPS, MOST_PARTS))


def split_product(
    a: torch.Tensor,
    b: torch.Tensor,
    bias: torch.Tensor | None,
    c: torch.Tensor,
    parts: int,
    named: dict[str, Any],
) -> None:
    """c [L, m, n] = a [L, m, k] b [L, k, n] + bias [n], c contiguous, k above 0, in `parts` of K.

    `named` are the constants of `partial` with num_warps and num_stages.
    """
    (lead, m, k), n = a.shape, b.shape[2]
    steps = triton.cdiv(triton.cdiv(k, named["BLOCK_K"]), parts)
    parts = triton.cdiv(k, steps * named["BLOCK_K"])
    kept = torch.int32 if named["SUM"] is tl.int32 else torch.float32
    held = c.new_empty((parts, *c.shape), dtype=kept)
    tiles = lead * triton.cdiv(m, named["BLOCK_M"]) * triton.cdiv(n, named["BLOCK_N"])
    partial[(tiles, parts)](a, b, held, m, n, k, steps, *a.stride(), *b.stride(), **named)
    added[(triton.cdiv(c.numel(), ADDED),)](
        held, bias, c, c.numel(), n, parts, BLOCK=ADDED, BIASED=bias is not None
    )


def _build(format: str, m: int, sum: Any, **more: Any) -> Build:
    strides = "a_lead:i32/16 a_row:i32/16 b_lead:i32/16 b_column:i32/16"
    signature = f"a:*{format} b:*{format} parts:*{'i32' if sum is tl.int32 else 'fp32'} "
    signature += f"m:i32 n:i32/16 k:i32/16 steps:i32 {strides}"
    bits = 16 if format == "bf16" else 8
    sizes = {"BLOCK_M": m, "BLOCK_N": 64, "BLOCK_K": 1024 // bits, "a_column": 1, "b_row": 1}
    return Build(
        partial,
        signature,
        {**sizes, "SUM": sum, "IMPRECISE": None, **more},
        4,
        4,
        90 if "fp8" in format else 80,
    )


#: What `siliform.kernels.gpu.aot` builds.
COMPILED = (
    _build("bf16", 16, tl.float32),
    _build("bf16", 64, tl.float32),
    _build("i8", 16, tl.int32),
    _build("fp8e4nv", 64, tl.float32, IMPRECISE=128),
    Build(
        added,
        "parts:*fp32 bias:*bf16 c:*bf16 size:i32 n:i32/16 count:i32",
        {"BLOCK": ADDED, "BIASED": True},
    ),
)
