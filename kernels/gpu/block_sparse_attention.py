"""Attention over a list of blocks of keys for each block of queries, whatever the list.

Blocks that a pattern of the op tells, ranges of keys, are `attention`'s; here a layout says for each square
of `edge` queries and `edge` keys whether it is computed (Child et al., arXiv 1904.10509; BigBird, arXiv
2007.14062), and a causal pattern or a window may lie on top. A `BlockList` is made once for a layout: the
blocks that each block of queries sees, those seen as a whole first, since only the others are masked within.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import triton
import triton.language as tl

from siliform.graph_ir.ops.attention import Pattern
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
from siliform.kernels.gpu.attention_tiles import LOG2_E, absorb, finished, keys_seen, rows_of

KERNEL = "block_sparse_attention"
PATTERNS = ("full", "causal", "window")


@dataclass(frozen=True)
class BlockList:
    """Blocks of keys that each block of queries sees.

    Attributes
    ----------
    seen : the pattern on top of the layout, with the numbers of queries and keys.
    edge : queries and keys of a block.
    order : int32 [heads or 1, blocks of queries, blocks of keys], the blocks that are seen in front.
    whole, listed : int32 [heads or 1, blocks of queries], how many are seen as a whole, and at all.
    """

    seen: Pattern
    edge: int
    order: torch.Tensor
    whole: torch.Tensor
    listed: torch.Tensor


def block_list(
    layout: torch.Tensor, *, queries: int, keys: int, edge: int, pattern: str = "full", window: int = 0
) -> BlockList:
    """The list of a boolean layout [blocks of queries, blocks of keys], or one for each head [H, ., .].

    `edge` is a power of two from 16; the last blocks may be cut short. `pattern` is one of `PATTERNS`.

    Raises
    ------
    UserError : a layout of another shape or dtype, an edge or a pattern that is not taken.
    """
    checks.choice(KERNEL, "pattern", pattern, PATTERNS)
    checks.choice(KERNEL, "edge", edge, (16, 32, 64, 128, 256))
    checks.dtypes(KERNEL, (torch.bool,), layout=layout)
    rows, columns = triton.cdiv(queries, edge), triton.cdiv(keys, edge)
    given = layout[None] if layout.ndim == 2 else layout
    checks.shaped(KERNEL, layout=(given, (given.shape[0], rows, columns)))
    seen = Pattern(pattern, window, 0, 1.0, queries, keys)
    partly, whole = (torch.from_numpy(x).to(layout.device) for x in _touched(seen, edge, rows, columns))
    rank = torch.where(given & whole, 0, torch.where(given & partly, 1, 2))
    order = torch.sort(rank, dim=-1, stable=True).indices.to(torch.int32)
    counts = ((rank <= most).sum(-1, dtype=torch.int32) for most in (0, 1))
    return BlockList(seen, edge, order, *counts)


def _touched(seen: Pattern, edge: int, rows: int, columns: int) -> tuple[np.ndarray, np.ndarray]:
    """Where any query of a block sees a key of a block, and where all see all; [rows, columns] each."""
    first = np.arange(rows) * edge
    last = np.minimum(first + edge, seen.queries) - 1
    low, high = (
        seen.ranges() if seen.is_range else (np.zeros(seen.queries, int), np.full(seen.queries, seen.keys))
    )
    begin = np.arange(columns) * edge
    partly = (begin + edge > low[first, None]) & (begin < high[last, None])
    # A last block that is cut short ends beyond all keys, and so is never seen as a whole.
    return partly, (begin >= low[last, None]) & (begin + edge <= high[first, None])


@triton.jit
def absorb_listed(  # type: ignore[no-untyped-def]
    acc, total, top, q, k, v, k_row, v_row, order, begin, end, low, high, keys, factor, bias,
    C: tl.constexpr, D: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_C: tl.constexpr, BLOCK_D: tl.constexpr,
    PARTS: tl.constexpr, WEIGHTS: tl.constexpr, EDGE: tl.constexpr,
):  # fmt: skip
    """The running result after the blocks at `begin` up to `end` of `order`, each of PARTS tiles of keys."""
    at_n, at_c, at_d = tl.arange(0, BLOCK_N), tl.arange(0, BLOCK_C), tl.arange(0, BLOCK_D)
    for step in range(begin * PARTS, end * PARTS):
        key = tl.load(order + step // PARTS) * (PARTS * BLOCK_N) + step % PARTS * BLOCK_N + at_n
        line = key[:, None].to(tl.int64)
        x = rows_of(k + line * k_row + at_c[None, :], key, keys, at_c, C, EDGE, BLOCK_C == C)
        y = rows_of(v + line * v_row + at_d[None, :], key, keys, at_d, D, EDGE, BLOCK_D == D)
        seen = EDGE
        if EDGE:
            seen = (key[None, :] >= low[:, None]) & (key[None, :] < high[:, None])
        acc, total, top = absorb(acc, total, top, q, x, y, seen, 0.0, factor, bias, WEIGHTS, EDGE)
    return acc, total, top


@triton.jit
def listed(  # type: ignore[no-untyped-def]
    q, k, v, order, whole, all_listed, out,
    heads, shared, queries, keys, window, rows, columns, list_head, factor, bias,
    q_batch, q_head, q_row, k_batch, k_head, k_row, v_batch, v_head, v_row,
    PATTERN: tl.constexpr, WEIGHTS: tl.constexpr, SIDE: tl.constexpr, C: tl.constexpr, D: tl.constexpr,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_C: tl.constexpr, BLOCK_D: tl.constexpr,
):  # fmt: skip
    """out [B, heads, queries, D] contiguous; list_head is 1 where each head has its own list, else 0."""
    tiles = tl.cdiv(queries, BLOCK_M)
    tile = tiles - 1 - tl.program_id(0) % tiles
    every = tl.program_id(0) // tiles
    batch, head = tl.cast(every // heads, tl.int64), tl.cast(every % heads, tl.int64)
    row = tile * BLOCK_M + tl.arange(0, BLOCK_M)
    at_c, at_d = tl.arange(0, BLOCK_C), tl.arange(0, BLOCK_D)
    low, high = keys_seen(row, keys - queries, keys, window, 1, 1, 1, PATTERN)
    x = rows_of(
        q + batch * q_batch + head * q_head + row[:, None].to(tl.int64) * q_row + at_c[None, :],
        row, queries, at_c, C, True, BLOCK_C == C,
    )  # fmt: skip
    from_k = k + batch * k_batch + head // shared * k_head
    from_v = v + batch * v_batch + head // shared * v_head
    line = head * list_head * rows + tile * BLOCK_M // SIDE
    from_order, middle, end = order + line * columns, tl.load(whole + line), tl.load(all_listed + line)
    acc = tl.zeros((BLOCK_M, BLOCK_D), tl.float32)
    total = tl.zeros((BLOCK_M,), tl.float32)
    top = tl.full((BLOCK_M,), float("-inf"), tl.float32)
    acc, total, top = absorb_listed(
        acc, total, top, x, from_k, from_v, k_row, v_row, from_order, 0, middle, low, high, keys, factor,
        bias, C, D, BLOCK_N, BLOCK_C, BLOCK_D, SIDE // BLOCK_N, WEIGHTS, False,
    )  # fmt: skip
    acc, total, top = absorb_listed(
        acc, total, top, x, from_k, from_v, k_row, v_row, from_order, middle, end, low, high, keys, factor,
        bias, C, D, BLOCK_N, BLOCK_C, BLOCK_D, SIDE // BLOCK_N, WEIGHTS, True,
    )  # fmt: skip
    at = (tl.cast(every, tl.int64) * queries + row)[:, None] * D + at_d[None, :]
    made = finished(acc, total, WEIGHTS).to(out.dtype.element_ty)
    tl.store(out + at, made, mask=(row[:, None] < queries) & (at_d[None, :] < D))


def block_sparse_attention(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    blocks: BlockList,
    *,
    scale: float | None = None,
    weights: str = "softmax",
    bias: float = 0.0,
    tiles: Tiles | None = None,
) -> torch.Tensor:
    """q [..., H, Sq, c], k [..., G, Skv, c], v [..., G, Skv, d] -> [..., H, Sq, d].

    As the op `attention` with the pattern of `blocks` and its layout as a mask; a query that sees nothing
    gives 0. Tiles are cut to the blocks' edge.

    Raises
    ------
    UserError : operands that do not fit each other or the list.
    """
    checks.op_types(KERNEL, "attention", q, k, v, scale=scale, weights=weights, bias=bias)
    check_operands(KERNEL, q, k, v, weights)
    lists = blocks.order.shape[0]
    checks.one_device(KERNEL, q=q, blocks=blocks.order)
    checks.shaped(
        KERNEL,
        q=(q, (*q.shape[:-2], blocks.seen.queries, q.shape[-1])),
        k=(k, (*k.shape[:-2], blocks.seen.keys, k.shape[-1])),
        blocks=(blocks.order, (1 if lists == 1 else q.shape[-3], *blocks.order.shape[1:])),
    )
    made = q.new_empty(*q.shape[:-1], v.shape[-1])
    if made.numel():
        scores = Scores(weights, factor_of(scale, q), bias)
        x, y, z = (contiguous_rows(t.reshape(-1, *t.shape[-3:])) for t in (q, k, v))
        tiles = tiles or tiles_for(x.shape[0] * x.shape[1], q.shape[-2], q, v)
        queries, keys = (min(size, blocks.edge) for size in (tiles.queries, tiles.keys))
        tiles = Tiles(queries, keys, tiles.num_warps, tiles.num_stages)
        _launch(x, y, z, blocks, scores, tiles, made)
    return made


def _launch(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    blocks: BlockList,
    scores: Scores,
    tiles: Tiles,
    out: torch.Tensor,
) -> None:
    seen, (own, rows, columns) = blocks.seen, blocks.order.shape
    batch, heads = q.shape[:2]
    sizes = (heads, heads // k.shape[1], seen.queries, seen.keys, seen.window, rows, columns, int(own > 1))
    listed[(batch * heads * triton.cdiv(seen.queries, tiles.queries),)](
        q if scores.factor >= 0 else -q, k, v, blocks.order, blocks.whole, blocks.listed, out,
        *sizes, abs(scores.factor) * LOG2_E.value, scores.bias * LOG2_E.value,
        *q.stride()[:3], *k.stride()[:3], *v.stride()[:3],
        PATTERN="sliding" if seen.name == "causal" and seen.window else seen.name,
        WEIGHTS=scores.weights, SIDE=blocks.edge, **constants(q.shape[-1], v.shape[-1], tiles),
    )  # fmt: skip


def _build(tiles: Tiles, width: int, edge: int, **more: Any) -> Build:
    """A build for bf16 operands, causal."""
    signature = (
        "q:*bf16 k:*bf16 v:*bf16 order:*i32 whole:*i32 all_listed:*i32 out:*bf16 heads:i32 shared:i32 "
    )
    signature += "queries:i32 keys:i32 window:i32 rows:i32 columns:i32 list_head:i32 factor:fp32 bias:fp32 "
    signature += " ".join(f"{t}_{axis}:i32/16" for t in "qkv" for axis in ("batch", "head", "row"))
    named = constants(width, width, tiles) | {"PATTERN": "causal", "WEIGHTS": "softmax", "SIDE": edge}
    warps, stages = named.pop("num_warps"), named.pop("num_stages")
    return Build(listed, signature, named, warps, stages, **more)


#: What `siliform.kernels.gpu.aot` builds.
COMPILED = (_build(AMPERE[64], 64, 128), _build(HOPPER[128], 128, 128, least=90))
