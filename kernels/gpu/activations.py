"""Activations element by element, alone or as the gate of another tensor (Shazeer, arXiv 2002.05202)."""

from __future__ import annotations

from math import pi, sqrt

import torch
import triton
import triton.language as tl

from siliform.kernels.gpu import checks
from siliform.kernels.gpu.aot import Build
from siliform.kernels.gpu.row_tiles import FLOATS

KERNEL = "activations"
KINDS = ("gelu", "gelu_tanh", "quick_gelu", "silu", "sigmoid", "relu")
COLUMNS = 1024  # elements of a program, 8 a thread

#: Constants of gelu and its approximations: Hendrycks and Gimpel, arXiv 1606.08415, section 2.
CUBIC, QUICK = tl.constexpr(0.044715), tl.constexpr(1.702)
ROOT_2_OVER_PI, ROOT_HALF = tl.constexpr(sqrt(2 / pi)), tl.constexpr(sqrt(0.5))


@triton.jit
def logistic(x):  # type: ignore[no-untyped-def]
    """1 / (1 + exp(-x)), whose exponential overflows to a result of 0."""
    return 1.0 / (1.0 + tl.exp(-x))


@triton.jit
def activated(x, KIND: tl.constexpr):  # type: ignore[no-untyped-def]
    """One of `KINDS` of x in fp32; tanh(y) is 2 logistic(2 y) - 1."""
    if KIND == "gelu":
        return 0.5 * x * (1.0 + tl.erf(x * ROOT_HALF))
    if KIND == "gelu_tanh":
        return x * logistic(2.0 * ROOT_2_OVER_PI * (x + CUBIC * x * x * x))
    if KIND == "quick_gelu":
        return x * logistic(QUICK * x)
    if KIND == "silu":
        return x * logistic(x)
    if KIND == "sigmoid":
        return logistic(x)
    return tl.maximum(x, 0.0)


@triton.jit
def activate(  # type: ignore[no-untyped-def]
    x, up, out, width, x_row, up_row, KIND: tl.constexpr, GATING: tl.constexpr, COLUMNS: tl.constexpr
):
    """out [rows, width] contiguous = KIND(x), times up where GATING; x and up have rows at any distance."""
    pieces = tl.cdiv(width, COLUMNS)
    row = tl.cast(tl.program_id(0) // pieces, tl.int64)
    at = tl.cast(tl.program_id(0) % pieces, tl.int64) * COLUMNS + tl.arange(0, COLUMNS)
    made = activated(tl.load(x + row * x_row + at, mask=at < width, other=0.0).to(tl.float32), KIND)
    if GATING:
        made *= tl.load(up + row * up_row + at, mask=at < width, other=0.0).to(tl.float32)
    tl.store(out + row * width + at, made.to(out.dtype.element_ty), mask=at < width)


def gelu(x: torch.Tensor, *, approximate: str = "none") -> torch.Tensor:
    """x times the normal distribution's integral: by the error function, or where "tanh" approximately.

    Raises
    ------
    UserError : integers, a tensor elsewhere, or another `approximate`; the same holds below.
    """
    checks.op_types(KERNEL, "gelu", x, approximate=approximate)
    return _activate(x, None, "gelu" if approximate == "none" else "gelu_tanh")


def quick_gelu(x: torch.Tensor) -> torch.Tensor:
    """x sigmoid(1.702 x)."""
    return _activate(x, None, "quick_gelu")


def silu(x: torch.Tensor) -> torch.Tensor:
    """x sigmoid(x)."""
    return _activate(x, None, "silu")


def sigmoid(x: torch.Tensor) -> torch.Tensor:
    """1 / (1 + exp(-x))."""
    return _activate(x, None, "sigmoid")


def relu(x: torch.Tensor) -> torch.Tensor:
    """max(x, 0)."""
    return _activate(x, None, "relu")


def gated(gate: torch.Tensor, up: torch.Tensor, *, activation: str = "silu") -> torch.Tensor:
    """activation(gate) up, rounded once; both [..., W], which may be halves of one projection's rows.

    Parameters
    ----------
    activation : one of `KINDS`.

    Raises
    ------
    UserError : operands of different shapes or dtypes, or another activation.
    """
    checks.choice(KERNEL, "activation", activation, KINDS)
    checks.same_dtype(KERNEL, gate=gate, up=up)
    checks.shaped(KERNEL, up=(up, gate.shape))
    return _activate(gate, up, activation)


def _activate(x: torch.Tensor, up: torch.Tensor | None, kind: str) -> torch.Tensor:
    checks.one_device(KERNEL, x=x, up=up)
    checks.dtypes(KERNEL, FLOATS, x=x, up=up)
    made = torch.empty(x.shape, dtype=x.dtype, device=x.device)
    if not made.numel():
        return made
    width = x.shape[-1] if up is not None else made.numel()
    rows = [t.reshape(-1, width) for t in (x, x if up is None else up)]
    given, gating = (t if t.stride(1) == 1 or width == 1 else t.contiguous() for t in rows)
    columns = min(COLUMNS, triton.next_power_of_2(width))
    activate[(given.shape[0] * triton.cdiv(width, columns),)](
        given, gating, made, width, given.stride(0), gating.stride(0),
        KIND=kind, GATING=up is not None, COLUMNS=columns,
    )  # fmt: skip
    return made


#: What `siliform.kernels.gpu.aot` builds.
COMPILED = tuple(
    Build(
        activate,
        "x:*bf16 up:*bf16 out:*bf16 width:i32/16 x_row:i32/16 up_row:i32/16",
        {"KIND": kind, "GATING": gating, "COLUMNS": COLUMNS},
    )
    for kind, gating in (("gelu", False), ("gelu_tanh", False), ("silu", True))
)
