"""linear_recurrence and matrix_recurrence: ``h_t = a_t h_{t-1} + b_t`` of numbers and of matrices.

Of numbers, a program holds some lanes for a stretch of steps, scans them by the associative rule ``(a, b)
then (a', b') = (a a', a' b + b')`` (Blelloch, Prefix Sums and Their Applications, 1990, section 1.4) and
hands the last state on to its next stretch. Of matrices, a program holds some columns of the state and walks
the steps, each a product that waits for the one before (Yang et al., arXiv 2406.06484, equation 8): columns
and what leads are all that run beside each other. States are in fp32; tensor cores multiply them by tf32,
which holds a number of bf16 or fp16 exactly and rounds a state to 11 bits, and by three products of it where
operands are fp32.
"""

from __future__ import annotations

from math import prod
from typing import Any

import torch
import triton
import triton.language as tl

from siliform.kernels.dtypes import DTYPE_OF
from siliform.kernels.gpu import checks
from siliform.kernels.gpu.aot import Build
from siliform.kernels.gpu.arithmetic import dot, narrowed, widened
from siliform.kernels.gpu.selective_scan import then

DTYPES = (torch.bfloat16, torch.float16, torch.float32)
HELD = 4096  # numbers of a and of b that one program holds at a time: 32 of each in each of 128 threads
MOST_STEPS = 256  # of a stretch
LEAST = 16  # the least extent of a tile that `tl.dot` takes
WIDEST_ROWS = 128  # of a state: a transition of more does not fit into shared memory beside the next one
COLUMNS = 32  # of a state in a program: few, since only columns and what leads run beside each other
FEW_COLUMNS = 16  # of one of fp32 and many rows, whose three products else spill registers


@triton.jit
def numbers(  # type: ignore[no-untyped-def]
    a, b, initial, h, lanes, inner, steps, STEPS: tl.constexpr, BLOCK: tl.constexpr
):
    """h [outer, steps, inner] of contiguous a and b, initial [outer, inner]; a program has BLOCK lanes."""
    lane = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    step = tl.arange(0, STEPS)
    first = lane // inner * steps * inner + lane % inner
    if initial is None:
        state = tl.zeros((BLOCK,), tl.float32)
    else:
        state = widened(tl.load(initial + lane, mask=lane < lanes, other=0.0))
    for start in range(0, steps, STEPS):
        t = start + step
        kept = (lane[:, None] < lanes) & (t[None, :] < steps)
        at = first[:, None] + t[None, :].to(tl.int64) * inner
        # Steps beyond the last keep the state: decay 1, drive 0.
        decay = widened(tl.load(a + at, mask=kept, other=1.0))
        drive = widened(tl.load(b + at, mask=kept, other=0.0))
        decay, drive = tl.associative_scan((decay, drive), 1, then)
        states = drive + decay * state[:, None]
        tl.store(h + at, narrowed(states, h.dtype.element_ty), mask=kept)
        state = tl.sum(tl.where(step[None, :] == STEPS - 1, states, 0.0), 1)


@triton.jit
def matrices(  # type: ignore[no-untyped-def]
    a, b, initial, h, steps, C, V,
    PRECISION: tl.constexpr, BLOCK_C: tl.constexpr, BLOCK_V: tl.constexpr,
):  # fmt: skip
    """h [lead, steps, C, V] of contiguous a [lead, steps, C, C], b as h, initial [lead, C, V]."""
    lead = tl.program_id(0).to(tl.int64)
    row, column = tl.arange(0, BLOCK_C), tl.program_id(1) * BLOCK_V + tl.arange(0, BLOCK_V)
    own = row[:, None] * V + column[None, :]
    kept = (row[:, None] < C) & (column[None, :] < V)
    inside = (row[:, None] < C) & (row[None, :] < C)
    from_a = a + lead * steps * C * C + row[:, None] * C + row[None, :]
    from_b, to = b + lead * steps * C * V + own, h + lead * steps * C * V + own
    state = tl.zeros((BLOCK_C, BLOCK_V), tl.float32)
    if initial is not None:
        state = widened(tl.load(initial + lead * C * V + own, mask=kept, other=0.0))
    for _ in range(steps):
        turned = widened(tl.load(from_a, mask=inside, other=0.0))
        pushed = widened(tl.load(from_b, mask=kept, other=0.0))
        state = dot(turned, state, pushed, None, PRECISION)
        tl.store(to, narrowed(state, h.dtype.element_ty), mask=kept)
        from_a += C * C
        from_b += C * V
        to += C * V


def linear_recurrence(
    a: torch.Tensor, b: torch.Tensor, initial: torch.Tensor | None = None, *, axis: int
) -> torch.Tensor:
    """a and b [..., L, ...] -> h with h[t] = a[t] h[t-1] + b[t] along `axis`; h[-1] is `initial` or 0.

    Operands may be of different dtypes.

    Raises
    ------
    UserError : shapes or dtypes that do not fit.
    """
    kernel = "recurrences"
    (result,) = checks.op_types(kernel, "linear_recurrence", a, b, initial, axis=axis)
    checks.one_device(kernel, a=a, b=b, initial=initial)
    checks.dtypes(kernel, DTYPES, a=a, b=b, initial=initial)
    made = b.new_empty(result.shape, dtype=DTYPE_OF[result.format.name])
    if not made.numel():
        return made
    place = axis % b.ndim
    inner, steps = prod(b.shape[place + 1 :]), b.shape[place]
    lanes = b.numel() // steps
    stretch = min(MOST_STEPS, max(LEAST, triton.next_power_of_2(steps)))
    block = max(1, min(triton.next_power_of_2(lanes), HELD // stretch))
    given = None if initial is None else initial.contiguous()
    numbers[(triton.cdiv(lanes, block),)](
        a.contiguous(), b.contiguous(), given, made, lanes, inner, steps, STEPS=stretch, BLOCK=block
    )
    return made


def matrix_recurrence(a: torch.Tensor, b: torch.Tensor, initial: torch.Tensor | None = None) -> torch.Tensor:
    """a [..., L, C, C], b [..., L, C, V] -> h with h[t] = a[t] @ h[t-1] + b[t]; h[-1] is `initial` or 0.

    Operands may be of different dtypes; C is at most `WIDEST_ROWS`.

    Raises
    ------
    UserError : shapes or dtypes that do not fit, wider states.
    """
    kernel = "recurrences"
    (result,) = checks.op_types(kernel, "matrix_recurrence", a, b, initial)
    checks.one_device(kernel, a=a, b=b, initial=initial)
    checks.dtypes(kernel, DTYPES, a=a, b=b, initial=initial)
    *lead, steps, rows, columns = b.shape
    if rows > WIDEST_ROWS:
        raise checks.refusal(
            kernel,
            asked=f"the kernel matrix_recurrence for states of {rows} rows",
            found=f"it holds a transition in shared memory, of {WIDEST_ROWS} rows at most",
            next_step="run the op's reference on the CPU, or each step as a product",
        )
    made = b.new_empty(result.shape, dtype=DTYPE_OF[result.format.name])
    if not made.numel():
        return made
    named = _constants(rows, columns, any(x.dtype is torch.float32 for x in (a, b)))
    given = None if initial is None else initial.contiguous()
    matrices[(prod(lead), triton.cdiv(columns, named["BLOCK_V"]))](
        a.contiguous(), b.contiguous(), given, made, steps, rows, columns, **named
    )
    return made


def _constants(rows: int, columns: int, wide: bool) -> dict[str, Any]:
    """Constants of `matrices`."""
    most = FEW_COLUMNS if wide and rows > 64 else COLUMNS
    return {
        "PRECISION": "tf32x3" if wide else "tf32",
        "BLOCK_C": max(LEAST, triton.next_power_of_2(rows)),
        "BLOCK_V": min(most, max(LEAST, triton.next_power_of_2(columns))),
        "num_warps": 8 if rows > 64 else 4,
        "num_stages": 2,
    }


def _build(format: str, rows: int) -> Build:
    named = _constants(rows, COLUMNS, format == "fp32")
    warps, stages = named.pop("num_warps"), named.pop("num_stages")
    signature = f"a:*{format} b:*{format} h:*{format} steps:i32 C:i32/16 V:i32/16"
    return Build(matrices, signature, {"initial": None, **named}, warps, stages)


#: What `siliform.kernels.gpu.aot` builds.
COMPILED = (
    Build(
        numbers,
        "a:*fp32 b:*bf16 initial:*bf16 h:*fp32 lanes:i32 inner:i32/16 steps:i32",
        {"STEPS": 256, "BLOCK": 16},
    ),
    Build(
        numbers,
        "a:*bf16 b:*bf16 h:*bf16 lanes:i32 steps:i32",
        {"initial": None, "inner": 1, "STEPS": 256, "BLOCK": 16},
    ),
    _build("bf16", 64),
    _build("bf16", WIDEST_ROWS),
    _build("fp32", 64),
    _build("fp32", WIDEST_ROWS),
)
