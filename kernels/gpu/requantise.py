"""requantise and requantised_add: integers to another scale, bit for bit as the reference rounds them.

The product of an int32 sum and a 31-bit multiplier has 63 bits: one wide multiplication on a GPU, then shifts
and comparisons. Halves go to even, where a GPU's own rounding shifts would send them upwards.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl

from siliform.graph_ir.formats import format_named
from siliform.graph_ir.formats.integers import Integer
from siliform.graph_ir.types import TensorType
from siliform.kernels.dtypes import DTYPE_OF
from siliform.kernels.gpu import checks
from siliform.kernels.gpu.aot import Build

KERNEL = "requantise"
INTEGERS = (torch.int8, torch.uint8, torch.int16, torch.int32)
COLUMNS = 1024  # elements of a program, 8 a thread


@triton.jit
def shifted_even(value, places):  # type: ignore[no-untyped-def]
    """``value / 2**places`` rounded half to even, int64; places from 1 to 62."""
    below = value >> places
    rest = value - (below << places)
    half = (places * 0 + 1) << (places - 1)
    up = (rest > half) | ((rest == half) & ((below & 1) == 1))
    return below + up.to(tl.int64)


@triton.jit
def rescale(  # type: ignore[no-untyped-def]
    x, multiplier, shift, bias, out, width, step,
    LOW: tl.constexpr, HIGH: tl.constexpr, BIASED: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """out [rows, width] of x [rows, width]; `step` is 1 for factors of each column, 0 for one of all."""
    pieces = tl.cdiv(width, COLUMNS)
    row = tl.cast(tl.program_id(0) // pieces, tl.int64)
    column = tl.program_id(0) % pieces * COLUMNS + tl.arange(0, COLUMNS)
    known = column < width
    level = tl.load(x + row * width + column, mask=known, other=0).to(tl.int32)
    if BIASED:
        level += tl.load(bias + column, mask=known, other=0).to(tl.int32)
    factor = tl.load(multiplier + column * step, mask=known, other=0).to(tl.int64)
    places = tl.load(shift + column * step, mask=known, other=1).to(tl.int64)
    made = shifted_even(level.to(tl.int64) * factor, places)
    made = tl.minimum(tl.maximum(made, LOW), HIGH)
    tl.store(out + row * width + column, made.to(out.dtype.element_ty), mask=known)


@triton.jit
def rescale_sum(  # type: ignore[no-untyped-def]
    a, b, out, elements, multiplier_a, multiplier_b, shift,
    LOW: tl.constexpr, HIGH: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """out = (a multiplier_a + b multiplier_b) / 2**shift, all of `elements` elements."""
    at = tl.cast(tl.program_id(0), tl.int64) * COLUMNS + tl.arange(0, COLUMNS)
    known = at < elements
    first = tl.load(a + at, mask=known, other=0).to(tl.int64) * multiplier_a
    total = first + tl.load(b + at, mask=known, other=0).to(tl.int64) * multiplier_b
    made = shifted_even(total, tl.zeros((COLUMNS,), tl.int64) + shift)
    made = tl.minimum(tl.maximum(made, LOW), HIGH)
    tl.store(out + at, made.to(out.dtype.element_ty), mask=known)


def requantise(
    x: torch.Tensor,
    multiplier: torch.Tensor,
    shift: torch.Tensor,
    bias: torch.Tensor | None = None,
    *,
    format: str = "int8",
) -> torch.Tensor:
    """``(x + bias) * multiplier / 2**shift`` rounded half to even, saturated to `format`.

    x [..., N] of integers that fit int32, as their sums with the bias [N] do; multiplier and shift [N] or [],
    one for each channel or one for all; shifts from 1 to 62. What does not fit int32 wraps around.

    Raises
    ------
    UserError : operands that do not fit, or a format that no torch dtype holds.
    """
    (result,) = checks.op_types(KERNEL, "requantise", x, multiplier, shift, bias, format=format)
    checks.one_device(KERNEL, x=x, multiplier=multiplier, shift=shift, bias=bias)
    checks.dtypes(KERNEL, INTEGERS, x=x, bias=bias)
    held, low, high = _held(result)
    made = x.new_empty(x.shape, dtype=held)
    if made.numel():
        width = x.shape[-1] if x.ndim else 1
        columns = min(COLUMNS, triton.next_power_of_2(width))
        given, factor, places = (t.contiguous() for t in (x, multiplier, shift))
        rescale[(made.numel() // width * triton.cdiv(width, columns),)](
            given, factor, places, given if bias is None else bias.contiguous(), made, width, multiplier.ndim,
            LOW=low, HIGH=high, BIASED=bias is not None, COLUMNS=columns,
        )  # fmt: skip
    return made


def requantised_add(
    a: torch.Tensor,
    b: torch.Tensor,
    *,
    multiplier_a: int,
    multiplier_b: int,
    shift: int,
    format: str = "int8",
) -> torch.Tensor:
    """``(a * multiplier_a + b * multiplier_b) / 2**shift`` rounded half to even, saturated to `format`.

    a and b of one shape, integers of at most 16 bits; multipliers from 0 to 2**31 - 1; shift from 1 to 62.
    Raises as `requantise`.
    """
    factors = {"multiplier_a": multiplier_a, "multiplier_b": multiplier_b, "shift": shift}
    (result,) = checks.op_types(KERNEL, "requantised_add", a, b, **factors, format=format)
    checks.one_device(KERNEL, a=a, b=b)
    checks.dtypes(KERNEL, INTEGERS[:3], a=a, b=b)
    held, low, high = _held(result)
    made = torch.empty(a.shape, dtype=held, device=a.device)
    if made.numel():
        rescale_sum[(triton.cdiv(made.numel(), COLUMNS),)](
            a.contiguous(), b.contiguous(), made, made.numel(), multiplier_a, multiplier_b, shift,
            LOW=low, HIGH=high, COLUMNS=COLUMNS,
        )  # fmt: skip
    return made


def _held(result: TensorType) -> tuple[torch.dtype, int, int]:
    """The dtype that holds a result, and the least and the greatest of its format's integers."""
    known = format_named(result.format.name)
    if known.name not in DTYPE_OF or not isinstance(known, Integer):
        raise checks.refusal(
            KERNEL,
            asked=f"the kernel {KERNEL} into {result.format.name}",
            found="no torch dtype holds that format",
            next_step="ask for int8 or another whole number of bytes, or run the op's reference",
        )
    return DTYPE_OF[known.name], known.min, known.max


_RANGE = {"LOW": -128, "HIGH": 127, "COLUMNS": COLUMNS}
#: What `siliform.kernels.gpu.aot` builds.
COMPILED = (
    Build(
        rescale,
        "x:*i32 multiplier:*i32 shift:*i32 bias:*i32 out:*i8 width:i32/16",
        {"step": 1, "BIASED": True, **_RANGE},
    ),
    Build(
        rescale_sum, "a:*i8 b:*i8 out:*i8 elements:i32 multiplier_a:i32 multiplier_b:i32 shift:i32", _RANGE
    ),
)
