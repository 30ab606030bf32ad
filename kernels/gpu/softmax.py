"""softmax and log_softmax along any axis: rows in registers, and long rows in two passes.

A row that fits in registers is read once. A longer one is read twice: first for its largest element and the
sum of exponentials below it, corrected when the largest rises (Milakov and Gimelshein, arXiv 1805.02867),
then for what is written. Rows along an axis that is not the last lie side by side in the tile, so that
neighbours in memory are read together.
"""

from __future__ import annotations

from math import prod

import torch
import triton
import triton.language as tl

from siliform.kernels.gpu import checks
from siliform.kernels.gpu.aot import Build
from siliform.kernels.gpu.row_tiles import FLOATS, row_tile

KERNEL = "softmax"
WIDEST_TILE = 16384  # columns held in registers at once: 16 numbers of each of 1,024 threads
LONG_WARPS = 16


@triton.jit
def softmax_rows(  # type: ignore[no-untyped-def]
    x, out, rows, width, inner, LOG: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr
):
    """x and out [outer, width, inner] contiguous; ROWS of the outer * inner rows a program."""
    row, column = tl.program_id(0) * ROWS + tl.arange(0, ROWS), tl.arange(0, COLUMNS)[None, :]
    base = (row // inner).to(tl.int64) * width * inner + row % inner
    at = base[:, None] + column * inner
    known = (row[:, None] < rows) & (column < width)
    value = tl.load(x + at, mask=known, other=float("-inf")).to(tl.float32)
    top = tl.max(value, 1)
    below = value - tl.where(top == float("-inf"), 0.0, top)[:, None]
    grown = tl.exp(below)
    total = tl.sum(grown, 1)[:, None]
    made = below - tl.log(total) if LOG else grown / total
    tl.store(out + at, made.to(out.dtype.element_ty), mask=known)


@triton.jit
def softmax_long(  # type: ignore[no-untyped-def]
    x, out, width, inner, LOG: tl.constexpr, COLUMNS: tl.constexpr
):
    """x and out [outer, width, inner] contiguous; one row a program, COLUMNS at a time."""
    row, column = tl.program_id(0), tl.arange(0, COLUMNS)
    base = tl.cast(row // inner, tl.int64) * width * inner + row % inner
    tops = tl.full((COLUMNS,), float("-inf"), tl.float32)
    totals = tl.zeros((COLUMNS,), tl.float32)
    for start in range(0, width, COLUMNS):
        at = start + column
        value = tl.load(x + base + at.to(tl.int64) * inner, mask=at < width, other=float("-inf")).to(
            tl.float32
        )
        risen = tl.maximum(tops, value)
        shift = tl.where(risen == float("-inf"), 0.0, risen)
        totals = totals * tl.exp(tops - shift) + tl.exp(value - shift)
        tops = risen
    top = tl.max(tops, 0)
    shift = tl.where(top == float("-inf"), 0.0, top)
    total = tl.sum(totals * tl.exp(tops - shift), 0)
    for start in range(0, width, COLUMNS):
        at = start + column
        place = base + at.to(tl.int64) * inner
        below = tl.load(x + place, mask=at < width, other=float("-inf")).to(tl.float32) - shift
        made = below - tl.log(total) if LOG else tl.exp(below) / total
        tl.store(out + place, made.to(out.dtype.element_ty), mask=at < width)


def softmax(x: torch.Tensor, *, axis: int = -1) -> torch.Tensor:
    """exp(x) / sum(exp(x)) along `axis`; a row of minus infinities gives NaN.

    Raises
    ------
    UserError : an axis that is not there or empty, or integers.
    """
    return _softmax("softmax", x, axis)


def log_softmax(x: torch.Tensor, *, axis: int = -1) -> torch.Tensor:
    """log(softmax(x)) along `axis`; raises as `softmax`."""
    return _softmax("log_softmax", x, axis)


def _softmax(op: str, x: torch.Tensor, axis: int, widest: int = WIDEST_TILE) -> torch.Tensor:
    checks.op_types(KERNEL, op, x, axis=axis)
    checks.one_device(KERNEL, x=x)
    checks.dtypes(KERNEL, FLOATS, x=x)
    given = x.contiguous()
    made = torch.empty_like(given)
    if not made.numel():
        return made
    width, inner = x.shape[axis], prod(x.shape[axis % x.ndim + 1 :])
    rows, log = made.numel() // width, op == "log_softmax"
    if width > widest:
        softmax_long[(rows,)](given, made, width, inner, LOG=log, COLUMNS=widest // 2, num_warps=LONG_WARPS)
        return made
    tile = row_tile(rows, width, x.device)
    softmax_rows[(triton.cdiv(rows, tile.rows),)](
        given,
        made,
        rows,
        width,
        inner,
        LOG=log,
        ROWS=tile.rows,
        COLUMNS=tile.columns,
        num_warps=tile.num_warps,
    )
    return made


#: What `siliform.kernels.gpu.aot` builds.
COMPILED = (
    Build(
        softmax_rows,
        "x:*bf16 out:*bf16 rows:i32 width:i32/16",
        {"inner": 1, "LOG": False, "ROWS": 8, "COLUMNS": 512},
    ),
    Build(
        softmax_rows,
        "x:*bf16 out:*bf16 rows:i32 width:i32 inner:i32",
        {"LOG": True, "ROWS": 16, "COLUMNS": 64},
    ),
    Build(
        softmax_long,
        "x:*bf16 out:*bf16 width:i32/16",
        {"inner": 1, "LOG": False, "COLUMNS": WIDEST_TILE // 2},
        LONG_WARPS,
    ),
)
