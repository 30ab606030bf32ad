"""varlen_attention: attention within each sequence of a packed batch, in which no padding exists.

The grouped form of ByteTransformer (Zhai et al., arXiv 2210.03052, section III.E): the tiles of queries of
all sequences lie in one line, and programs find the sequence of theirs by prefix sums of tiles, which each
makes for itself out of the lengths. So a short sequence costs as many tiles as it has, and nothing is read
back to the host: as many programs are launched as there can be tiles at most, and those beyond the last end
at once. Within a sequence it is `attention`.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl

from siliform.kernels.gpu import checks
from siliform.kernels.gpu.aot import Build
from siliform.kernels.gpu.attention_operands import (
    AMPERE,
    HOPPER,
    Scores,
    Tiles,
    check_operands,
    constants,
    contiguous_rows,
    factor_of,
    tiles_for,
)
from siliform.kernels.gpu.attention_tiles import LOG2_E, attend

KERNEL = "varlen_attention"
PATTERNS = ("full", "causal", "window")


@triton.jit
def packed(  # type: ignore[no-untyped-def]
    q, k, v, starts, key_starts, out, batch, most_tiles, shared, window, factor, bias,
    q_row, q_head, k_row, k_head, v_row, v_head, out_row,
    PATTERN: tl.constexpr, WEIGHTS: tl.constexpr, BATCH: tl.constexpr, C: tl.constexpr, D: tl.constexpr,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_C: tl.constexpr, BLOCK_D: tl.constexpr,
):  # fmt: skip
    """out [rows, heads, D] contiguous; BATCH is `batch` rounded up to a power of two."""
    head, place = tl.cast(tl.program_id(0) // most_tiles, tl.int64), tl.program_id(0) % most_tiles
    at = tl.arange(0, BATCH)
    first = tl.load(starts + at, mask=at < batch, other=0)
    lengths = tl.load(starts + at + 1, mask=at < batch, other=0) - first
    ends = tl.cumsum(tl.cdiv(lengths, BLOCK_M), 0)
    sequence = tl.sum((ends <= place).to(tl.int32), 0)
    if sequence < batch:
        begin = tl.load(starts + sequence)
        queries = tl.load(starts + sequence + 1) - begin
        key_begin = tl.load(key_starts + sequence)
        keys = tl.load(key_starts + sequence + 1) - key_begin
        # The last tiles first, which are the longest of a causal pattern.
        tile = tl.sum(tl.where(at == sequence, ends, 0), 0) - 1 - place
        row, key = tl.cast(begin, tl.int64), tl.cast(key_begin, tl.int64)
        attend(
            q + row * q_row + head * q_head, k + key * k_row + head // shared * k_head,
            v + key * v_row + head // shared * v_head, q, out + row * out_row + head * D, q,
            tile, queries, keys, window, 1, 1, 1, factor, bias, q_row, k_row, v_row, out_row, 0, 0,
            PATTERN, WEIGHTS, "none", False, C, D, BLOCK_M, BLOCK_N, BLOCK_C, BLOCK_D,
        )  # fmt: skip


def varlen_attention(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    starts: torch.Tensor,
    key_starts: torch.Tensor | None = None,
    *,
    pattern: str = "full",
    window: int = 0,
    scale: float | None = None,
    weights: str = "softmax",
    bias: float = 0.0,
    tiles: Tiles | None = None,
) -> torch.Tensor:
    """q [rows, H, c], k [key rows, G, c], v [key rows, G, d] -> [rows, H, d], each sequence by itself.

    `starts`, int32 [B + 1], are the prefix sums of the sequences' lengths from 0 to the rows; `key_starts`
    are those of the keys where they differ. Pattern, weights and the rest as of the op `attention`, with one
    of `PATTERNS`. Queries of a causal pattern that come before all keys give 0.

    Raises
    ------
    UserError : operands or starts that do not fit.
    """
    keyed = starts if key_starts is None else key_starts
    checks.choice(KERNEL, "pattern", pattern, PATTERNS)
    turned = (t.transpose(0, 1) for t in (q, k, v))
    checks.op_types(KERNEL, "attention", *turned, scale=scale, weights=weights, bias=bias)
    check_operands(KERNEL, q, k, v, weights)
    checks.one_device(KERNEL, q=q, starts=starts, key_starts=keyed)
    checks.dtypes(KERNEL, (torch.int32,), starts=starts, key_starts=keyed)
    checks.shaped(KERNEL, key_starts=(keyed, starts.shape))
    made = q.new_empty(*q.shape[:2], v.shape[-1])
    batch = starts.shape[0] - 1
    if not made.numel() or not batch:
        return made
    scores = Scores(weights, factor_of(scale, q), bias)
    x, y, z = map(contiguous_rows, (q, k, v))
    rows, heads = q.shape[:2]
    tiles = tiles or tiles_for(heads * batch, triton.cdiv(rows, batch), q, v)
    # A sequence has at most one tile that is not full.
    most_tiles = rows // tiles.queries + batch
    packed[(most_tiles * heads,)](
        x if scores.factor >= 0 else -x, y, z, starts, keyed, made, batch, most_tiles, heads // y.shape[1],
        window, abs(scores.factor) * LOG2_E.value, scores.bias * LOG2_E.value,
        *x.stride()[:2], *y.stride()[:2], *z.stride()[:2], made.stride(0),
        PATTERN="sliding" if pattern == "causal" and window else pattern, WEIGHTS=scores.weights,
        BATCH=triton.next_power_of_2(batch), **constants(q.shape[-1], v.shape[-1], tiles),
    )  # fmt: skip
    return made


def _build(pattern: str, tiles: Tiles, width: int, **more: Any) -> Build:
    """A build for bf16 operands and 16 sequences."""
    signature = "q:*bf16 k:*bf16 v:*bf16 starts:*i32 key_starts:*i32 out:*bf16 batch:i32 most_tiles:i32 "
    signature += "shared:i32 window:i32 factor:fp32 bias:fp32 q_row:i32/16 q_head:i32/16 k_row:i32/16 "
    signature += "k_head:i32/16 v_row:i32/16 v_head:i32/16 out_row:i32/16"
    named = constants(width, width, tiles) | {"PATTERN": pattern, "WEIGHTS": "softmax", "BATCH": 16}
    warps, stages = named.pop("num_warps"), named.pop("num_stages")
    return Build(packed, signature, named, warps, stages, **more)


#: What `siliform.kernels.gpu.aot` builds.
COMPILED = (_build("full", AMPERE[64], 64), _build("causal", HOPPER[128], 128, least=90))
