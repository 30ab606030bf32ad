"""Batches without padding: rows of sequences of different lengths moved one behind the other, and back.

ByteTransformer (Zhai et al., arXiv 2210.03052, section III.C) drops padding before the first layer and puts
it back behind the last; what lies between runs on rows that exist. `starts` is the prefix sum of the lengths,
int32 [B + 1]: sequence b's rows are those from ``starts[b]`` up to ``starts[b + 1]``.
"""

from __future__ import annotations

from math import prod

import torch
import triton
import triton.language as tl

from siliform.kernels.gpu import checks
from siliform.kernels.gpu.aot import Build

KERNEL = "packing"
ROWS = 4  # rows a program moves, an assumption: 4 of 1024 are 32 elements a thread
MOST_COLUMNS = 1024  # of a row that a program moves at a time


def starts_of(lengths: torch.Tensor) -> torch.Tensor:
    """Prefix sums of lengths [B], int32 [B + 1]."""
    sums = torch.zeros(lengths.shape[0] + 1, dtype=torch.int32, device=lengths.device)
    sums[1:] = lengths.cumsum(0)
    return sums


@triton.jit
def move_rows(  # type: ignore[no-untyped-def]
    given, starts, made, width, longest,
    PACK: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """From [B, longest, width] to [rows, width] where PACK, else back, with 0 behind the ends."""
    batch = tl.program_id(1)
    first = tl.load(starts + batch)
    length = tl.load(starts + batch + 1) - first
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    padded = (tl.cast(batch, tl.int64) * longest + row)[:, None] * width
    packed = (tl.cast(first, tl.int64) + row)[:, None] * width
    known = (row < tl.minimum(length, longest))[:, None]
    for start in range(0, width, COLUMNS):
        column = (start + tl.arange(0, COLUMNS))[None, :]
        if PACK:
            kept = known & (column < width)
            tl.store(made + packed + column, tl.load(given + padded + column, mask=kept, other=0), mask=kept)
        else:
            found = tl.load(given + packed + column, mask=known & (column < width), other=0)
            tl.store(made + padded + column, found, mask=(row < longest)[:, None] & (column < width))


def pack(x: torch.Tensor, starts: torch.Tensor, *, rows: int | None = None) -> torch.Tensor:
    """x [B, S, ...] -> [rows, ...], the first rows of each sequence one behind the other.

    `rows` is ``starts[-1]``, which is read from the GPU where it is left out: give it where it is known.

    Raises
    ------
    UserError : starts of another shape or dtype, or on another device.
    """
    _check(x, starts, x.shape[0])
    made = x.new_empty(int(starts[-1]) if rows is None else rows, *x.shape[2:])
    _move(x.contiguous(), starts, made, x.shape[1], pack=True)
    return made


def unpack(x: torch.Tensor, starts: torch.Tensor, *, longest: int) -> torch.Tensor:
    """x [rows, ...] -> [B, longest, ...], 0 behind the end of each sequence.

    Raises
    ------
    UserError : starts of another shape or dtype, or on another device.
    """
    _check(x, starts, starts.shape[0] - 1)
    made = x.new_empty(starts.shape[0] - 1, longest, *x.shape[1:])
    _move(x.contiguous(), starts, made, longest, pack=False)
    return made


def _check(x: torch.Tensor, starts: torch.Tensor, batch: int) -> None:
    checks.dtypes(KERNEL, (torch.int32,), starts=starts)
    checks.shaped(KERNEL, starts=(starts, (batch + 1,)))
    checks.one_device(KERNEL, x=x, starts=starts)


def _move(given: torch.Tensor, starts: torch.Tensor, made: torch.Tensor, longest: int, pack: bool) -> None:
    width = prod(given.shape[2 if pack else 1 :])
    batch = starts.shape[0] - 1
    if not (batch and longest and width):
        return
    columns = min(MOST_COLUMNS, triton.next_power_of_2(width))
    move_rows[(triton.cdiv(longest, ROWS), batch)](
        given, starts, made, width, longest, PACK=pack, ROWS=ROWS, COLUMNS=columns
    )


#: What `siliform.kernels.gpu.aot` builds.
COMPILED = tuple(
    Build(
        move_rows,
        "given:*bf16 starts:*i32 made:*bf16 width:i32/16 longest:i32",
        {"PACK": packed, "ROWS": ROWS, "COLUMNS": MOST_COLUMNS},
    )
    for packed in (True, False)
)
