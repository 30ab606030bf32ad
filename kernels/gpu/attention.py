"""attention: scores, their weights and the weighted sum of values in one pass over a tile of queries' keys.

Tiled as in FlashAttention-2 (Dao, arXiv 2307.08691, section 3): a program holds some queries of one
head and walks its keys a tile at a time, so that no score is ever written. Every pattern of the op but
"declared" is one range of keys for each query, whose ends never fall from query to query; so the keys of a
tile of queries are a ragged stretch, one that all its queries see, and another ragged one, and only the
ragged ones are masked. Tiles start with the last queries, so that no long causal one is left to the end.

Sigmoid weights (Ramapuram et al., arXiv 2409.04431, section 4) need no row's maximum or sum and so no
rescaling; all else is the same. Softplus weights (Gao and Spratling, arXiv 2501.13428) are kept relative to
the largest of a row, since their powers would overflow fp16. Queries that share a head of keys (grouped
attention) read it where it lies.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl

from siliform.graph_ir.ops.attention import Pattern
from siliform.kernels.gpu import checks
from siliform.kernels.gpu.aot import Build
from siliform.kernels.gpu.attention_operands import (
    AMPERE,
    EVERY_WEIGHTS,
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


@triton.jit
def flash(  # type: ignore[no-untyped-def]
    q, k, v, mask, out, sums,
    heads, shared, queries, keys, window, block, blocks, near, factor, bias,
    q_batch, q_head, q_row, k_batch, k_head, k_row, v_batch, v_head, v_row,
    mask_batch, mask_head, mask_row, mask_key,
    PATTERN: tl.constexpr, WEIGHTS: tl.constexpr, MASK: tl.constexpr, SUMS: tl.constexpr,
    C: tl.constexpr, D: tl.constexpr,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_C: tl.constexpr, BLOCK_D: tl.constexpr,
):  # fmt: skip
    """out [B, heads, queries, D], sums [B, heads, queries], contiguous; `shared` heads read one of k."""
    tiles = tl.cdiv(queries, BLOCK_M)
    tile = tiles - 1 - tl.program_id(0) % tiles
    every = tl.program_id(0) // tiles
    batch, head = tl.cast(every // heads, tl.int64), tl.cast(every % heads, tl.int64)
    line = tl.cast(every, tl.int64) * queries
    attend(
        q + batch * q_batch + head * q_head, k + batch * k_batch + head // shared * k_head,
        v + batch * v_batch + head // shared * v_head, mask + batch * mask_batch + head * mask_head,
        out + line * D, sums + line, tile, queries, keys, window, block, blocks, near, factor, bias,
        q_row, k_row, v_row, D, mask_row, mask_key,
        PATTERN, WEIGHTS, MASK, SUMS, C, D, BLOCK_M, BLOCK_N, BLOCK_C, BLOCK_D,
    )  # fmt: skip


def attention(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    mask: torch.Tensor | None = None,
    *,
    pattern: str = "full",
    window: int = 0,
    block: int = 0,
    density: float = 1.0,
    scale: float | None = None,
    weights: str = "softmax",
    bias: float = 0.0,
    power: int = 1,
    tiles: Tiles | None = None,
) -> torch.Tensor:
    """q [..., H, Sq, c], k [..., G, Skv, c], v [..., G, Skv, d] -> [..., H, Sq, d], as the op's reference.

    `tiles` None takes those of a table by head width, dtype and GPU.

    Raises
    ------
    UserError : operands that do not fit, heads wider than `WIDEST_HEAD`.
    """
    pairs = {"pattern": pattern, "window": window, "block": block, "density": density}
    form = {"scale": scale, "weights": weights, "bias": bias, "power": power}
    checks.op_types("attention", "attention", q, k, v, mask, **pairs, **form)
    seen = Pattern(pattern, window, block, density, q.shape[-2], k.shape[-2])
    made, _ = _attention(q, k, v, mask, seen, Scores(weights, factor_of(scale, q), bias, power), tiles)
    return made


def attention_with_sums(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    mask: torch.Tensor | None = None,
    *,
    pattern: str = "full",
    window: int = 0,
    block: int = 0,
    density: float = 1.0,
    scale: float | None = None,
    tiles: Tiles | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """`attention` by softmax, and the log of each query's sum of exponentials, fp32 [..., H, Sq].

    Results over parts of the keys are put together by those sums. Minus infinity where no key is seen.
    """
    pairs = {"pattern": pattern, "window": window, "block": block, "density": density}
    checks.op_types("attention", "attention", q, k, v, mask, **pairs, scale=scale)
    seen = Pattern(pattern, window, block, density, q.shape[-2], k.shape[-2])
    sums = q.new_empty(q.shape[:-1], dtype=torch.float32)
    return _attention(q, k, v, mask, seen, Scores("softmax", factor_of(scale, q), 0.0), tiles, sums)


def _attention(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    mask: torch.Tensor | None,
    seen: Pattern,
    scores: Scores,
    tiles: Tiles | None,
    sums: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    check_operands("attention", q, k, v, scores.weights, EVERY_WEIGHTS)
    checks.one_device("attention", q=q, mask=mask)
    if seen.name == "declared" and mask is None and seen.density != 1:
        raise checks.refusal(
            "attention",
            asked=f"attention of density {seen.density}",
            found="no mask, which would say what pairs are meant",
            next_step="give the mask, or a pattern that follows from numbers",
        )
    made = q.new_empty(*q.shape[:-1], v.shape[-1])
    logs = q.new_empty(0, dtype=torch.float32) if sums is None else sums
    if not made.numel():
        return made, logs
    x, y, z = (contiguous_rows(t.reshape(-1, *t.shape[-3:])) for t in (q, k, v))
    batch, heads, queries, _ = x.shape
    given, strides = _spread(mask, q, seen.keys)
    tiles = tiles or tiles_for(batch * heads, queries, q, v)
    blocks, near = seen.blocks_seen if seen.name == "block" else (0, 0)
    sizes = (heads, heads // y.shape[1], queries, seen.keys, seen.window, seen.block, blocks, near)
    flash[(batch * heads * triton.cdiv(queries, tiles.queries),)](
        x if scores.factor >= 0 else -x, y, z, x if given is None else given, made, logs,
        *sizes, abs(scores.factor) * LOG2_E.value, scores.bias * LOG2_E.value,
        *x.stride()[:3], *y.stride()[:3], *z.stride()[:3], *strides,
        PATTERN=_pattern(seen), WEIGHTS=scores.constant,
        MASK="none" if mask is None else "boolean" if mask.dtype is torch.bool else "added",
        SUMS=sums is not None, **constants(q.shape[-1], v.shape[-1], tiles),
    )  # fmt: skip
    return made, logs


def _pattern(seen: Pattern) -> str:
    """The pattern as `keys_seen` spells it."""
    if seen.name == "declared":
        return "full"
    return "sliding" if seen.name == "causal" and seen.window else seen.name


def _spread(
    mask: torch.Tensor | None, q: torch.Tensor, keys: int
) -> tuple[torch.Tensor | None, tuple[int, ...]]:
    """The mask as [B, H, Sq, Skv] without a copy of what repeats, a boolean one as bytes; and its strides."""
    if mask is None:
        return None, (0, 0, 0, 0)
    given = mask.view(torch.uint8) if mask.dtype is torch.bool else mask
    spread = given.expand(*q.shape[:-1], keys).reshape(-1, *q.shape[-3:-1], keys)
    return spread, spread.stride()


def _build(
    pattern: str, tiles: Tiles, width: int, weights: str | int = "softmax", least: int = 80, **more: Any
) -> Build:
    """A build for bf16 operands of layout [B, H, S, width]."""
    signature = (
        "q:*bf16 k:*bf16 v:*bf16 mask:*u8 out:*bf16 sums:*fp32 heads:i32 shared:i32 queries:i32 keys:i32 "
    )
    signature += "window:i32 block:i32 blocks:i32 near:i32 factor:fp32 bias:fp32 "
    signature += " ".join(f"{t}_{axis}:i32/16" for t in "qkv" for axis in ("batch", "head", "row"))
    signature += " mask_batch:i32 mask_head:i32 mask_row:i32"
    named = constants(width, width, tiles)
    warps, stages = named.pop("num_warps"), named.pop("num_stages")
    form = {"PATTERN": pattern, "WEIGHTS": weights, "MASK": "none", "SUMS": False, "mask_key": 1}
    signature = " ".join(word for word in signature.split() if word.partition(":")[0] not in more)
    return Build(flash, signature, {**form, **named, **more}, warps, stages, least)


#: What `siliform.kernels.gpu.aot` builds.
COMPILED = (
    _build("full", AMPERE[64], 64),
    _build("causal", HOPPER[128], 128, least=90),
    _build("sliding", AMPERE[128], 128, SUMS=True),
    _build("block", AMPERE[64], 64, "sigmoid"),
    _build("causal", AMPERE[64], 64, 3),
    _build("window", HOPPER[256], 256, least=90),
    _build("full", Tiles(16, 64, 4, 3), 80, MASK="boolean", heads=1, shared=1, queries=1),
)
