"""lean_attention: attention of new tokens to a long cache, the cache shared among programs in three ways.

===========  ========================================================================================
stream_k     the tiles of all heads of keys lie in one line, which is cut into as many equal stretches as
             programs fit on the GPU; a stretch may end one head and begin another (LeanAttention: Sanovar
             et al., arXiv 2405.10480, section 4)
fixed_split  the keys of every head are cut into the same number of pieces (flash-decoding: Dao et al.,
             pytorch.org/blog/flash-decoding, 2023)
per_head     one program a head of keys
===========  ========================================================================================

What a program finds of a head, the largest score, the sum of exponentials below it and the sum of values so
weighted, joins with what others found in any order (section 3 there; `models/mixers/lean.py` spells it out).
A second small kernel joins them, but for per_head. Queries that share a head of keys are rows of one tile.
Sequences may have caches of different lengths; each program then makes the line's prefix sums for itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import triton
import triton.language as tl

from siliform.kernels.gpu import checks
from siliform.kernels.gpu.aot import Build
from siliform.kernels.gpu.attention_operands import (
    Tiles,
    check_operands,
    constants,
    contiguous_rows,
    factor_of,
)
from siliform.kernels.gpu.attention_tiles import LOG2_E, absorb_keys, finished, rows_of
from siliform.kernels.gpu.device import multiprocessors

KERNEL = "lean_attention"
VARIANTS = ("stream_k", "fixed_split", "per_head")
PATTERNS = ("full", "causal")
MOST_ROWS = 128  # queries that share a head of keys: what one tile holds
RESIDENTS = 2  # programs on one multiprocessor of sm_80 and sm_90: what registers and shared memory hold
CHUNK = 32  # parts that are joined at a time: 32 of 128 columns are 32 numbers a thread
ENOUGH_OF_BEST = 0.85  # of the best share of busy programs: num_splits_heuristic of FlashAttention 2.5


def context_tiles(width: int, dtype: torch.dtype, rows: int) -> Tiles:
    """Steps of 32 KiB of keys and values, two of them in flight while one is absorbed."""
    keys = 8192 // max(width, 64) // (2 if dtype is torch.float32 else 1)
    queries = max(16, triton.next_power_of_2(rows))
    return Tiles(queries, max(16, keys), 4 if queries <= 32 else 8, 3)


def fixed_pieces(heads: int, tiles: int, programs: int) -> int:
    """Pieces of each head under fixed_split: the fewest that keep nearly as many programs busy as any."""

    def busy(pieces: int) -> float:
        return heads * pieces / (triton.cdiv(heads * pieces, programs) * programs)

    choices = range(1, max(1, min(tiles, programs)) + 1)
    best = max(map(busy, choices))
    return next(n for n in choices if busy(n) >= ENOUGH_OF_BEST * best)


@triton.jit
def lengths_of(lengths, batch, BATCH: tl.constexpr, BLOCK_N: tl.constexpr):  # type: ignore[no-untyped-def]
    """Tiles of one head of each sequence, and their prefix sums, [BATCH] each."""
    at = tl.arange(0, BATCH)
    tiles = tl.cdiv(tl.load(lengths + at, mask=at < batch, other=0), BLOCK_N)
    return tiles, tl.cumsum(tiles, 0)


@triton.jit
def line_of(  # type: ignore[no-untyped-def]
    lengths, batch, groups, keys, BATCH: tl.constexpr, BLOCK_N: tl.constexpr, RAGGED: tl.constexpr
):
    """How many tiles the line has."""
    if RAGGED:
        tiles, _ = lengths_of(lengths, batch, BATCH, BLOCK_N)
        return tl.sum(tiles, 0) * groups
    return tl.cdiv(keys, BLOCK_N) * batch * groups


@triton.jit
def sequence_of(  # type: ignore[no-untyped-def]
    lengths, sequence, batch, groups, keys, BATCH: tl.constexpr, BLOCK_N: tl.constexpr, RAGGED: tl.constexpr
):
    """Keys of a sequence, tiles of each of its heads, and where on the line the first of them stands."""
    if RAGGED:
        tiles, ends = lengths_of(lengths, batch, BATCH, BLOCK_N)
        own = tl.arange(0, BATCH) == sequence
        count = tl.sum(tl.where(own, tiles, 0), 0)
        return tl.load(lengths + sequence), count, (tl.sum(tl.where(own, ends, 0), 0) - count) * groups
    count = tl.cdiv(keys, BLOCK_N)
    return keys, count, sequence * groups * count


@triton.jit
def sequence_at(  # type: ignore[no-untyped-def]
    lengths, place, batch, groups, keys, BATCH: tl.constexpr, BLOCK_N: tl.constexpr, RAGGED: tl.constexpr
):
    """The sequence of the tile at a place of the line."""
    if RAGGED:
        _, ends = lengths_of(lengths, batch, BATCH, BLOCK_N)
        return tl.sum((ends * groups <= place).to(tl.int32), 0)
    return place // (tl.cdiv(keys, BLOCK_N) * groups)


@triton.jit
def absorb_context(  # type: ignore[no-untyped-def]
    q, k, v, sequence, group, first, last, length, queries, shared, behind, factor,
    q_batch, q_head, q_row, k_batch, k_head, k_row, v_batch, v_head, v_row,
    C: tl.constexpr, D: tl.constexpr,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_C: tl.constexpr, BLOCK_D: tl.constexpr,
):  # fmt: skip
    """acc, total and top of the queries that share head `group` over its tiles from `first` up to `last`.

    Query n of `queries` sees all `length` keys but the last ``behind * (queries - 1 - n)``.
    """
    row, at_c = tl.arange(0, BLOCK_M), tl.arange(0, BLOCK_C)
    query, own = row % queries, row // queries
    batch, head = tl.cast(sequence, tl.int64), tl.cast(group, tl.int64)
    line = (head * shared + own) * q_head + query * q_row
    x = rows_of(
        q + batch * q_batch + line[:, None] + at_c[None, :],
        row,
        shared * queries,
        at_c,
        C,
        True,
        BLOCK_C == C,
    )
    from_k, from_v = k + batch * k_batch + head * k_head, v + batch * v_batch + head * v_head
    low, high = query * 0, length - behind * (queries - 1 - query)
    whole = (length - behind * (queries - 1)) // BLOCK_N
    begin, end = first * BLOCK_N, tl.minimum(last * BLOCK_N, length)
    middle = tl.maximum(tl.minimum(last, whole), first) * BLOCK_N
    acc = tl.zeros((BLOCK_M, BLOCK_D), tl.float32)
    total = tl.zeros((BLOCK_M,), tl.float32)
    top = tl.full((BLOCK_M,), float("-inf"), tl.float32)
    acc, total, top = absorb_keys(
        acc, total, top, x, from_k, from_v, k_row, v_row, begin, middle, low, high, row, 0, q, 0, factor, 0.0,
        C, D, BLOCK_N, BLOCK_C, BLOCK_D, "softmax", "none", False,
    )  # fmt: skip
    return absorb_keys(
        acc, total, top, x, from_k, from_v, k_row, v_row, middle, end, low, high, row, 0, q, 0, factor, 0.0,
        C, D, BLOCK_N, BLOCK_C, BLOCK_D, "softmax", "none", True,
    )  # fmt: skip


@triton.jit
def store_part(  # type: ignore[no-untyped-def]
    acc, total, top, sums, tops, parts, slot, rows,
    D: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_D: tl.constexpr,
):  # fmt: skip
    """One triple into slot `slot` of sums and tops [slots, rows] and parts [slots, rows, D]."""
    row, at_d = tl.arange(0, BLOCK_M), tl.arange(0, BLOCK_D)
    at = tl.cast(slot, tl.int64) * rows + row
    tl.store(sums + at, total, mask=row < rows)
    tl.store(tops + at, top, mask=row < rows)
    tl.store(parts + at[:, None] * D + at_d[None, :], acc, mask=(row[:, None] < rows) & (at_d[None, :] < D))


@triton.jit
def stream(  # type: ignore[no-untyped-def]
    q, k, v, lengths, sums, tops, parts, batch, groups, keys, queries, shared, behind, factor,
    q_batch, q_head, q_row, k_batch, k_head, k_row, v_batch, v_head, v_row,
    RAGGED: tl.constexpr, BATCH: tl.constexpr, C: tl.constexpr, D: tl.constexpr,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_C: tl.constexpr, BLOCK_D: tl.constexpr,
):  # fmt: skip
    """One stretch of the line a program, the parts of each head it meets into slot head + program.

    No two parts share a slot: along the line the head or the program rises from part to part.
    """
    program, programs = tl.program_id(0), tl.num_programs(0)
    line = line_of(lengths, batch, groups, keys, BATCH, BLOCK_N, RAGGED)
    each, longer = line // programs, line % programs
    place = program * each + tl.minimum(program, longer)
    end = place + each + (program < longer).to(tl.int32)
    while place < end:
        sequence = sequence_at(lengths, place, batch, groups, keys, BATCH, BLOCK_N, RAGGED)
        length, tiles, before = sequence_of(lengths, sequence, batch, groups, keys, BATCH, BLOCK_N, RAGGED)
        group, first = (place - before) // tiles, (place - before) % tiles
        last = tl.minimum(tiles, first + end - place)
        acc, total, top = absorb_context(
            q, k, v, sequence, group, first, last, length, queries, shared, behind, factor,
            q_batch, q_head, q_row, k_batch, k_head, k_row, v_batch, v_head, v_row,
            C, D, BLOCK_M, BLOCK_N, BLOCK_C, BLOCK_D,
        )  # fmt: skip
        slot = sequence * groups + group + program
        store_part(acc, total, top, sums, tops, parts, slot, shared * queries, D, BLOCK_M, BLOCK_D)
        place += last - first


@triton.jit
def piece(  # type: ignore[no-untyped-def]
    q, k, v, lengths, sums, tops, parts, out, batch, groups, keys, queries, shared, behind, factor, pieces,
    q_batch, q_head, q_row, k_batch, k_head, k_row, v_batch, v_head, v_row,
    DIRECT: tl.constexpr, RAGGED: tl.constexpr, BATCH: tl.constexpr, C: tl.constexpr, D: tl.constexpr,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_C: tl.constexpr, BLOCK_D: tl.constexpr,
):  # fmt: skip
    """One of the `pieces` of a head a program, into the slot of its number; DIRECT: a whole one, into out."""
    head, own = tl.program_id(0) // pieces, tl.program_id(0) % pieces
    length, tiles, _ = sequence_of(lengths, head // groups, batch, groups, keys, BATCH, BLOCK_N, RAGGED)
    first, last = own * tiles // pieces, (own + 1) * tiles // pieces
    acc, total, top = absorb_context(
        q, k, v, head // groups, head % groups, first, last, length, queries, shared, behind, factor,
        q_batch, q_head, q_row, k_batch, k_head, k_row, v_batch, v_head, v_row,
        C, D, BLOCK_M, BLOCK_N, BLOCK_C, BLOCK_D,
    )  # fmt: skip
    rows = shared * queries
    if DIRECT:
        row, at_d = tl.arange(0, BLOCK_M), tl.arange(0, BLOCK_D)
        to = out + (tl.cast(head, tl.int64) * rows + row)[:, None] * D + at_d[None, :]
        made = finished(acc, total, "softmax").to(out.dtype.element_ty)
        tl.store(to, made, mask=(row[:, None] < rows) & (at_d[None, :] < D))
    else:
        store_part(acc, total, top, sums, tops, parts, tl.program_id(0), rows, D, BLOCK_M, BLOCK_D)


@triton.jit
def join(  # type: ignore[no-untyped-def]
    lengths, sums, tops, parts, out, batch, groups, keys, rows, programs, pieces,
    STREAM: tl.constexpr, RAGGED: tl.constexpr, BATCH: tl.constexpr, D: tl.constexpr,
    BLOCK_N: tl.constexpr, BLOCK_D: tl.constexpr, CHUNK: tl.constexpr,
):  # fmt: skip
    """out [heads of keys, rows, D], one row a program, of its parts; 0 where there is no key."""
    head, row = tl.program_id(0) // rows, tl.program_id(0) % rows
    begin, count = head * pieces, pieces
    if STREAM:
        line = line_of(lengths, batch, groups, keys, BATCH, BLOCK_N, RAGGED)
        _, tiles, before = sequence_of(lengths, head // groups, batch, groups, keys, BATCH, BLOCK_N, RAGGED)
        first = before + head % groups * tiles
        program = program_at(first, line, programs)
        begin = head + program
        count = tl.where(tiles > 0, program_at(first + tiles - 1, line, programs) - program + 1, 0)
    at_d, total, top = tl.arange(0, BLOCK_D), 0.0, float("-inf")
    acc = tl.zeros((BLOCK_D,), tl.float32)
    for start in range(0, count, CHUNK):
        at = start + tl.arange(0, CHUNK)
        slot = tl.cast(begin + at, tl.int64) * rows + row
        tops_here = tl.load(tops + slot, mask=at < count, other=float("-inf"))
        sums_here = tl.load(sums + slot, mask=at < count, other=0.0)
        known = (at[:, None] < count) & (at_d[None, :] < D)
        here = tl.load(parts + slot[:, None] * D + at_d[None, :], mask=known, other=0.0)
        risen = tl.maximum(top, tl.max(tops_here, 0))
        shift = tl.where(risen == float("-inf"), 0.0, risen)
        share, old = tl.exp2(tops_here - shift), tl.exp2(top - shift)
        total = total * old + tl.sum(sums_here * share, 0)
        acc = acc * old + tl.sum(here * share[:, None], 0)
        top = risen
    made = acc / tl.where(total > 0, total, 1.0)
    to = out + tl.cast(tl.program_id(0), tl.int64) * D + at_d
    tl.store(to, made.to(out.dtype.element_ty), mask=at_d < D)


@triton.jit
def program_at(place, line, programs):  # type: ignore[no-untyped-def]
    """Which program has the tile at a place of the line: the first `longer` ones have one tile more."""
    each, longer = line // programs, line % programs
    in_longer = longer * (each + 1)
    behind = longer + (place - in_longer) // tl.maximum(each, 1)
    return tl.where(place < in_longer, place // (each + 1), behind)


def lean_attention(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    lengths: torch.Tensor | None = None,
    *,
    pattern: str = "full",
    scale: float | None = None,
    variant: str = "stream_k",
    programs: int | None = None,
    pieces: int | None = None,
    tiles: Tiles | None = None,
) -> torch.Tensor:
    """q [B, H, N, c], k [B, G, S, c], v [B, G, S, d] -> [B, H, N, d], as the op `attention` of that pattern.

    Parameters
    ----------
    lengths : int32 [B], keys of each sequence where caches are not full; None: S of each.
    pattern : one of `PATTERNS`; of one query both are the same.
    variant : one of `VARIANTS`.
    programs : how many share the line; None: as many as the GPU holds at once.
    pieces : into how many fixed_split cuts each head; None: by `fixed_pieces`.

    Raises
    ------
    UserError : operands that do not fit, or more than `MOST_ROWS` queries that share a head of keys.
    """
    checks.choice(KERNEL, "variant", variant, VARIANTS)
    checks.choice(KERNEL, "pattern", pattern, PATTERNS)
    checks.op_types(KERNEL, "attention", q, k, v, pattern=pattern, scale=scale)
    check_operands(KERNEL, q, k, v, "softmax")
    batch, groups = q.shape[:-3].numel(), k.shape[-3]
    rows = _rows(q, k, lengths)
    made = q.new_empty(*q.shape[:-1], v.shape[-1])
    if not made.numel():
        return made
    factor = factor_of(scale, q)
    turned = q if factor >= 0 else -q
    x, y, z = (contiguous_rows(t.reshape(batch, *t.shape[-3:])) for t in (turned, k, v))
    tiles = tiles or context_tiles(max(q.shape[-1], v.shape[-1]), q.dtype, rows)
    line = Line(batch, groups, k.shape[-2], rows, lengths)
    programs = programs or RESIDENTS * multiprocessors(q.device)
    every = triton.cdiv(line.keys, tiles.keys) * batch * groups
    if variant == "stream_k":
        pieces, programs = 0, max(1, min(programs, every))
    elif variant == "per_head":
        pieces = 1
    else:
        pieces = pieces or fixed_pieces(batch * groups, triton.cdiv(line.keys, tiles.keys), programs)
    _launch(x, y, z, line, tiles, (variant, programs, pieces), abs(factor), int(pattern == "causal"), made)
    return made


def _rows(q: torch.Tensor, k: torch.Tensor, lengths: torch.Tensor | None) -> int:
    """Queries that share a head of keys; UserError for more than a tile has, or lengths that do not fit."""
    if lengths is not None:
        checks.one_device(KERNEL, q=q, lengths=lengths)
        checks.dtypes(KERNEL, (torch.int32,), lengths=lengths)
        checks.shaped(KERNEL, lengths=(lengths, q.shape[:-3]))
    (heads, queries), groups = q.shape[-3:-1], k.shape[-3]
    rows = heads // groups * queries
    if rows > MOST_ROWS:
        raise checks.refusal(
            KERNEL,
            asked=f"the kernel {KERNEL} for {rows} queries that share a head of keys",
            found=f"they are the rows of one tile, of which there are {MOST_ROWS} at most",
            next_step="use siliform.kernels.gpu.attention, which has tiles of queries",
        )
    return rows


@dataclass(frozen=True)
class Line:
    """Sequences, heads of keys, keys of the caches, queries that share a head, and keys that are there."""

    batch: int
    groups: int
    keys: int
    rows: int
    lengths: torch.Tensor | None


def _launch(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    line: Line,
    tiles: Tiles,
    share: tuple[str, int, int],
    factor: float,
    behind: int,
    out: torch.Tensor,
) -> None:
    """Parts by one of the kernels, then joined: `share` is the variant with its programs and pieces."""
    variant, programs, pieces = share
    heads = line.batch * line.groups
    slots = heads + programs if variant == "stream_k" else 0 if variant == "per_head" else heads * pieces
    sums, tops = (q.new_empty(slots, line.rows, dtype=torch.float32) for _ in range(2))
    parts = q.new_empty(slots, line.rows, v.shape[-1], dtype=torch.float32)
    lengths = q if line.lengths is None else line.lengths
    sizes = (line.batch, line.groups, line.keys)
    form = (q.shape[2], q.shape[1] // line.groups, behind, factor * LOG2_E.value)
    strides = (*q.stride()[:3], *k.stride()[:3], *v.stride()[:3])
    named = constants(q.shape[-1], v.shape[-1], tiles)
    named |= {"RAGGED": line.lengths is not None, "BATCH": triton.next_power_of_2(line.batch)}
    if variant == "stream_k":
        stream[(programs,)](q, k, v, lengths, sums, tops, parts, *sizes, *form, *strides, **named)
    else:
        direct = variant == "per_head"
        piece[(heads * pieces,)](
            q, k, v, lengths, sums, tops, parts, out, *sizes, *form, pieces, *strides, DIRECT=direct, **named
        )
        if direct:
            return
    join[(heads * line.rows,)](
        lengths, sums, tops, parts, out, *sizes, line.rows, programs, pieces,
        STREAM=variant == "stream_k", RAGGED=named["RAGGED"], BATCH=named["BATCH"], D=named["D"],
        BLOCK_N=named["BLOCK_N"], BLOCK_D=named["BLOCK_D"], CHUNK=CHUNK,
    )  # fmt: skip


def _build(kernel: Any, width: int, ragged: bool = False, **more: Any) -> Build:
    """A build for bf16 caches and eight queries to a head of keys."""
    named = constants(width, width, context_tiles(width, torch.bfloat16, 8))
    warps, stages = named.pop("num_warps"), named.pop("num_stages")
    words = "lengths:*i32 sums:*fp32 tops:*fp32 parts:*fp32 batch:i32 groups:i32 keys:i32 queries:i32 "
    words += "shared:i32 behind:i32 factor:fp32 q:*bf16 k:*bf16 v:*bf16 "
    words += " ".join(f"{t}_{axis}:i32/16" for t in "qkv" for axis in ("batch", "head", "row"))
    if kernel is piece:
        words += " out:*bf16 pieces:i32"
    named |= {"RAGGED": ragged, "BATCH": 8, **more}
    kept = " ".join(word for word in words.split() if word.partition(":")[0] not in more)
    return Build(kernel, kept, named, warps, stages)


#: What `siliform.kernels.gpu.aot` builds.
COMPILED = (
    _build(stream, 128),
    _build(stream, 64, ragged=True, queries=1),
    _build(piece, 128, DIRECT=False, keys=1, behind=1),
    _build(piece, 64, DIRECT=True, pieces=1, batch=1, groups=1, queries=1, shared=1),
    Build(
        join,
        "lengths:*i32 sums:*fp32 tops:*fp32 parts:*fp32 out:*bf16 batch:i32 groups:i32 keys:i32 rows:i32 "
        "programs:i32 pieces:i32",
        {
            "STREAM": True,
            "RAGGED": False,
            "BATCH": 8,
            "D": 128,
            "BLOCK_N": 64,
            "BLOCK_D": 128,
            "CHUNK": CHUNK,
        },
    ),
)
