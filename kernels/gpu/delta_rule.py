"""delta_rule: a state that corrects what it holds at a key, in chunks of the WY form.

Yang et al., arXiv 2406.06484: ``S_t = (I - beta_t k_t k_tᵀ) S_{t-1} + beta_t k_t v_tᵀ``, read as ``o_t =
S_tᵀ q_t``. With ``T = (I + tril(diag(beta) K Kᵀ, -1))⁻¹ diag(beta)`` of a chunk (section 3.2), its tokens
write the rows of ``Y = T V - T K S``: the chunk takes S to ``S + Kᵀ Y`` and reads ``Q S + tril(Q Kᵀ) Y``.
Three kernels: `prepare` makes T K and T V of all chunks at once, `walk` the states and Y, chunk after chunk
in a program that holds the state's rows whole, and `chunks.read` the outputs.

The inverse is made of halves by products, ``[[A, 0], [C, B]]⁻¹ = [[A⁻¹, 0], [-B⁻¹ C A⁻¹, B⁻¹]]``, from blocks
of 1 up. Powers of the triangle would be as many products, but grow like binomials and cancel where keys
repeat.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log2
from typing import Any

import torch
import triton
import triton.language as tl

from siliform.kernels.gpu import checks
from siliform.kernels.gpu.aot import Build
from siliform.kernels.gpu.arithmetic import dot
from siliform.kernels.gpu.chunks import (
    DTYPES,
    LEAST,
    WIDEST,
    along_rows,
    block_of,
    check_operands,
    outputs,
    tile,
)

WARPS = 8  # with 4, registers spill
STAGES = 2  # of loads under way: what shared memory has room for beside the widest keys


@dataclass(frozen=True)
class Way:
    """How a dtype is computed, so that neither registers nor shared memory overflow.

    Attributes
    ----------
    chunks : tokens of a chunk that may be asked for; the last one is taken unless told otherwise.
    precision : how fp32 tiles are multiplied, the inverse's too: no less precise than the dtype they are
        rounded to next. Three products of tf32 keep 22 bits; of plain fp32 there is no tensor core.
    widest_key : channels of keys at most, rows of the state that a program holds.
    columns : of the state in a program: few, since only columns and heads run beside each other.
    """

    chunks: tuple[int, ...]
    precision: str
    widest_key: int
    columns: int


WAYS = {
    torch.bfloat16: Way((16, 32, 64), "tf32", 256, 32),
    torch.float16: Way((16, 32), "tf32x3", 256, 32),
    torch.float32: Way((16, 32), "tf32x3", 128, 16),
}


@triton.jit
def lower_inverse(strict, SIZE: tl.constexpr, LEVELS: tl.constexpr, PRECISION: tl.constexpr):  # type: ignore[no-untyped-def]
    """``(I + strict)⁻¹`` of a strictly lower triangular fp32 tile of 2^LEVELS rows.

    Before a level, `inverse` holds the inverses of the diagonal's blocks of 2^level rows.
    """
    i, j = tl.arange(0, SIZE)[:, None], tl.arange(0, SIZE)[None, :]
    inverse = tl.where(i == j, 1.0, tl.where(i // 2 == j // 2, -strict, 0.0))
    for level in range(1, LEVELS):
        joined = ((i >> (level + 1)) == (j >> (level + 1))) & ((i >> level) != (j >> level))
        low = tl.dot(inverse, tl.where(joined, strict, 0.0), input_precision=PRECISION)
        inverse -= tl.dot(low, inverse, input_precision=PRECISION)
    return inverse


@triton.jit
def prepare(  # type: ignore[no-untyped-def]
    k, v, beta, w, u, heads, tokens, C, D,
    k_batch, k_head, k_row, v_batch, v_head, v_row, beta_batch, beta_head, beta_row,
    SIZE: tl.constexpr, LEVELS: tl.constexpr, PRECISION: tl.constexpr,
    BLOCK_C: tl.constexpr, BLOCK_D: tl.constexpr,
):  # fmt: skip
    """w [B, H, N, C] = T K and u [B, H, N, D] = T V, contiguous; one chunk of a head a program."""
    chunks = tl.cdiv(tokens, SIZE)
    every = (tl.program_id(0) // chunks).to(tl.int64)
    batch, head = every // heads, every % heads
    own = tl.arange(0, SIZE)
    row = tl.program_id(0) % chunks * SIZE + own
    from_k = k + batch * k_batch + head * k_head
    from_v = v + batch * v_batch + head * v_head
    at = beta + batch * beta_batch + head * beta_head + row.to(tl.int64) * beta_row
    step = tl.load(at, mask=row < tokens, other=0.0).to(tl.float32)
    strict = tl.zeros((SIZE, SIZE), tl.float32)
    for start in range(0, C, BLOCK_C):
        x = tile(from_k, row, tokens, start + tl.arange(0, BLOCK_C), C, k_row)
        strict = dot(x, tl.trans(x), strict)
    strict = tl.where(own[:, None] > own[None, :], strict * step[:, None], 0.0)
    turned = lower_inverse(strict, SIZE, LEVELS, PRECISION) * step[None, :]
    turned = turned.to(k.dtype.element_ty)
    to = every * tokens + row[:, None]
    for start in range(0, C, BLOCK_C):
        at_c = start + tl.arange(0, BLOCK_C)
        x = tile(from_k, row, tokens, at_c, C, k_row)
        made = dot(turned, x, tl.zeros((SIZE, BLOCK_C), tl.float32))
        kept = (row[:, None] < tokens) & (at_c[None, :] < C)
        tl.store(w + to * C + at_c[None, :], made.to(w.dtype.element_ty), mask=kept)
    for start in range(0, D, BLOCK_D):
        at_d = start + tl.arange(0, BLOCK_D)
        y = tile(from_v, row, tokens, at_d, D, v_row)
        made = dot(turned, y, tl.zeros((SIZE, BLOCK_D), tl.float32))
        kept = (row[:, None] < tokens) & (at_d[None, :] < D)
        tl.store(u + to * D + at_d[None, :], made.to(u.dtype.element_ty), mask=kept)


@triton.jit
def walk(  # type: ignore[no-untyped-def]
    k, w, u, written, before, heads, tokens, C, D, k_batch, k_head, k_row,
    SIZE: tl.constexpr, PRECISION: tl.constexpr, BLOCK_C: tl.constexpr, BLOCK_D: tl.constexpr,
):  # fmt: skip
    """written [B, H, N, D]: Y of the text above; before [B, H, n - 1, C, D]: states after all chunks but one.

    One program holds BLOCK_D columns of a head's state and all C rows of it, in fp32.
    """
    every = tl.program_id(0).to(tl.int64)
    at_c, at_d = tl.arange(0, BLOCK_C), tl.program_id(1) * BLOCK_D + tl.arange(0, BLOCK_D)
    inside = (at_c[:, None] < C) & (at_d[None, :] < D)
    from_k = k + every // heads * k_batch + every % heads * k_head
    from_w, from_u = w + every * tokens * C, u + every * tokens * D
    state = tl.zeros((BLOCK_C, BLOCK_D), tl.float32)
    chunks = tl.cdiv(tokens, SIZE)
    for chunk in range(chunks):
        row = chunk * SIZE + tl.arange(0, SIZE)
        held = dot(tile(from_w, row, tokens, at_c, C, C), state.to(w.dtype.element_ty),
                   tl.zeros((SIZE, BLOCK_D), tl.float32), None, PRECISION)  # fmt: skip
        change = tile(from_u, row, tokens, at_d, D, D).to(tl.float32) - held
        change = change.to(written.dtype.element_ty)
        kept = (row[:, None] < tokens) & (at_d[None, :] < D)
        tl.store(written + (every * tokens + row[:, None]) * D + at_d[None, :], change, mask=kept)
        state = dot(tl.trans(tile(from_k, row, tokens, at_c, C, k_row)), change, state, None, PRECISION)
        to = before + ((every * (chunks - 1) + chunk) * C + at_c[:, None]) * D + at_d[None, :]
        tl.store(to, state.to(before.dtype.element_ty), mask=inside & (chunk < chunks - 1))


def delta_rule(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, beta: torch.Tensor, chunk: int | None = None
) -> torch.Tensor:
    """q, k [B, H, N, c], v [B, H, N, d], beta [B, H, N] -> [B, H, N, d], c at most `widest_key` of `WAYS`.

    As `siliform.models.blocks.delta.delta_rule`. beta is in any dtype of the kernel; chunk is one of
    `chunks` of `WAYS`. States grow without bound unless keys are about normalised and beta in [0, 2].

    Raises
    ------
    UserError : shapes or dtypes that do not fit.
    """
    check_operands("delta_rule", LEAST, q, k, v)
    way = WAYS[q.dtype]
    checks.choice("delta_rule", "chunk", chunk, (None, *way.chunks))
    chunk = chunk or way.chunks[-1]
    checks.one_device("delta_rule", q=q, beta=beta)
    checks.dtypes("delta_rule", DTYPES, beta=beta)
    checks.shaped("delta_rule", k=(k, q.shape), v=(v, (*q.shape[:3], v.shape[3])), beta=(beta, q.shape[:3]))
    (batch, heads, tokens, c), d = k.shape, v.shape[3]
    if c > way.widest_key:
        raise checks.refusal(
            "delta_rule",
            asked=f"the kernel delta_rule with keys of {c} channels in {q.dtype}",
            found=f"it holds a state's rows in registers, {way.widest_key} of them at most",
            next_step="take more heads of fewer channels, or run siliform.models.blocks.delta",
        )
    q, k, v = along_rows(q, k, v)
    w, u, written = k.new_empty(k.shape), v.new_empty(v.shape), v.new_empty(v.shape)
    chunks = triton.cdiv(tokens, chunk)
    before = v.new_empty(batch, heads, max(chunks - 1, 0), c, d)
    if k.numel() and v.numel():
        prepare[(batch * heads * chunks,)](
            k, v, beta, w, u, heads, tokens, c, d, *k.stride()[:3], *v.stride()[:3], *beta.stride(),
            **_prepared(k.dtype, chunk, c, d))  # fmt: skip
        held = _held(k.dtype, c, d)
        walk[(batch * heads, triton.cdiv(d, held["BLOCK_D"]))](
            k, w, u, written, before, heads, tokens, c, d, *k.stride()[:3],
            SIZE=chunk, PRECISION=way.precision, **held)  # fmt: skip
    return outputs(v.new_empty(v.shape), q, k, written, before, chunk)


def _prepared(dtype: torch.dtype, chunk: int, c: int, d: int) -> dict[str, Any]:
    """Constants of `prepare`."""
    return {
        "SIZE": chunk,
        "LEVELS": int(log2(chunk)),
        "PRECISION": WAYS[dtype].precision,
        "BLOCK_C": block_of(c, dtype),
        "BLOCK_D": block_of(d, dtype),
        "num_warps": WARPS,
        "num_stages": STAGES,
    }


def _held(dtype: torch.dtype, c: int, d: int) -> dict[str, Any]:
    """Constants of `walk` but the chunk."""
    rows = max(LEAST, triton.next_power_of_2(c))
    columns = min(WAYS[dtype].columns, block_of(d, dtype))
    return {"BLOCK_C": rows, "BLOCK_D": columns, "num_warps": WARPS, "num_stages": STAGES}


def _builds(dtype: torch.dtype) -> tuple[Build, Build]:
    """Both kernels in the largest chunk of a dtype, for the widest keys."""
    chunk, format = WAYS[dtype].chunks[-1], {torch.bfloat16: "bf16", torch.float16: "fp16"}.get(dtype, "fp32")
    rows = "heads:i32 tokens:i32 C:i32/16 D:i32/16 k_batch:i32/16 k_head:i32/16 k_row:i32/16"
    of_values = (
        f"v:*{format} beta:*{format} v_batch:i32/16 v_head:i32/16 v_row:i32/16 beta_batch:i32 beta_head:i32"
    )
    made = f"k:*{format} w:*{format} u:*{format} {rows}"
    first = _prepared(dtype, chunk, WIDEST, WIDEST) | {"beta_row": 1}
    second = _held(dtype, WAYS[dtype].widest_key, WIDEST) | {
        "SIZE": chunk,
        "PRECISION": WAYS[dtype].precision,
    }
    for constants in (first, second):
        del constants["num_warps"], constants["num_stages"]
    return (
        Build(prepare, f"{made} {of_values}", first, WARPS, STAGES),
        Build(walk, f"{made} written:*{format} before:*{format}", second, WARPS, STAGES),
    )


#: What `siliform.kernels.gpu.aot` builds.
COMPILED = tuple(build for dtype in WAYS for build in _builds(dtype))
