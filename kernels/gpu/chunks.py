"""What recurrences over tokens share: chunks whose states follow each other, and products inside them.

A state ``S [c, d]`` takes up ``S_t = diag(g_t) S_{t-1} + k_t v_tᵀ`` and is read as ``o_t = S_tᵀ q_t``, where
``g_t`` is 1, one decay of the whole head, or one of each channel of the keys. With `total` the sum of log
decays in a chunk up to a token, itself included, a chunk of Q tokens is read as::

    o_i = exp(total_i) q_i S + sum_{j <= i} (q_i . exp(total_i - total_j) k_j) v_j
    S'  = exp(total_Q) S + sum_j exp(total_Q - total_j) k_j v_jᵀ

No exponent is above 0, so that nothing overflows however strong the decay. Three kernels: `add_up` makes
totals, `carry` walks the chunks of a head and leaves the state before each, `read` takes all chunks at once.
Sources: Dao and Gu, Mamba-2, arXiv 2405.21060, section 6; Yang et al., gated linear attention, arXiv
2312.06635, section 4; Hua et al., arXiv 2202.10447, section 3.3. States are summed up in fp32 and left in the
operands' dtype, in which a tensor core reads them.

Shapes: B batch, H heads, G groups of heads that share q and k, N tokens, c width of keys, d width of values,
n chunks of Q tokens. The last axis of q, k and v is contiguous, all others are free.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl

from siliform.kernels.gpu import checks
from siliform.kernels.gpu.aot import Build
from siliform.kernels.gpu.arithmetic import dot

DTYPES = (torch.bfloat16, torch.float16, torch.float32)
#: Tokens of a chunk: 64 balances the Q² products inside chunks against states, of which N / Q are written.
CHUNKS = (16, 32, 64, 128)  # the last one not of fp32
CHUNK = 64
FEATURES = (None, "elu")
LEAST = 16  # the least extent of a tile that `tl.dot` takes
WIDEST = 64  # columns of a tile, half of that of fp32, which else spills registers
#: Added to normalisers, which are positive for positive features.
TINY = tl.constexpr(1e-6)  # as in models/blocks/linear_attention.py, the authors' default
NOBODY = tl.constexpr(-1)  # whose state there is before the first token: no segment has a negative number


@triton.jit
def tile(at, row, rows, column, columns, stride):  # type: ignore[no-untyped-def]
    """x [R, K] at `at`, of rows `row` and columns `column`, zero from `rows` and `columns` on."""
    kept = (row[:, None] < rows) & (column[None, :] < columns)
    return tl.load(at + row[:, None].to(tl.int64) * stride + column[None, :], mask=kept, other=0.0)


@triton.jit
def featured(x, row, rows, column, columns, FEATURES: tl.constexpr):  # type: ignore[no-untyped-def]
    """``elu(x) + 1`` of a tile (Katharopoulos et al., arXiv 2006.16236, equation 7), zero outside; or x."""
    if FEATURES is None:
        return x
    kept = (row[:, None] < rows) & (column[None, :] < columns)
    wide = x.to(tl.float32)
    positive = tl.where(wide > 0, wide + 1, tl.exp(tl.minimum(wide, 0.0)))
    return tl.where(kept, positive, 0.0).to(x.dtype)


@triton.jit
def add_up(  # type: ignore[no-untyped-def]
    gate, total, heads, tokens, width, gate_batch, gate_head, gate_row, gate_column,
    SIZE: tl.constexpr, BLOCK_C: tl.constexpr,
):  # fmt: skip
    """total [B, H, N, width] of log decays gate, which has any strides; one chunk a program."""
    chunks = tl.cdiv(tokens, SIZE)
    chunk, every = tl.program_id(0) % chunks, (tl.program_id(0) // chunks).to(tl.int64)
    row = chunk * SIZE + tl.arange(0, SIZE)
    column = tl.program_id(1) * BLOCK_C + tl.arange(0, BLOCK_C)
    kept = (row[:, None] < tokens) & (column[None, :] < width)
    at = gate + every // heads * gate_batch + every % heads * gate_head
    at += row[:, None].to(tl.int64) * gate_row + column[None, :] * gate_column
    sums = tl.cumsum(tl.load(at, mask=kept, other=0.0).to(tl.float32), 0)
    tl.store(total + (every * tokens + row[:, None]) * width + column[None, :], sums, mask=kept)


@triton.jit
def carry(  # type: ignore[no-untyped-def]
    k, v, total, segments, before, counts, heads, shared, tokens, C, D,
    k_batch, k_head, k_row, v_batch, v_head, v_row,
    DECAY: tl.constexpr, FEATURES: tl.constexpr, SIZE: tl.constexpr,
    BLOCK_C: tl.constexpr, BLOCK_D: tl.constexpr,
):  # fmt: skip
    """before [B, H, n - 1, C, D] and counts [B, H, n - 1, C]: the states of v, and of 1, after a chunk.

    A program walks the whole chunks of a head for one tile of the state. DECAY is None, "head" (total
    [B, H, N, 1]) or "key" ([B, H, N, C]); segments is None or [B, N], counts is None where nobody counts.
    """
    every = tl.program_id(0).to(tl.int64)
    batch, head = every // heads, every % heads
    at_c = tl.program_id(1) * BLOCK_C + tl.arange(0, BLOCK_C)
    at_d = tl.program_id(2) * BLOCK_D + tl.arange(0, BLOCK_D)
    inside = (at_c[:, None] < C) & (at_d[None, :] < D)
    from_k = k + batch * k_batch + head // shared * k_head
    from_v = v + batch * v_batch + head * v_head
    state, count = tl.zeros((BLOCK_C, BLOCK_D), tl.float32), tl.zeros((BLOCK_C,), tl.float32)
    chunks = tl.cdiv(tokens, SIZE)
    for chunk in range(chunks - 1):
        row = chunk * SIZE + tl.arange(0, SIZE)
        end = chunk * SIZE + SIZE - 1
        x = featured(tile(from_k, row, tokens, at_c, C, k_row), row, tokens, at_c, C, FEATURES)
        y = tile(from_v, row, tokens, at_d, D, v_row)
        if DECAY == "key":
            of = total + every * tokens * C
            last = tl.load(of + end * C + at_c, mask=at_c < C, other=0.0)
            left = tl.exp(last[None, :] - tile(of, row, tokens, at_c, C, C))
            x = (x.to(tl.float32) * left).to(x.dtype)
            state, count = state * tl.exp(last)[:, None], count * tl.exp(last)
        elif DECAY == "head":
            of = total + every * tokens
            last = tl.load(of + end)
            left = tl.exp(last - tl.load(of + row))
            kept = tl.exp(last)
            if segments is not None:
                named = segments + batch * tokens
                owner = tl.load(named + end)
                found = tl.load(named + tl.maximum(chunk * SIZE - 1, 0))
                left = tl.where(tl.load(named + row) == owner, left, 0.0)
                kept = tl.where((owner == found) & (chunk > 0), kept, 0.0)
            x = (x.to(tl.float32) * left[:, None]).to(x.dtype)
            state, count = state * kept, count * kept
        state = dot(tl.trans(x), y, state)
        to = every * (chunks - 1) + chunk
        tl.store(before + (to * C + at_c[:, None]) * D + at_d[None, :], state.to(before.dtype.element_ty),
                 mask=inside)  # fmt: skip
        if counts is not None:
            count += tl.sum(x.to(tl.float32), 0)
            tl.store(counts + to * C + at_c, count, mask=(at_c < C) & (tl.program_id(2) == 0))


@triton.jit
def read(  # type: ignore[no-untyped-def]
    q, k, v, total, scores, segments, before, counts, out, heads, shared, tokens, C, D,
    q_batch, q_head, q_row, k_batch, k_head, k_row, v_batch, v_head, v_row, out_batch, out_head, out_row,
    DECAY: tl.constexpr, FEATURES: tl.constexpr, SIZE: tl.constexpr,
    BLOCK_C: tl.constexpr, BLOCK_D: tl.constexpr,
):  # fmt: skip
    """out [B, H, N, D], one chunk of a head and BLOCK_D of its columns a program; divided by counts if given.

    Where DECAY is "key", scores [B, H, N, SIZE] hold the decayed products of a chunk's tokens.
    """
    chunks = tl.cdiv(tokens, SIZE)
    chunk, every = tl.program_id(0) % chunks, (tl.program_id(0) // chunks).to(tl.int64)
    batch, head = every // heads, every % heads
    own = tl.arange(0, SIZE)
    row = chunk * SIZE + own
    at_d = tl.program_id(1) * BLOCK_D + tl.arange(0, BLOCK_D)
    from_q = q + batch * q_batch + head // shared * q_head
    from_k = k + batch * k_batch + head // shared * k_head
    found = every * (chunks - 1) + chunk - 1
    acc, weight = tl.zeros((SIZE, BLOCK_D), tl.float32), tl.zeros((SIZE,), tl.float32)
    within = tl.zeros((SIZE, SIZE), tl.float32)
    for start in range(0, C, BLOCK_C):
        at_c = start + tl.arange(0, BLOCK_C)
        x = featured(tile(from_q, row, tokens, at_c, C, q_row), row, tokens, at_c, C, FEATURES)
        if DECAY == "key":
            passed = tl.exp(tile(total + every * tokens * C, row, tokens, at_c, C, C))
            x = (x.to(tl.float32) * passed).to(x.dtype)
        else:
            y = featured(tile(from_k, row, tokens, at_c, C, k_row), row, tokens, at_c, C, FEATURES)
            within = dot(x, tl.trans(y), within)
        if chunk > 0:
            acc = dot(x, tile(before + found * C * D, at_c, C, at_d, D, D), acc)
            if counts is not None:
                counted = tl.load(counts + found * C + at_c, mask=at_c < C, other=0.0)
                weight += tl.sum(x.to(tl.float32) * counted[None, :], 1)
    seen = (own[:, None] >= own[None, :]) & (row[:, None] < tokens)
    if DECAY == "key":
        within = tile(scores + every * tokens * SIZE, row, tokens, own, SIZE, SIZE)
    elif DECAY == "head":
        passed = tl.load(total + every * tokens + row, mask=row < tokens, other=0.0)
        within *= tl.exp(tl.where(seen, passed[:, None] - passed[None, :], 0.0))
        passed = tl.exp(passed)
        if segments is not None:
            named = segments + batch * tokens
            owner = tl.load(named + row, mask=row < tokens, other=NOBODY)
            seen &= owner[:, None] == owner[None, :]
            passed = tl.where(owner == tl.load(named + tl.maximum(chunk * SIZE - 1, 0)), passed, 0.0)
        acc, weight = acc * passed[:, None], weight * passed
    within = tl.where(seen, within, 0.0)
    y = tile(v + batch * v_batch + head * v_head, row, tokens, at_d, D, v_row)
    acc = dot(within.to(y.dtype), y, acc)
    if counts is not None:
        acc /= (weight + tl.sum(within, 1) + TINY)[:, None]
    to = out + batch * out_batch + head * out_head + row[:, None].to(tl.int64) * out_row + at_d[None, :]
    tl.store(to, acc.to(out.dtype.element_ty), mask=(row[:, None] < tokens) & (at_d[None, :] < D))


def totals(log_decay: torch.Tensor, chunk: int) -> torch.Tensor:
    """Log decays [B, H, N, w] of any strides -> their sums in chunks up to each token, fp32."""
    batch, heads, tokens, width = log_decay.shape
    made = log_decay.new_empty(log_decay.shape, dtype=torch.float32)
    block = min(WIDEST, triton.next_power_of_2(width))
    grid = (batch * heads * triton.cdiv(tokens, chunk), triton.cdiv(width, block))
    if made.numel():
        add_up[grid](log_decay, made, heads, tokens, width, *log_decay.stride(), SIZE=chunk, BLOCK_C=block)
    return made


def states(
    k: torch.Tensor,
    v: torch.Tensor,
    chunk: int,
    total: torch.Tensor | None = None,
    segments: torch.Tensor | None = None,
    features: str | None = None,
    counted: bool = False,
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """States before the second and later chunks [B, H, n - 1, c, d], and with `counted` those of 1.

    k [B, G, N, c], v [B, H, N, d], total [B, H, N, 1 or c], segments [B, N] ascending from 0.
    """
    (batch, heads, tokens, d), c = v.shape, k.shape[3]
    later = max(triton.cdiv(tokens, chunk) - 1, 0)
    before = v.new_empty(batch, heads, later, c, d)
    counts = v.new_empty(batch, heads, later, c, dtype=torch.float32) if counted else None
    constants = _constants(k.dtype, total, features, chunk, c, d)
    grid = (batch * heads, triton.cdiv(c, constants["BLOCK_C"]), triton.cdiv(d, constants["BLOCK_D"]))
    if before.numel():
        carry[grid](k, v, total, segments, before, counts, heads, heads // k.shape[1], tokens, c, d,
                    *k.stride()[:3], *v.stride()[:3], **constants)  # fmt: skip
    return before, counts


def outputs(
    made: torch.Tensor,
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    before: torch.Tensor,
    chunk: int,
    counts: torch.Tensor | None = None,
    total: torch.Tensor | None = None,
    scores: torch.Tensor | None = None,
    segments: torch.Tensor | None = None,
    features: str | None = None,
) -> torch.Tensor:
    """`made` [B, H, N, d], filled: q, k [B, G, N, c], v [B, H, N, d], the rest as `states` takes and makes.

    scores [B, H, N, Q] where total is [B, H, N, c] with c above 1.
    """
    (batch, heads, tokens, d), c = v.shape, k.shape[3]
    constants = _constants(k.dtype, total, features, chunk, c, d)
    grid = (batch * heads * triton.cdiv(tokens, chunk), triton.cdiv(d, constants["BLOCK_D"]))
    if made.numel():
        read[grid](q, k, v, total, scores, segments, before, counts, made, heads, heads // k.shape[1],
                   tokens, c, d, *q.stride()[:3], *k.stride()[:3], *v.stride()[:3], *made.stride()[:3],
                   **constants)  # fmt: skip
    return made


def check_operands(kernel: str, chunk: int, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> None:
    """UserError unless q, k [B, G, N, c] and v [B, H, N, d] agree, G divides H, and a chunk is of `CHUNKS`.

    q may have another number of tokens than k and v: a causal kernel asks for more.
    """
    checks.one_device(kernel, q=q, k=k, v=v)
    checks.dtypes(kernel, DTYPES, q=q, k=k, v=v)
    checks.same_dtype(kernel, q=q, k=k, v=v)
    checks.choice(kernel, "chunk", chunk, CHUNKS[:-1] if q.dtype is torch.float32 else CHUNKS)
    for name, operand in {"q": q, "k": k, "v": v}.items():
        if operand.ndim != 4:
            raise checks.refusal(
                kernel,
                asked=f"the kernel {kernel} with {name} of shape {list(operand.shape)}",
                found="it takes four axes, such as batch, heads, tokens and width",
                next_step="add axes of extent 1 with Tensor.unsqueeze",
            )
    checks.shaped(kernel, k=(k, (*q.shape[:2], k.shape[2], q.shape[3])))
    checks.shaped(kernel, v=(v, (q.shape[0], v.shape[1], k.shape[2], v.shape[3])))
    groups, heads = q.shape[1], v.shape[1]
    if heads % groups:
        raise checks.refusal(
            kernel,
            asked=f"the kernel {kernel} with {heads} heads of values and {groups} of keys",
            found="each head of keys serves as many heads of values",
            next_step="give as many heads of values as of keys, or a multiple",
        )


def along_rows(*operands: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """The operands, copied where their last axis is not contiguous."""
    return tuple(t if t.stride(-1) == 1 else t.contiguous() for t in operands)


def block_of(width: int, dtype: torch.dtype) -> int:
    """Columns of a tile for a row of that many."""
    widest = WIDEST // 2 if dtype is torch.float32 else WIDEST
    return int(min(widest, max(LEAST, triton.next_power_of_2(width))))


def _constants(
    dtype: torch.dtype, total: torch.Tensor | None, features: str | None, chunk: int, c: int, d: int
) -> dict[str, Any]:
    decay = None if total is None else "head" if total.shape[3] == 1 else "key"
    return {
        "DECAY": decay,
        "FEATURES": features,
        "SIZE": chunk,
        "BLOCK_C": block_of(c, dtype),
        "BLOCK_D": block_of(d, dtype),
        "num_warps": 8 if chunk > CHUNK or dtype is torch.float32 else 4,
        "num_stages": 2,
    }


_SIZES = "heads:i32 shared:i32 tokens:i32 C:i32/16 D:i32/16 k_batch:i32/16 k_head:i32/16 k_row:i32/16 "
_SIZES += "v_batch:i32/16 v_head:i32/16 v_row:i32/16 "


def _build(
    kernel: Any, decay: str | None, *given: str, features: str | None = None, dtype: str = "bf16"
) -> Build:
    """A build with those of the optional operands that are given."""
    wide = dtype == "fp32"
    block = WIDEST // 2 if wide else WIDEST
    constants = {"DECAY": decay, "FEATURES": features, "SIZE": CHUNK, "BLOCK_C": block, "BLOCK_D": block}
    signature = f"k:*{dtype} v:*{dtype} before:*{dtype} {_SIZES}"
    if kernel is read:
        signature += f"q:*{dtype} out:*{dtype} q_batch:i32/16 q_head:i32/16 q_row:i32/16 "
        signature += "out_batch:i32/16 out_head:i32/16 out_row:i32/16 "
    optional = ("total", "segments", "counts", *(("scores",) if kernel is read else ()))
    formats = dict.fromkeys(optional, "fp32") | {"segments": "i64"}
    signature += " ".join(f"{name}:*{formats[name]}" for name in given)
    absent: dict[str, Any] = {name: None for name in optional if name not in given}
    return Build(kernel, signature, constants | absent, 8 if wide else 4, 2)


#: What `siliform.kernels.gpu.aot` builds.
COMPILED = (
    Build(
        add_up,
        "gate:*bf16 total:*fp32 heads:i32 tokens:i32 width:i32/16 gate_batch:i32/16 gate_head:i32/16 "
        "gate_row:i32/16",
        {"gate_column": 1, "SIZE": CHUNK, "BLOCK_C": WIDEST},
    ),
    _build(carry, None, "counts", features="elu"),
    _build(carry, "head", "total", "segments"),
    _build(carry, "key", "total", "counts"),
    _build(read, None, "counts", features="elu"),
    _build(read, "head", "total", "segments"),
    _build(read, "key", "total", "scores", "counts"),
    _build(read, None, "counts", features="elu", dtype="fp32"),
    _build(carry, "key", "total", "counts", dtype="fp32"),
)
