"""hash_codes: a token's binary code from its kernel distances to anchors, as EcoFormer hashes it.

A program takes some tokens of one set of anchors, such as a head's, and goes through the anchors: distance,
exponential and what that adds to the score of each bit stay in registers. Distances are sums of squared
differences, not ``|x|² + |a|² - 2 x a``, whose cancellation would turn signs; nothing runs on tensor cores.
Source: Liu et al., EcoFormer, arXiv 2209.09004.
"""

from __future__ import annotations

from math import prod

import torch
import triton
import triton.language as tl

from siliform.kernels.gpu import checks
from siliform.kernels.gpu.aot import Build
from siliform.kernels.gpu.arithmetic import widened

DTYPES = (torch.bfloat16, torch.float16, torch.float32)
TOKENS = 64  # of a program: 4 warps hold 64 tokens of 64 elements in 32 registers each


@triton.jit
def codes_of(  # type: ignore[no-untyped-def]
    x, anchors, rate, means, weight, codes, n, d, count, bits, sets,
    TOKENS: tl.constexpr, D: tl.constexpr, BITS: tl.constexpr,
):  # fmt: skip
    """codes [L, sets, n, bits] of x [L, sets, n, d]; anchors [sets, count, d], weight [sets, bits, count]."""
    token = tl.program_id(0) * TOKENS + tl.arange(0, TOKENS)
    group = tl.program_id(1).to(tl.int64)
    known = group % sets
    at, bit = tl.arange(0, D), tl.arange(0, BITS)
    inside = (token[:, None] < n) & (at[None, :] < d)
    given = widened(tl.load(x + (group * n + token[:, None]) * d + at[None, :], mask=inside, other=0.0))
    fall = -widened(tl.load(rate + known))
    score = tl.zeros((TOKENS, BITS), tl.float32)
    for m in range(count):
        place = known * count + m
        anchor = widened(tl.load(anchors + place * d + at, mask=at < d, other=0.0))
        apart = given - anchor[None, :]
        near = tl.exp(fall * tl.sum(apart * apart, axis=1)) - widened(tl.load(means + place))
        of_bit = tl.load(weight + (known * bits + bit) * count + m, mask=bit < bits, other=0.0)
        score += near[:, None] * widened(of_bit)[None, :]
    to = codes + (group * n + token[:, None]) * bits + bit[None, :]
    tl.store(to, tl.where(score >= 0, 1, -1).to(tl.int8), mask=(token[:, None] < n) & (bit[None, :] < bits))


def hash_codes(
    x: torch.Tensor, anchors: torch.Tensor, rate: torch.Tensor, means: torch.Tensor, weight: torch.Tensor
) -> torch.Tensor:
    """x [..., *S, N, D], anchors [*S, M, D], rate [*S], means [*S, M], weight [*S, bits, M] -> int8 codes.

    Codes are 1 and -1 [..., *S, N, bits], scores in fp32; sign(0) = 1, and a score that is no number gives
    -1. UserError for shapes or dtypes that do not fit.
    """
    operands = {"x": x, "anchors": anchors, "rate": rate, "means": means, "weight": weight}
    (result,) = checks.op_types("hash_codes", "hash_codes", *operands.values())
    checks.one_device("hash_codes", **operands)
    checks.dtypes("hash_codes", DTYPES, **operands)
    sets, (count, d), bits, n = prod(anchors.shape[:-2]), anchors.shape[-2:], weight.shape[-2], x.shape[-2]
    codes = torch.empty(result.shape, dtype=torch.int8, device=x.device)
    groups = prod(x.shape[:-2])
    codes_of[(triton.cdiv(n, TOKENS), groups)](
        *(t.contiguous() for t in operands.values()), codes, n, d, count, bits, sets,
        TOKENS=TOKENS, D=triton.next_power_of_2(d), BITS=triton.next_power_of_2(bits),
    )  # fmt: skip
    return codes


COMPILED = (
    Build(
        codes_of,
        "x:*bf16 anchors:*bf16 rate:*fp32 means:*fp32 weight:*fp32 codes:*i8 n:i32 d:i32/16 count:i32 "
        "bits:i32/16 sets:i32",
        {"TOKENS": TOKENS, "D": 64, "BITS": 16},
    ),
)
