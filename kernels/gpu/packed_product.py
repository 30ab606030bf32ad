"""What products of packed operands share: tiles, the end of a kernel, and the arguments of its launch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from types import MappingProxyType
from typing import Any

import torch
import triton
import triton.language as tl

from siliform.kernels.gpu import checks
from siliform.kernels.gpu.aot import Build
from siliform.kernels.gpu.arithmetic import narrowed
from siliform.kernels.gpu.bit_planes import Packed

VARIANTS = ("counted", "spread")

#: Rows of a up to which ones are counted, an estimate: an H100 counts 16 words a cycle on each multiprocessor
#: (CUDA C++ Programming Guide, arithmetic instructions), 512 products, and its tensor cores make 4,096 of
#: int8, of which less than half are left beside the spreading of bits, for 64 rows at least.
FEW_ROWS = 16


@dataclass(frozen=True)
class Tile:
    """Rows of a and of b, and words of each, that one program takes at a time."""

    m: int
    n: int
    words: int
    num_warps: int
    num_stages: int = 3


#: By variant and by the most rows of a: sizes at which no register is spilt on sm_80 and sm_90 and a counting
#: loop waits for popcounts alone, as the compiled code shows.
TILES: Mapping[str, tuple[tuple[int, Tile], ...]] = MappingProxyType(
    {
        "counted": ((16, Tile(16, 64, 8, 4)), (1 << 31, Tile(64, 64, 4, 4))),
        "spread": ((64, Tile(64, 64, 4, 4)), (1 << 31, Tile(128, 128, 4, 8))),
    }
)


@dataclass(frozen=True)
class Launch:
    """How a kernel of this form is started, and the result it fills."""

    variant: str
    grid: tuple[int, int]
    arguments: tuple[Any, ...]
    constants: dict[str, Any]
    result: torch.Tensor


@triton.jit
def store_scaled(  # type: ignore[no-untyped-def]
    total, c, scale_a, scale_b, bias, row, column, m, n, lead, a_step, b_step,
    SCALED: tl.constexpr, BIASED: tl.constexpr,
):  # fmt: skip
    """c [lead, row, column] = total, times the scales of a's and b's rows with a bias where there is one.

    The steps are 1 for scales by row and 0 for one scale.
    """
    if SCALED:
        of_a = tl.load(scale_a + row * a_step, mask=row < m, other=0.0)
        of_b = tl.load(scale_b + column * b_step, mask=column < n, other=0.0)
        total = total.to(tl.float32) * (of_a[:, None] * of_b[None, :])
    if BIASED:
        total += tl.load(bias + column, mask=column < n, other=0.0).to(total.dtype)[None, :]
    to = c + lead * m * n + row[:, None].to(tl.int64) * n + column[None, :]
    tl.store(to, narrowed(total, c.dtype.element_ty), mask=(row[:, None] < m) & (column[None, :] < n))


def launch(
    name: str, variant: str | None, a: Packed, b: Packed, bias: torch.Tensor | None, dtype: torch.dtype
) -> Launch:
    """The launch of kernel `name` for a [..., M, K] and b [..., N, K], of equal leading axes or none in b.

    UserError where they do not fit.
    """
    _check(name, variant, a, b, bias)
    *lead, m, k = a.shape
    n, words = b.shape[-2], b.words.shape[-1]
    if b.words.ndim == 3 and (a.scale is None or not a.scale.ndim):  # leading axes are more rows
        lead, m = [], prod(a.shape[:-1])
    a_lead, b_lead = m * words, n * words if b.words.ndim > 3 else 0
    scaled = a.scale is not None or b.scale is not None
    result = torch.empty((*a.shape[:-1], n), dtype=dtype if scaled else torch.int32, device=a.words.device)
    chosen = variant or ("counted" if m <= FEW_ROWS else "spread")
    tile = next(t for most, t in TILES[chosen] if m <= most)
    one = torch.ones((), device=a.words.device) if scaled else None
    scales = [one if p.scale is None else p.scale for p in (a, b)]
    steps = [0 if s is None else s.ndim for s in scales]
    constants = {
        "BLOCK_M": tile.m,
        "BLOCK_N": tile.n,
        "BLOCK_W": tile.words,
        "STAGES": tile.num_stages,
        "SCALED": scaled,
        "BIASED": bias is not None,
        "num_warps": tile.num_warps,
    }
    return Launch(
        chosen,
        (triton.cdiv(m, tile.m) * triton.cdiv(n, tile.n), prod(lead)),
        (a.words, b.words, *scales, bias, result, m, n, k, words, a_lead, b_lead, *steps),
        constants,
        result,
    )


def _check(name: str, variant: str | None, a: Packed, b: Packed, bias: torch.Tensor | None) -> None:
    checks.choice(name, "variant", variant, (None, *VARIANTS))
    checks.one_device(name, a=a.words, b=b.words, scale_a=a.scale, scale_b=b.scale, bias=bias)
    lead = b.shape[:-2]
    if b.columns != a.columns or lead not in ((), a.shape[:-2]):
        raise checks.refusal(
            name,
            asked=f"the product of a {list(a.shape)} and b {list(b.shape)}, both by rows",
            found="their rows differ in length, or their leading axes differ",
            next_step="give a [..., M, K] and b [..., N, K] of equal leading axes, or b without any",
        )
    if bias is not None:
        checks.shaped(name, bias=(bias, b.shape[-2:-1]))


def build(kernel: Any, few: bool, extra: str = "", **constants: Any) -> Build:
    """A build of one of the kernels, for few or for many rows, with a scale for each row of b."""
    tile = TILES[kernel.__name__][0 if few else -1][1]
    return Build(
        kernel,
        "a:*i32 b:*i32 scale_a:*fp32 scale_b:*fp32 bias:*fp32 c:*fp32 m:i32 n:i32/16 k:i32/16 words:i32/16 "
        f"a_lead:i32/16 b_lead:i32/16 {extra}",
        {
            "a_step": 0,
            "b_step": 1,
            "BLOCK_M": tile.m,
            "BLOCK_N": tile.n,
            "BLOCK_W": tile.words,
            "STAGES": tile.num_stages,
            "SCALED": True,
            "BIASED": False,
            **constants,
        },
        tile.num_warps,
    )
