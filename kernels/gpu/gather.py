"""gather, take and embedding: rows and elements read by index, what follows a top-k choice.

All three see x as [before, extent, behind] and write [before, chosen, behind]. A program moves a tile of
chosen rows and of what lies behind the axis; where one index serves all of that, as it does for rows chosen
by scores, it is read once for a row. Values are moved as integers of their width, whatever they mean.
"""

from __future__ import annotations

from math import prod

import torch
import triton
import triton.language as tl

from siliform.kernels.gpu import checks
from siliform.kernels.gpu.aot import Build

INDICES = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8)
MOVED = 1024  # elements of a program: 16 bytes of each thread in 2-byte formats, an assumption
WIDEST = 256  # of those behind the axis
#: Integers in which elements of so many bytes are moved.
CARRIERS = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


@triton.jit
def rows_by_index(  # type: ignore[no-untyped-def]
    x, index, y, before, extent, behind, chosen, x_before, x_axis, x_behind, i_before, i_chosen, i_behind,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr, BY_ROW: tl.constexpr,
):  # fmt: skip
    """y [before, chosen, behind] of x [before, extent, behind]; index [before, chosen, behind], by strides.

    An index counts from the end where it is negative; beyond either end nothing is read and 0 written.
    BY_ROW: one index for all that lies behind the axis.
    """
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    column = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    first, place = row // chosen, row % chosen
    of_row = index + first * i_before + place * i_chosen
    inside = (row[:, None] < before * chosen) & (column[None, :] < behind)
    if BY_ROW:
        at = tl.load(of_row, mask=row < before * chosen, other=0).to(tl.int64)[:, None]
    else:
        at = tl.load(of_row[:, None] + column[None, :] * i_behind, mask=inside, other=0).to(tl.int64)
    at = tl.where(at < 0, at + extent, at)
    known = inside & (at >= 0) & (at < extent)
    of_x = x + first[:, None] * x_before + at * x_axis + column[None, :] * x_behind
    tl.store(y + row[:, None] * behind + column[None, :], tl.load(of_x, mask=known, other=0), mask=inside)


def gather(x: torch.Tensor, index: torch.Tensor, *, axis: int) -> torch.Tensor:
    """Element ``[i, index[i, j, k], k]`` of x for axis 1: the shape of `index`.

    An index beyond the axis gives 0, where the reference raises. UserError for what does not fit.
    """
    checks.op_types("gather", "gather", x, index, axis=axis)
    place = axis % x.ndim
    cut = x[tuple(slice(None) if i == place else slice(e) for i, e in enumerate(index.shape))]
    return _moved(cut, index, place, index.shape[place], index.shape)


def take(x: torch.Tensor, index: torch.Tensor, *, axis: int = 0) -> torch.Tensor:
    """x [a, n, b], index [...] of integers in [-n, n) -> [a, ..., b]; n is the extent of `axis`."""
    (result,) = checks.op_types("gather", "take", x, index, axis=axis)
    place = axis % x.ndim
    flat = index.reshape([1] * place + [index.numel()] + [1] * (x.ndim - 1 - place))
    spread = flat.expand(*x.shape[:place], index.numel(), *x.shape[place + 1 :])
    return _moved(x, spread, place, index.numel(), result.shape)


def embedding(ids: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """ids [...], weight [V, E] -> [..., E]."""
    checks.op_types("gather", "embedding", ids, weight)
    return take(weight, ids)


def _moved(
    x: torch.Tensor, index: torch.Tensor, place: int, chosen: int, shape: tuple[int, ...]
) -> torch.Tensor:
    """x by an index of x's shape but `chosen` along axis `place`, in the result's shape."""
    checks.one_device("gather", x=x, index=index)
    checks.dtypes("gather", INDICES, index=index)
    before, extent, behind = prod(x.shape[:place]), x.shape[place], prod(x.shape[place + 1 :])
    flat = x.view(CARRIERS[x.element_size()]).reshape(before, extent, behind)
    own = index.reshape(before, chosen, behind)  # a view of what is expanded, with a stride of 0
    by_row = behind == 1 or own.stride(2) == 0
    y = torch.empty((before, chosen, behind), dtype=flat.dtype, device=x.device)
    columns = min(WIDEST, triton.next_power_of_2(max(behind, 1)))
    rows = MOVED // columns
    grid = (triton.cdiv(before * chosen, rows), triton.cdiv(behind, columns))
    strides = (*flat.stride(), *own.stride())
    if y.numel():
        rows_by_index[grid](
            flat, own, y, before, extent, behind, chosen, *strides, ROWS=rows, COLUMNS=columns, BY_ROW=by_row
        )
    return y.view(x.dtype).reshape(shape)


_SIZES = "before:i32 extent:i32/16 chosen:i32 x_before:i32/16 i_before:i32"
COMPILED = (
    Build(
        rows_by_index,
        f"x:*i16 index:*i64 y:*i16 {_SIZES} behind:i32/16 x_axis:i32/16",
        {"x_behind": 1, "i_chosen": 1, "i_behind": 0, "ROWS": 4, "COLUMNS": 256, "BY_ROW": True},
    ),
    Build(
        rows_by_index,
        f"x:*i16 index:*i64 y:*i16 {_SIZES}",
        {"behind": 1, "x_axis": 1, "x_behind": 1, "i_chosen": 1, "i_behind": 1}
        | {"ROWS": MOVED, "COLUMNS": 1, "BY_ROW": False},
    ),
)
