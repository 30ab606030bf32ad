"""selective_scan: Mamba's state-space scan, discretised and scanned in registers.

``h_t = exp(delta_t A) h_{t-1} + delta_t u_t B_t`` for every channel and state, read as ``y_t = C_t . h_t + D
u_t`` (Gu and Dao, arXiv 2312.00752, algorithm 2 and section 3.3.2). A program holds some channels with all
their states, [channels, S, steps] of a stretch, makes decays and drives there, scans them by the associative
rule ``(a, b) then (a', b') = (a a', a' b + b')`` (Blelloch, Prefix Sums and Their Applications, 1990, section
1.4), and hands the last state on to the next stretch: no state is ever written. All sums are in fp32.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl

from siliform.kernels.dtypes import DTYPE_OF
from siliform.kernels.gpu import checks
from siliform.kernels.gpu.aot import Build

DTYPES = (torch.bfloat16, torch.float16, torch.float32)
STEPS = (16, 32, 64, 128, 256)
#: Pairs of a decay and a drive that one program holds at a time, with 128 threads 16 of each in a thread.
HELD = 2048
MOST_STEPS = 128  # of a stretch: longer ones leave a thread more steps in a row, and no fewer to scan


@triton.jit
def then(a, b, decay, drive):  # type: ignore[no-untyped-def]
    """Two steps of ``h -> a h + b`` as one."""
    return a * decay, decay * b + drive


@triton.jit
def scan(  # type: ignore[no-untyped-def]
    u, delta, a, b, c, d, initial, y, width, length, S,
    STEPS: tl.constexpr, BLOCK_W: tl.constexpr, BLOCK_S: tl.constexpr,
):  # fmt: skip
    """y [B, width, length] of contiguous operands; BLOCK_W channels of one sequence a program."""
    blocks = tl.cdiv(width, BLOCK_W)
    batch = (tl.program_id(0) // blocks).to(tl.int64)
    at_w = tl.program_id(0) % blocks * BLOCK_W + tl.arange(0, BLOCK_W)
    at_s, step = tl.arange(0, BLOCK_S), tl.arange(0, STEPS)
    state_at = at_w[:, None] * S + at_s[None, :]
    state_kept = (at_w[:, None] < width) & (at_s[None, :] < S)
    rate = tl.load(a + state_at, mask=state_kept, other=0.0).to(tl.float32)
    if initial is None:
        state = tl.zeros((BLOCK_W, BLOCK_S), tl.float32)
    else:
        from_initial = initial + batch * width * S + state_at
        state = tl.load(from_initial, mask=state_kept, other=0.0).to(tl.float32)
    for start in range(0, length, STEPS):
        t = start + step
        kept = (at_w[:, None] < width) & (t[None, :] < length)
        at = (batch * width + at_w[:, None]) * length + t[None, :]
        now = tl.load(delta + at, mask=kept, other=0.0).to(tl.float32)
        drive = tl.load(u + at, mask=kept, other=0.0).to(tl.float32)
        shared = (batch * S + at_s[:, None]) * length + t[None, :]
        shared_kept = (at_s[:, None] < S) & (t[None, :] < length)
        inward = tl.load(b + shared, mask=shared_kept, other=0.0).to(tl.float32)
        outward = tl.load(c + shared, mask=shared_kept, other=0.0).to(tl.float32)
        # Steps beyond the last have delta 0: their decay is 1 and their drive 0, and the state stays.
        decay = tl.exp(now[:, None, :] * rate[:, :, None])
        pushed = (now * drive)[:, None, :] * inward[None, :, :]
        decay, pushed = tl.associative_scan((decay, pushed), 2, then)
        states = pushed + decay * state[:, :, None]
        made = tl.sum(states * outward[None, :, :], 1)
        if d is not None:
            through = tl.load(d + at_w, mask=at_w < width, other=0.0).to(tl.float32)
            made += through[:, None] * drive
        tl.store(y + at, made.to(y.dtype.element_ty), mask=kept)
        state = tl.sum(tl.where(step[None, None, :] == STEPS - 1, states, 0.0), 2)


def selective_scan(
    u: torch.Tensor,
    delta: torch.Tensor,
    a: torch.Tensor,
    b: torch.Tensor,
    c: torch.Tensor,
    d: torch.Tensor | None = None,
    initial: torch.Tensor | None = None,
    *,
    steps: int | None = None,
) -> torch.Tensor:
    """u and delta [B, D, L], a [D, S], b and c [B, S, L], d [D], initial [B, D, S] -> y [B, D, L].

    Operands may be of different dtypes; `steps` of a stretch, one of `STEPS`, are taken by the shape if None.

    Raises
    ------
    UserError : shapes or dtypes that do not fit.
    """
    (result,) = checks.op_types("selective_scan", "selective_scan", u, delta, a, b, c, d, initial)
    operands = {"u": u, "delta": delta, "a": a, "b": b, "c": c, "d": d, "initial": initial}
    checks.one_device("selective_scan", **operands)
    checks.dtypes("selective_scan", DTYPES, **operands)
    checks.choice("selective_scan", "steps", steps, (None, *STEPS))
    (batch, width, length), states = u.shape, a.shape[1]
    made = u.new_empty(result.shape, dtype=DTYPE_OF[result.format.name])
    if not made.numel():
        return made
    steps = steps or min(MOST_STEPS, max(STEPS[0], triton.next_power_of_2(length)))
    block_s = max(1, triton.next_power_of_2(states))
    block_w = max(1, min(triton.next_power_of_2(width), HELD // (steps * block_s)))
    ready = (None if operand is None else operand.contiguous() for operand in operands.values())
    scan[(batch * triton.cdiv(width, block_w),)](
        *ready, made, width, length, states, STEPS=steps, BLOCK_W=block_w, BLOCK_S=block_s
    )
    return made


#: What `siliform.kernels.gpu.aot` builds.
COMPILED = (
    Build(
        scan,
        "u:*bf16 delta:*bf16 a:*fp32 b:*bf16 c:*bf16 d:*fp32 y:*bf16 width:i32/16 length:i32 S:i32/16",
        {"initial": None, "STEPS": 128, "BLOCK_W": 1, "BLOCK_S": 16},
    ),
    Build(
        scan,
        "u:*bf16 delta:*bf16 a:*fp32 b:*bf16 c:*bf16 initial:*fp32 y:*bf16 width:i32/16 length:i32 S:i32/16",
        {"d": None, "STEPS": 64, "BLOCK_W": 2, "BLOCK_S": 16},
    ),
)
