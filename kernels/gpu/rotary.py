"""rotary: numbers turned by pairs, each program whole rows of one width; cos and sin are read where they lie.

Every number reads its partner as well, which the same program has just brought into the first cache, so that
x comes from memory once. Source of the op: Su et al., RoFormer, arXiv 2104.09864.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl

from siliform.kernels.dtypes import DTYPE_OF
from siliform.kernels.gpu import checks
from siliform.kernels.gpu.aot import Build
from siliform.kernels.gpu.row_tiles import FLOATS, row_tile

KERNEL = "rotary"


@triton.jit
def turn_rows(  # type: ignore[no-untyped-def]
    x, cos, sin, out, rows, middle, last, width,
    x_first, x_middle, x_last, x_column, cos_first, cos_middle, cos_last, cos_column,
    sin_first, sin_middle, sin_last, sin_column,
    INTERLEAVED: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """x, cos and sin [first, middle, last, width] of any strides, out contiguous."""
    row, column = tl.program_id(0) * ROWS + tl.arange(0, ROWS), tl.arange(0, COLUMNS)[None, :]
    known = (row[:, None] < rows) & (column < width)
    a = (row // (middle * last)).to(tl.int64)[:, None]
    b = (row // last % middle).to(tl.int64)[:, None]
    c = (row % last).to(tl.int64)[:, None]
    if INTERLEAVED:
        partner, lower = column ^ 1, column % 2 == 0
    else:
        half = width // 2
        lower = column < half
        partner = tl.where(lower, column + half, column - half)
    from_x = x + a * x_first + b * x_middle + c * x_last
    own = tl.load(from_x + column * x_column, mask=known, other=0.0).to(tl.float32)
    other = tl.load(from_x + partner * x_column, mask=known, other=0.0).to(tl.float32)
    from_cos = cos + a * cos_first + b * cos_middle + c * cos_last + column * cos_column
    from_sin = sin + a * sin_first + b * sin_middle + c * sin_last + column * sin_column
    straight = own * tl.load(from_cos, mask=known, other=0.0).to(tl.float32)
    across = other * tl.load(from_sin, mask=known, other=0.0).to(tl.float32)
    made = tl.where(lower, straight - across, straight + across)
    to = out + row[:, None].to(tl.int64) * width + column
    tl.store(to, made.to(out.dtype.element_ty), mask=known)


def rotary(
    x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor, *, interleaved: bool = False
) -> torch.Tensor:
    """x [..., c], cos and sin broadcast to x -> x cos + turned(x) sin, as the op's reference.

    Raises
    ------
    UserError : operands that do not fit.
    """
    (result,) = checks.op_types(KERNEL, "rotary", x, cos, sin, interleaved=interleaved)
    checks.one_device(KERNEL, x=x, cos=cos, sin=sin)
    checks.dtypes(KERNEL, FLOATS, x=x, cos=cos, sin=sin)
    made = x.new_empty(x.shape, dtype=DTYPE_OF[result.format.name])
    if not made.numel():
        return made
    four = [_four_axes(t.expand(x.shape)) for t in (x, cos, sin)]
    (first, middle, last, width) = four[0].shape
    rows = first * middle * last
    tile = row_tile(rows, width, x.device)
    strides = [stride for t in four for stride in t.stride()]
    turn_rows[(triton.cdiv(rows, tile.rows),)](
        *four, made, rows, middle, last, width, *strides,
        INTERLEAVED=interleaved, ROWS=tile.rows, COLUMNS=tile.columns, num_warps=tile.num_warps,
    )  # fmt: skip
    return made


def _four_axes(x: torch.Tensor) -> torch.Tensor:
    """x with its leading axes made one, or with axes of one in front; a copy only where axes do not merge."""
    return x.reshape(-1, *x.shape[-3:]) if x.ndim > 3 else x.reshape(*[1] * (4 - x.ndim), *x.shape)


_STRIDES = " ".join(f"{t}_{axis}:i32/16" for t in ("x", "cos", "sin") for axis in ("first", "middle", "last"))
#: What `siliform.kernels.gpu.aot` builds.
COMPILED = tuple(
    Build(
        turn_rows,
        f"x:*bf16 cos:*bf16 sin:*bf16 out:*bf16 rows:i32 middle:i32 last:i32 width:i32/16 {_STRIDES}",
        {
            "x_column": 1,
            "cos_column": 1,
            "sin_column": 1,
            "INTERLEAVED": interleaved,
            "ROWS": 32,
            "COLUMNS": 128,
        },
    )
    for interleaved in (False, True)
)
