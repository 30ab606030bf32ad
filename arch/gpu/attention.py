"""Attention on a GPU: one kernel whose scores never leave the multiprocessors (FlashAttention, arXiv
2205.14135).

Of whole sequences, a block takes TILE rows of queries, those of the heads that share keys put together where
a head alone has too few, and goes through the keys that they see in tiles of TILE. Of one new token, a block
takes the heads that share keys, and where there are fewer blocks than multiprocessors the cache is cut into
parts, whose results another kernel adds up (flash decoding; arXiv 2405.10480 counts what is lost). Blocks
wait for their first operands, so that transfers add to the work of the blocks rather than hide behind it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from siliform.arch.gpu.gpu import Gpu

TILE = 128  # rows of queries and of keys of a block (FlashAttention-2 and -3, arXiv 2307.08691, 2407.08608)
#: Of the blocks that heads would take alone, those that they may take together to be put together.
#: Assumption: FlashAttention-3's own rule (hopper/heuristics.h) has 0.9, by which prefill of an H100's
#: training half is off by 0.2 points more.
PACKED_SHARE = 0.75
NARROW = 96  # width up to which heads leave room for the generation's `narrow_rows` of queries
DECODE_ROWS = (
    64  # of queries that share keys and are one block in decoding (FlashAttention-3: its least tile)
)
PARTS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 128)  # of a cache: at most 128, FlashAttention-3's limit
WIDTHS = (64, 96, 128, 192, 256)  # heads' widths that there are kernels for: a narrower head is padded


@dataclass(frozen=True)
class Heads:
    """Attentions beside each other; counts, or arrays of them that broadcast.

    Attributes
    ----------
    batch, heads, groups : sequences, query heads of each, and heads of keys and values that they share.
    queries, keys : tokens of each.
    seen : keys that a query sees on average; `reach` : the most that one sees.
    ragged : sides of what is seen that move with the query: 0 of everything, 1 of a causal mask, 2 of a
        window.
    width, value_width : of a head's keys and values.
    """

    batch: Any
    heads: Any
    groups: Any
    queries: Any
    keys: Any
    seen: Any
    reach: Any
    ragged: Any
    width: Any
    value_width: Any


def whole_cycles(
    gpu: Gpu, of: Heads, macs_per_cycle: float, memory_cycles: Any, softmax_cycles: Any = None
) -> Any:
    """Cycles of attentions of whole sequences, launch left out.

    `macs_per_cycle` of one multiprocessor; `softmax_cycles` of one for a score, by default the GPU's of a
    softmax.
    """
    known = gpu.constants
    softmax = gpu.softmax_cycles if softmax_cycles is None else softmax_cycles
    shared = of.heads / of.groups
    rows = np.where(padded(of.width) <= NARROW, known.narrow_rows, TILE)
    alone, packed = np.ceil(of.queries / rows) * of.heads, np.ceil(of.queries * shared / rows) * of.groups
    pack = packed < PACKED_SHARE * alone
    blocks = of.batch * np.where(pack, packed, alone)
    tokens = np.minimum(np.where(pack, rows / shared, rows), of.queries)  # of one block
    dense = np.ceil(of.keys / TILE)
    longest = np.clip(np.ceil((of.reach + np.where(of.ragged > 1, tokens, 0)) / TILE), 1, dense)
    mean = np.clip((of.seen + of.ragged * (tokens - 1) / 2) / TILE, 1, longest)
    mean = np.where(of.ragged == 0, longest, mean)
    tile = _tile_cycles(gpu, of, macs_per_cycle, softmax) * rows / TILE
    rounds = blocks / gpu.multiprocessors
    one = known.block_cycles + longest * tile
    many = (known.block_cycles + mean * tile) * np.ceil(rounds)
    return np.where(rounds <= 1, one, np.maximum(one, many)) + memory_cycles


def _tile_cycles(gpu: Gpu, of: Heads, macs_per_cycle: float, softmax: Any) -> Any:
    """Of a tile of scores: both products, and its softmax, of which a part hides behind them."""
    known = gpu.constants
    widths = padded(of.width) + padded(of.value_width)
    products = TILE * TILE * widths / (macs_per_cycle * known.tile_percent / 100)
    weights = TILE * TILE * softmax
    more = (1 - known.softmax_overlap_percent / 100) * np.minimum(products, weights)
    return np.maximum(products, weights) + more


def decode_cycles(gpu: Gpu, of: Heads, memory_cycles: Any, element_bytes: float = 2, cut: Any = True) -> Any:
    """Cycles of attentions of few new tokens each (`queries`) with a long cache, launch left out.

    Nothing but transfers takes time within a block; of all numbers of parts the fastest is taken, where the
    kernel cuts caches at all.
    """
    known = gpu.constants
    rows = of.queries * of.heads / of.groups
    base = of.batch * of.groups * np.ceil(rows / DECODE_ROWS)
    ragged = np.where(of.ragged > 1, 1, 0)  # a window begins and ends within a tile
    tiles = np.clip(np.ceil(of.seen / TILE) + ragged, 1, np.ceil(of.keys / TILE))
    width = padded(of.width) + padded(of.value_width)
    block = known.decode_block_cycles + known.decode_width_cycles * width / 128
    tile_bytes = TILE * width * element_bytes
    sums = 4 * of.batch * of.heads * of.queries * of.value_width * 2
    best: Any = None
    for parts in PARTS:
        each = np.ceil(tiles / parts)
        waves = np.ceil(base * parts / gpu.multiprocessors)
        stream = known.together(waves * each * tile_bytes / known.decode_bytes_per_cycle, memory_cycles)
        cycles = waves * (block + np.where(each > 1, known.decode_wait_cycles, 0)) + stream
        if parts > 1:
            added = known.sum_kernel_cycles + sums * parts / (known.l2_bytes_per_cycle * gpu.multiprocessors)
            cycles = np.where(cut & (parts <= tiles), cycles + added, np.inf)
        best = cycles if best is None else np.minimum(best, cycles)
    return best


def stream_k_cycles(gpu: Gpu, of: Heads, memory_cycles: Any, element_bytes: float = 2) -> Any:
    """The same by stream-K (LeanAttention, arXiv 2405.10480): the tiles of all caches in one line, an equal
    share for each multiprocessor, whatever heads it belongs to.

    Parts of a head are put together within the kernel, by the block that began it: they are written and read
    once, with the head's two sums in fp32, and no second kernel is launched.
    """
    known = gpu.constants
    base = of.batch * of.groups * np.ceil(of.queries * of.heads / of.groups / DECODE_ROWS)
    tiles = base * np.clip(np.ceil(of.seen / TILE), 1, np.ceil(of.keys / TILE))
    workers = np.minimum(gpu.multiprocessors, tiles)
    each = np.ceil(tiles / workers)
    width = padded(of.width) + padded(of.value_width)
    block = known.decode_block_cycles + known.decode_width_cycles * width / 128
    stream = known.together(each * TILE * width * element_bytes / known.decode_bytes_per_cycle, memory_cycles)
    rows = of.queries * of.heads / of.groups
    passed = 2 * 4 * (workers + base) * rows * (of.value_width + 2)
    joined = passed / (known.l2_bytes_per_cycle * gpu.multiprocessors)
    return block + np.where(each > 1, known.decode_wait_cycles, 0) + stream + joined


def padded(width: Any) -> Any:
    """The width of the kernel that takes heads of a width: the next of WIDTHS, or a multiple of the last."""
    width = np.asarray(width, float)
    made = np.ceil(width / WIDTHS[-1]) * WIDTHS[-1]
    for known in reversed(WIDTHS):
        made = np.where(width <= known, known, made)
    return made
