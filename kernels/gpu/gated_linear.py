"""gated_linear: linear attention with a decay for each channel of the keys, or one for each head, in chunks.

Yang et al., arXiv 2312.06635: ``S_t = diag(g_t) S_{t-1} + k_t v_tᵀ``, read as ``o_t = S_tᵀ q_t``. The kernels
of `chunks` do all but the products of a chunk's own tokens where each channel decays by itself: ``sum_c q_ic
k_jc exp(total_ic - total_jc)`` is no product of two factors of which neither can overflow. So `key_scores`
cuts a chunk once more (section 4.3, secondary chunking): a part's tokens meet those of earlier parts by a
product, decays taken from where the part begins, so that no exponent is above 0, and each other one by one.
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
    DTYPES,
    WIDEST,
    along_rows,
    block_of,
    check_operands,
    outputs,
    states,
    tile,
    totals,
)

PART = 16  # tokens that meet one by one: the least a tensor core takes, and what the paper has


@triton.jit
def key_scores(  # type: ignore[no-untyped-def]
    q, k, total, scores, heads, tokens, C, q_batch, q_head, q_row, k_batch, k_head, k_row,
    SIZE: tl.constexpr, PART: tl.constexpr, BLOCK_C: tl.constexpr,
):  # fmt: skip
    """scores [B, H, N, SIZE]: decayed products with a chunk's tokens up to each; PART tokens a program."""
    parts = tl.cdiv(tokens, PART)
    part, every = tl.program_id(0) % parts, (tl.program_id(0) // parts).to(tl.int64)
    own, other = tl.arange(0, PART), tl.arange(0, SIZE)
    first = part * PART
    chunk = first // SIZE * SIZE
    row, column = first + own, chunk + other
    from_q = q + every // heads * q_batch + every % heads * q_head
    from_k = k + every // heads * k_batch + every % heads * k_head
    from_total = total + every * tokens * C
    acc = tl.zeros((PART, SIZE), tl.float32)
    for start in range(0, C, BLOCK_C):
        at_c = start + tl.arange(0, BLOCK_C)
        x = tile(from_q, row, tokens, at_c, C, q_row)
        passed = tile(from_total, row, tokens, at_c, C, C)
        if first > chunk:
            edge = tl.load(from_total + (first - 1).to(tl.int64) * C + at_c, mask=at_c < C, other=0.0)
            y = tile(from_k, column, first, at_c, C, k_row)
            reached = tl.exp(edge[None, :] - tile(from_total, column, first, at_c, C, C))
            decayed = tl.where(column[:, None] < first, y.to(tl.float32) * reached, 0.0).to(y.dtype)
            since = tl.where(row[:, None] < tokens, passed - edge[None, :], 0.0)
            left = (x.to(tl.float32) * tl.exp(since)).to(y.dtype)
            acc = dot(left, tl.trans(decayed), acc)
        for step in range(tl.minimum(PART, tokens - first)):
            there = (first + step).to(tl.int64)
            key = tl.load(from_k + there * k_row + at_c, mask=at_c < C, other=0.0).to(tl.float32)
            sums = tl.load(from_total + there * C + at_c, mask=at_c < C, other=0.0)
            later = (own[:, None] >= step) & (row[:, None] < tokens)
            reached = tl.exp(tl.where(later, passed - sums[None, :], 0.0))
            met = tl.sum(x.to(tl.float32) * reached * key[None, :], 1)
            here = other[None, :] == first - chunk + step
            acc += tl.where(later & here, met[:, None], 0.0)
    to = scores + (every * tokens + row[:, None]) * SIZE + other[None, :]
    tl.store(to, acc, mask=(row[:, None] < tokens) & (other[None, :] < SIZE))


def gated_linear(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    log_gate: torch.Tensor,
    *,
    normalised: bool = False,
    chunk: int = CHUNK,
) -> torch.Tensor:
    """q, k [B, H, N, c], v [B, H, N, d], log_gate <= 0, [B, H, N, c] or [B, H, N] -> [B, H, N, d].

    The recurrence of `siliform.models.blocks.gated_linear`; `normalised` divides by the same sums with 1 in
    place of v. log_gate is in any dtype of the kernel, its sums are in fp32. A chunk is one of
    `chunks.CHUNKS`.

    Raises
    ------
    UserError : shapes or dtypes that do not fit.
    """
    check_operands("gated_linear", chunk, q, k, v)
    checks.one_device("gated_linear", q=q, log_gate=log_gate)
    checks.dtypes("gated_linear", DTYPES, log_gate=log_gate)
    checks.shaped("gated_linear", k=(k, q.shape), v=(v, (*q.shape[:3], v.shape[3])))
    of_key = log_gate.ndim == q.ndim
    checks.shaped("gated_linear", log_gate=(log_gate, q.shape if of_key else q.shape[:3]))
    q, k, v = along_rows(q, k, v)
    total = totals(log_gate if of_key else log_gate.unsqueeze(-1), chunk)
    scores = _scores(q, k, total, chunk) if total.shape[3] > 1 else None
    before, counts = states(k, v, chunk, total, counted=normalised)
    return outputs(v.new_empty(v.shape), q, k, v, before, chunk, counts, total, scores)


def _scores(q: torch.Tensor, k: torch.Tensor, total: torch.Tensor, chunk: int) -> torch.Tensor:
    """Decayed products [B, H, N, Q] of each token with those of its chunk up to itself, in fp32."""
    batch, heads, tokens, c = q.shape
    made = total.new_empty(batch, heads, tokens, chunk)
    grid = (batch * heads * triton.cdiv(tokens, PART),)
    if made.numel():
        key_scores[grid](q, k, total, made, heads, tokens, c, *q.stride()[:3], *k.stride()[:3],
                         SIZE=chunk, PART=PART, BLOCK_C=block_of(c, q.dtype))  # fmt: skip
    return made


#: What `siliform.kernels.gpu.aot` builds.
COMPILED = (
    Build(
        key_scores,
        "q:*bf16 k:*bf16 total:*fp32 scores:*fp32 heads:i32 tokens:i32 C:i32/16 q_batch:i32/16 "
        "q_head:i32/16 q_row:i32/16 k_batch:i32/16 k_head:i32/16 k_row:i32/16",
        {"SIZE": CHUNK, "PART": PART, "BLOCK_C": WIDEST},
    ),
)
