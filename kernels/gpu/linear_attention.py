"""linear_attention: features of queries and keys in place of softmax, over all tokens or those up to each.

``y_i = phi(q_i) (sum_j phi(k_j) v_jᵀ) / (phi(q_i) . sum_j phi(k_j))`` (Katharopoulos et al., arXiv
2006.16236, equations 4 to 7). Over all tokens: `contexts` sums phi(k) vᵀ over stretches of the tokens, as
many as occupy the GPU, and `mix` reads their sum; features are made as tiles are read. Causal: the kernels of
`chunks` without decay. Sums are in fp32, and a tensor core reads them in the operands' dtype.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl

from siliform.kernels.gpu import checks
from siliform.kernels.gpu.aot import Build
from siliform.kernels.gpu.arithmetic import dot
from siliform.kernels.gpu.chunks import (
    CHUNK,
    FEATURES,
    TINY,
    WIDEST,
    along_rows,
    block_of,
    check_operands,
    featured,
    outputs,
    states,
    tile,
)
from siliform.kernels.gpu.device import multiprocessors

ROWS = 64  # tokens of a tile
WAVES = 2  # programs for each multiprocessor that stretches are cut for, so that one waits while one computes


@triton.jit
def contexts(  # type: ignore[no-untyped-def]
    k, v, context, counts, heads, tokens, stretch, C, D, k_batch, k_head, k_row, v_batch, v_head, v_row,
    FEATURES: tl.constexpr, ROWS: tl.constexpr, BLOCK_C: tl.constexpr, BLOCK_D: tl.constexpr,
):  # fmt: skip
    """context [B, H, stretches, C, D] and counts [B, H, stretches, C] of `stretch` tokens each."""
    stretches = tl.cdiv(tokens, stretch)
    every = (tl.program_id(0) // stretches).to(tl.int64)
    at_c = tl.program_id(1) * BLOCK_C + tl.arange(0, BLOCK_C)
    at_d = tl.program_id(2) * BLOCK_D + tl.arange(0, BLOCK_D)
    from_k = k + every // heads * k_batch + every % heads * k_head
    from_v = v + every // heads * v_batch + every % heads * v_head
    acc, count = tl.zeros((BLOCK_C, BLOCK_D), tl.float32), tl.zeros((BLOCK_C,), tl.float32)
    first = tl.program_id(0) % stretches * stretch
    end = tl.minimum(first + stretch, tokens)
    for start in range(first, end, ROWS):
        row = start + tl.arange(0, ROWS)
        x = featured(tile(from_k, row, end, at_c, C, k_row), row, end, at_c, C, FEATURES)
        acc = dot(tl.trans(x), tile(from_v, row, end, at_d, D, v_row), acc)
        count += tl.sum(x.to(tl.float32), 0)
    to = tl.program_id(0).to(tl.int64)
    inside = (at_c[:, None] < C) & (at_d[None, :] < D)
    tl.store(context + (to * C + at_c[:, None]) * D + at_d[None, :], acc, mask=inside)
    tl.store(counts + to * C + at_c, count, mask=(at_c < C) & (tl.program_id(2) == 0))


@triton.jit
def mix(  # type: ignore[no-untyped-def]
    q, context, counts, out, heads, tokens, C, D, q_batch, q_head, q_row,
    FEATURES: tl.constexpr, NORMALISED: tl.constexpr,
    ROWS: tl.constexpr, BLOCK_C: tl.constexpr, BLOCK_D: tl.constexpr,
):  # fmt: skip
    """out [B, H, N, D] contiguous, of context [B, H, C, D] and counts [B, H, C]; ROWS tokens a program."""
    tiles = tl.cdiv(tokens, ROWS)
    every = (tl.program_id(0) // tiles).to(tl.int64)
    row = tl.program_id(0) % tiles * ROWS + tl.arange(0, ROWS)
    at_d = tl.program_id(1) * BLOCK_D + tl.arange(0, BLOCK_D)
    from_q = q + every // heads * q_batch + every % heads * q_head
    acc, weight = tl.zeros((ROWS, BLOCK_D), tl.float32), tl.zeros((ROWS,), tl.float32)
    for start in range(0, C, BLOCK_C):
        at_c = start + tl.arange(0, BLOCK_C)
        x = featured(tile(from_q, row, tokens, at_c, C, q_row), row, tokens, at_c, C, FEATURES)
        acc = dot(x, tile(context + every * C * D, at_c, C, at_d, D, D), acc)
        if NORMALISED:
            count = tl.load(counts + every * C + at_c, mask=at_c < C, other=0.0)
            weight += tl.sum(x.to(tl.float32) * count[None, :], 1)
    if NORMALISED:
        acc /= (weight + TINY)[:, None]
    to = out + (every * tokens + row[:, None]) * D + at_d[None, :]
    tl.store(to, acc.to(out.dtype.element_ty), mask=(row[:, None] < tokens) & (at_d[None, :] < D))


def linear_attention(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    *,
    causal: bool = False,
    normalised: bool = True,
    features: str | None = "elu",
    chunk: int = CHUNK,
) -> torch.Tensor:
    """q, k [B, H, N, c], v [B, H, N, d] -> [B, H, N, d].

    Parameters
    ----------
    causal : sums over tokens up to each; over all tokens q may have more or fewer than k and v.
    normalised : divided by the sum of weights plus 1e-6.
    features : "elu" for ``elu(x) + 1``; None for q and k that are features already.
    chunk : tokens of a chunk of the causal form, one of `chunks.CHUNKS`.

    Raises
    ------
    UserError : shapes or dtypes that do not fit.
    """
    checks.choice("linear_attention", "features", features, FEATURES)
    check_operands("linear_attention", chunk, q, k, v)
    checks.shaped("linear_attention", v=(v, (*k.shape[:3], v.shape[3])))
    q, k, v = along_rows(q, k, v)
    made = v.new_empty(*q.shape[:3], v.shape[3])
    if not causal:
        return _over_all(made, q, k, v, features, normalised)
    checks.shaped("linear_attention", q=(q, k.shape))
    before, counts = states(k, v, chunk, features=features, counted=normalised)
    return outputs(made, q, k, v, before, chunk, counts, features=features)


def stretch_for(programs: int, tokens: int, processors: int) -> int:
    """Tokens that one program sums up, where `programs` of them would each take all: whole tiles."""
    wanted = max(1, WAVES * processors // max(1, programs))
    return max(1, triton.cdiv(triton.cdiv(tokens, wanted), ROWS)) * ROWS


def _over_all(
    made: torch.Tensor,
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    features: str | None,
    normalised: bool,
) -> torch.Tensor:
    """`made` [B, H, N, d], filled; contexts of stretches are added up between the two kernels."""
    (batch, heads, tokens, c), d = k.shape, v.shape[3]
    blocks = {"BLOCK_C": block_of(c, v.dtype), "BLOCK_D": block_of(d, v.dtype)}
    across = (triton.cdiv(c, blocks["BLOCK_C"]), triton.cdiv(d, blocks["BLOCK_D"]))
    stretch = stretch_for(batch * heads * across[0] * across[1], tokens, multiprocessors(k.device))
    stretches = triton.cdiv(tokens, stretch)
    parts = v.new_empty(batch, heads, stretches, c, d, dtype=torch.float32)
    counted = v.new_empty(batch, heads, stretches, c, dtype=torch.float32)
    if parts.numel():
        contexts[(batch * heads * stretches, *across)](
            k, v, parts, counted, heads, tokens, stretch, c, d, *k.stride()[:3], *v.stride()[:3],
            FEATURES=features, ROWS=ROWS, **blocks)  # fmt: skip
    context, counts = parts.sum(2).to(v.dtype), counted.sum(2)
    grid = (batch * heads * triton.cdiv(q.shape[2], ROWS), across[1])
    if made.numel():
        mix[grid](q, context, counts, made, heads, q.shape[2], c, d, *q.stride()[:3],
                  FEATURES=features, NORMALISED=normalised, ROWS=ROWS, **blocks)  # fmt: skip
    return made


_TILE = {"FEATURES": "elu", "ROWS": ROWS, "BLOCK_C": WIDEST, "BLOCK_D": WIDEST}
#: What `siliform.kernels.gpu.aot` builds.
COMPILED = (
    Build(
        contexts,
        "k:*bf16 v:*bf16 context:*fp32 counts:*fp32 heads:i32 tokens:i32 stretch:i32/16 C:i32/16 D:i32/16 "
        "k_batch:i32/16 k_head:i32/16 k_row:i32/16 v_batch:i32/16 v_head:i32/16 v_row:i32/16",
        _TILE,
    ),
    Build(
        mix,
        "q:*bf16 context:*bf16 counts:*fp32 out:*bf16 heads:i32 tokens:i32 C:i32/16 D:i32/16 "
        "q_batch:i32/16 q_head:i32/16 q_row:i32/16",
        {**_TILE, "NORMALISED": True},
    ),
)
