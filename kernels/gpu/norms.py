"""layer_norm and rms_norm in one pass over memory, alone or behind the addition of a residual.

A program holds whole rows in registers in fp32: mean, then variance of what is left, as the reference does,
so that nothing cancels. With a residual both the sum, rounded as an addition by itself would round it, and
its norm are written, which spares one reading and one launch for each block of a network.
"""

from __future__ import annotations

from math import prod

import torch
import triton
import triton.language as tl

from siliform.kernels.gpu import checks
from siliform.kernels.gpu.aot import Build
from siliform.kernels.gpu.row_tiles import FLOATS, WIDEST_ROW, row_tile

KERNEL = "norms"


@triton.jit
def norm_rows(  # type: ignore[no-untyped-def]
    x, residual, weight, bias, out, summed, rows, width, eps, x_row, residual_row,
    CENTRED: tl.constexpr, ADDED: tl.constexpr, WEIGHTED: tl.constexpr, BIASED: tl.constexpr,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """out and summed [rows, width] contiguous; x and residual have rows at any distance."""
    row, at = tl.program_id(0) * ROWS + tl.arange(0, ROWS), tl.arange(0, COLUMNS)
    line, column = row[:, None].to(tl.int64), at[None, :]
    known = (row[:, None] < rows) & (column < width)
    value = tl.load(x + line * x_row + column, mask=known, other=0.0).to(tl.float32)
    if ADDED:
        value += tl.load(residual + line * residual_row + column, mask=known, other=0.0).to(tl.float32)
        rounded = value.to(summed.dtype.element_ty)
        tl.store(summed + line * width + column, rounded, mask=known)
        value = rounded.to(tl.float32)
    if CENTRED:
        mean = tl.sum(value, 1) / width
        value = tl.where(known, value - mean[:, None], 0.0)
    variance = tl.sum(value * value, 1) / width
    value = value / tl.sqrt(variance + eps)[:, None]
    if WEIGHTED:
        value *= tl.load(weight + at, mask=at < width, other=0.0).to(tl.float32)[None, :]
    if BIASED:
        value += tl.load(bias + at, mask=at < width, other=0.0).to(tl.float32)[None, :]
    tl.store(out + line * width + column, value.to(out.dtype.element_ty), mask=known)


def layer_norm(
    x: torch.Tensor,
    weight: torch.Tensor | None = None,
    bias: torch.Tensor | None = None,
    *,
    dims: int = 1,
    eps: float = 1e-5,
) -> torch.Tensor:
    """x, weight and bias [last `dims` axes of x] -> (x - mean) / sqrt(variance + eps) weight + bias.

    Raises
    ------
    UserError : operands that do not fit, or rows of more than `WIDEST_ROW` elements.
    """
    checks.op_types(KERNEL, "layer_norm", x, weight, bias, dims=dims, eps=eps)
    return _norm(x, None, weight, bias, dims, eps, centred=True)[0]


def rms_norm(
    x: torch.Tensor, weight: torch.Tensor | None = None, *, dims: int = 1, eps: float = 1e-5
) -> torch.Tensor:
    """x, weight [last `dims` axes of x] -> x / sqrt(mean(x^2) + eps) weight; raises as `layer_norm`."""
    checks.op_types(KERNEL, "rms_norm", x, weight, dims=dims, eps=eps)
    return _norm(x, None, weight, None, dims, eps, centred=False)[0]


def residual_layer_norm(
    x: torch.Tensor,
    residual: torch.Tensor,
    weight: torch.Tensor | None = None,
    bias: torch.Tensor | None = None,
    *,
    dims: int = 1,
    eps: float = 1e-5,
) -> tuple[torch.Tensor, torch.Tensor]:
    """The layer norm of ``x + residual``, and that sum; raises as `layer_norm`."""
    checks.op_types(KERNEL, "layer_norm", x, weight, bias, dims=dims, eps=eps)
    return _norm(x, residual, weight, bias, dims, eps, centred=True)


def residual_rms_norm(
    x: torch.Tensor,
    residual: torch.Tensor,
    weight: torch.Tensor | None = None,
    *,
    dims: int = 1,
    eps: float = 1e-5,
) -> tuple[torch.Tensor, torch.Tensor]:
    """The RMS norm of ``x + residual``, and that sum; raises as `layer_norm`."""
    checks.op_types(KERNEL, "rms_norm", x, weight, dims=dims, eps=eps)
    return _norm(x, residual, weight, None, dims, eps, centred=False)


def _norm(
    x: torch.Tensor,
    residual: torch.Tensor | None,
    weight: torch.Tensor | None,
    bias: torch.Tensor | None,
    dims: int,
    eps: float,
    centred: bool,
) -> tuple[torch.Tensor, torch.Tensor]:
    """The norm, and the sum with the residual (x where there is none)."""
    checks.one_device(KERNEL, x=x, residual=residual, weight=weight, bias=bias)
    checks.dtypes(KERNEL, FLOATS, x=x, residual=residual, weight=weight, bias=bias)
    if residual is not None:
        checks.same_dtype(KERNEL, x=x, residual=residual)
        checks.shaped(KERNEL, residual=(residual, x.shape))
    width = prod(x.shape[-dims:])
    if width > WIDEST_ROW:
        raise checks.refusal(
            KERNEL,
            asked=f"a norm over rows of {width} elements",
            found=f"a program holds rows of at most {WIDEST_ROW}",
            next_step="use the op's reference, or torch's norm",
        )
    made = torch.empty(x.shape, dtype=x.dtype, device=x.device)
    summed = torch.empty_like(made) if residual is not None else x
    if made.numel():
        rows = made.numel() // width
        tile = row_tile(rows, width, x.device)
        flat = _rows(x, rows, width)
        added = flat if residual is None else _rows(residual, rows, width)
        gains = [made if p is None else p.contiguous() for p in (weight, bias)]
        norm_rows[(triton.cdiv(rows, tile.rows),)](
            flat, added, *gains, made, summed, rows, width, eps, flat.stride(0), added.stride(0),
            CENTRED=centred, ADDED=residual is not None, WEIGHTED=weight is not None, BIASED=bias is not None,
            ROWS=tile.rows, COLUMNS=tile.columns, num_warps=tile.num_warps,
        )  # fmt: skip
    return made, summed


def _rows(x: torch.Tensor, rows: int, width: int) -> torch.Tensor:
    """x [rows, width], copied where elements of a row do not lie side by side."""
    flat = x.reshape(rows, width)
    return flat if flat.stride(1) == 1 or width == 1 else flat.contiguous()


#: What `siliform.kernels.gpu.aot` builds.
COMPILED = tuple(
    Build(
        norm_rows,
        "x:*bf16 residual:*bf16 weight:*bf16 bias:*bf16 out:*bf16 summed:*bf16 rows:i32 width:i32/16 "
        "eps:fp32 x_row:i32/16 residual_row:i32/16",
        {
            "CENTRED": centred,
            "ADDED": added,
            "WEIGHTED": True,
            "BIASED": centred,
            "ROWS": 4096 // columns,
            "COLUMNS": columns,
        },
    )
    for centred, added, columns in ((True, False, 1024), (False, True, 4096))
)
