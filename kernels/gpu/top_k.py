"""top_k: the best elements of each row and where they are, in one pass over the row.

A row's elements become 64-bit keys whose order is the op's: the value's bits, turned so that integers order
as floats do, above the index, turned so that of equal elements the first comes first. Keys are distinct, so
that a sort needs not be stable. A program holds some rows; a row fits in registers. With `gather` this is
what attention to chosen blocks does, BiFormer's among others (Zhu et al., arXiv 2303.08810).
"""

from __future__ import annotations

from math import prod

import torch
import triton
import triton.language as tl

from siliform.kernels.gpu import checks
from siliform.kernels.gpu.aot import Build
from siliform.kernels.gpu.arithmetic import widened

DTYPES = (torch.bfloat16, torch.float16, torch.float32)
LONGEST = 4096  # elements of a row: 4 warps hold its keys in 64 registers each
HELD = 2048  # keys of a program with short rows: an assumption


@triton.jit
def best_of(  # type: ignore[no-untyped-def]
    x, values, places, rows, length, k,
    ROWS: tl.constexpr, LENGTH: tl.constexpr, K: tl.constexpr, LARGEST: tl.constexpr,
):  # fmt: skip
    """values and places [rows, k] of x [rows, length]; NaN counts as the largest."""
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    at = tl.arange(0, LENGTH)
    inside = (row[:, None] < rows) & (at[None, :] < length)
    value = widened(tl.load(x + row[:, None] * length + at[None, :], mask=inside, other=0.0))
    value = tl.where(value == 0, 0.0, value)  # zeros of either sign are equal
    bits = tl.where(value == value, value.to(tl.int32, bitcast=True), 0x7FFFFFFF)
    order = tl.where(bits < 0, bits ^ 0x7FFFFFFF, bits).to(tl.int64)
    if not LARGEST:
        order = -1 - order
    # Beyond the row: below every key, whose index part is above 0.
    key = tl.where(inside, (order << 32) | (LENGTH - at)[None, :], -(1 << 63))
    best = tl.topk(key, K)
    chosen = LENGTH - (best & 0xFFFFFFFF)
    place = tl.arange(0, K)
    known = (row[:, None] < rows) & (place[None, :] < k)
    found = tl.load(x + row[:, None] * length + chosen, mask=known, other=0.0)
    tl.store(values + row[:, None] * k + place[None, :], found, mask=known)
    tl.store(places + row[:, None] * k + place[None, :], chosen, mask=known)


def top_k(
    x: torch.Tensor, *, k: int, axis: int = -1, largest: bool = True
) -> tuple[torch.Tensor, torch.Tensor]:
    """The k largest (or smallest) elements along `axis`, best first, and their indices in int64.

    Of equal elements the one with the lowest index comes first. UserError for what does not fit, and for
    more than `LONGEST` elements along the axis.
    """
    checks.op_types("top_k", "top_k", x, k=k, axis=axis, largest=largest)
    checks.one_device("top_k", x=x)
    checks.dtypes("top_k", DTYPES, x=x)
    turned = x.movedim(axis, -1).contiguous()
    *lead, length = turned.shape
    if length > LONGEST:
        raise checks.refusal(
            "top_k",
            asked=f"the best {k} of {length} elements",
            found=f"a row is held in registers, {LONGEST} elements at most",
            next_step="use torch.topk, or choose among the best of each part of the row",
        )
    values, places = turned.new_empty((*lead, k)), turned.new_empty((*lead, k), dtype=torch.int64)
    block = triton.next_power_of_2(max(length, 1))
    rows, held = prod(lead), max(1, HELD // block)
    if values.numel():
        best_of[(triton.cdiv(rows, held),)](
            turned, values, places, rows, length, k,
            ROWS=held, LENGTH=block, K=triton.next_power_of_2(k), LARGEST=largest,
        )  # fmt: skip
    return values.movedim(-1, axis).contiguous(), places.movedim(-1, axis).contiguous()


COMPILED = tuple(
    Build(
        best_of,
        "x:*bf16 values:*bf16 places:*i64 rows:i32 length:i32 k:i32",
        {"ROWS": HELD // length, "LENGTH": length, "K": k, "LARGEST": True},
    )
    for length, k in ((64, 4), (1024, 16))
)
