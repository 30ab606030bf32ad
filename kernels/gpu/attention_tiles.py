"""Device functions of the attention kernels: which keys a query sees, and how tiles of keys are absorbed.

A program holds a tile of queries q [M, c] and, of the keys met so far, for each query the largest score `top`
[M], the sum of weights `total` [M] and the weighted sum of values `acc` [M, d], all in fp32 (online softmax:
Milakov and Gimelshein, arXiv 1805.02867; tiled: Dao, FlashAttention-2, arXiv 2307.08691, section 3.1). Scores
are kept times log2(e), so that weights are powers of two, which the GPU has an instruction for.

Masks cost as much as a tile's exponentials do, so that tiles which every query sees as a whole are absorbed
without any (`EDGE` false): neither what is seen nor whether keys end within the tile is asked there.
"""

from __future__ import annotations

from math import e, log, log2

import triton
import triton.language as tl

from siliform.kernels.gpu.arithmetic import dot

LOG2_E = tl.constexpr(log2(e))
LN_2 = tl.constexpr(log(2))
#: What weights of softplus are divided by at least: the least of them all is a normal number in fp32.
LEAST_SOFTPLUS = tl.constexpr(2.0**-120)


@triton.jit
def keys_seen(row, shift, keys, window, block, blocks, near, PATTERN: tl.constexpr):  # type: ignore[no-untyped-def]
    """First key and end of the keys that query `row` sees: `Pattern.ranges` of graph_ir/ops/attention.py.

    Neither falls from a row to the next. "sliding" is causal with a window; where the pattern is "block",
    `near` of all `blocks` are seen. `shift` is keys less queries; where it is negative, the first queries of
    a causal pattern see nothing.
    """
    own = row + shift
    low = own * 0
    end = low + keys
    if PATTERN == "causal":
        end = own + 1
    elif PATTERN == "sliding":
        low = own - window + 1
        end = own + 1
    elif PATTERN == "window":
        low = own - window // 2
        end = own + window // 2 + 1
    elif PATTERN == "block":
        first = tl.minimum(tl.maximum(own // block - near // 2, 0), blocks - near)
        low = first * block
        end = (first + near) * block
    return tl.maximum(low, 0), tl.maximum(tl.minimum(end, keys), 0)


@triton.jit
def rows_of(at, row, rows, column, columns, EDGE: tl.constexpr, WHOLE: tl.constexpr):  # type: ignore[no-untyped-def]
    """The tile at pointers `at`; 0 in rows from `rows` on (EDGE) and columns from `columns` on (not WHOLE)"""
    if EDGE and WHOLE:
        return tl.load(at, mask=row[:, None] < rows, other=0.0)
    if EDGE:
        return tl.load(at, mask=(row[:, None] < rows) & (column[None, :] < columns), other=0.0)
    if WHOLE:
        return tl.load(at)
    return tl.load(at, mask=column[None, :] < columns, other=0.0)


@triton.jit
def softplus2(x):  # type: ignore[no-untyped-def]
    """``log2(1 + 2**x)``, to the last bits where it is small; 0 at minus infinity.

    Of a small e, 1 + e is a rounded u, and e log2(u) / (u - 1) is log2(1 + e) as if it were not (Higham,
    Accuracy and Stability of Numerical Algorithms, 2002, section 1.14.1).
    """
    small = tl.exp2(-tl.abs(x))
    above = 1.0 + small
    near = above == 1.0
    grown = tl.log2(above) * small / tl.where(near, 1.0, above - 1.0)
    return tl.maximum(x, 0.0) + tl.where(near, small * LOG2_E, grown)


@triton.jit
def absorb(  # type: ignore[no-untyped-def]
    acc, total, top, q, k, v, seen, added, factor, bias, WEIGHTS: tl.constexpr, EDGE: tl.constexpr
):
    """The running result after keys k [N, c] and values v [N, d].

    seen [M, N] and added [M, N], in units of log2(e), hold where EDGE; factor is the scale times log2(e) and
    not negative, bias is times log2(e). WEIGHTS is "softmax", "sigmoid" or, of softplus, its power: such
    weights are kept relative to the largest softplus of their row, so that no power of them overflows.
    """
    scores = dot(q, tl.trans(k), tl.zeros((q.shape[0], k.shape[0]), tl.float32))
    if WEIGHTS == "sigmoid":
        grown = scores * factor + bias
        if EDGE:
            grown = tl.where(seen, grown + added, float("-inf"))
        weight = 1.0 / (1.0 + tl.exp2(-grown))
        return dot(weight.to(v.dtype), v, acc), total, top
    if WEIGHTS != "softmax" and WEIGHTS != "sigmoid":  # what stands behind a return is compiled as well
        grown = scores * factor + bias
        if EDGE:
            grown = tl.where(seen, grown + added, float("-inf"))
        grown = softplus2(grown)
        risen = tl.maximum(top, tl.max(grown, 1))
        greatest = tl.maximum(risen, LEAST_SOFTPLUS)
        part, kept = grown / greatest[:, None], tl.maximum(top, 0.0) / greatest
        weight, share = part, kept
        for _ in tl.static_range(1, WEIGHTS):
            weight *= part
            share *= kept
        total = total * share + tl.sum(weight, 1)
        return dot(weight.to(v.dtype), v, acc * share[:, None]), total, risen
    if EDGE:
        scores = tl.where(seen, scores * factor + added, float("-inf"))
        risen = tl.maximum(top, tl.max(scores, 1))
        shift = tl.where(risen == float("-inf"), 0.0, risen)  # a row that has seen no key yet
        weight = tl.exp2(scores - shift[:, None])
    else:
        risen = tl.maximum(top, tl.max(scores, 1) * factor)
        shift = risen
        weight = tl.exp2(scores * factor - risen[:, None])
    share = tl.exp2(top - shift)
    total = total * share + tl.sum(weight, 1)
    return dot(weight.to(v.dtype), v, acc * share[:, None]), total, risen


@triton.jit
def absorb_keys(  # type: ignore[no-untyped-def]
    acc, total, top, q, k, v, k_row, v_row, begin, end, low, high, row, rows, mask, mask_key,
    factor, bias,
    C: tl.constexpr, D: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_C: tl.constexpr, BLOCK_D: tl.constexpr,
    WEIGHTS: tl.constexpr, MASK: tl.constexpr, EDGE: tl.constexpr,
):  # fmt: skip
    """The running result after the keys from `begin` up to `end`, tile by tile.

    k and v point at the first key of the head, mask at the first key of each query [M]; low and high [M]
    bound what queries see. Without EDGE, whole tiles of keys lie between begin and end.
    """
    at_n, at_c, at_d = tl.arange(0, BLOCK_N), tl.arange(0, BLOCK_C), tl.arange(0, BLOCK_D)
    first = tl.cast(begin, tl.int64)
    from_k = k + first * k_row + at_n[:, None] * k_row + at_c[None, :]
    from_v = v + first * v_row + at_n[:, None] * v_row + at_d[None, :]
    for start in range(begin, end, BLOCK_N):
        key = start + at_n
        x = rows_of(from_k, key, end, at_c, C, EDGE, BLOCK_C == C)
        y = rows_of(from_v, key, end, at_d, D, EDGE, BLOCK_D == D)
        seen, added = EDGE, 0.0
        if EDGE:
            seen = (key[None, :] >= low[:, None]) & (key[None, :] < high[:, None])
        if MASK != "none":
            known = (row[:, None] < rows) & (key[None, :] < end)
            given = tl.load(mask[:, None] + key[None, :].to(tl.int64) * mask_key, mask=known, other=0)
            if MASK == "boolean":
                seen = seen & (given != 0)
            else:
                added = given.to(tl.float32) * LOG2_E
        acc, total, top = absorb(acc, total, top, q, x, y, seen, added, factor, bias, WEIGHTS, EDGE)
        from_k += BLOCK_N * k_row
        from_v += BLOCK_N * v_row
    return acc, total, top


@triton.jit
def finished(acc, total, WEIGHTS: tl.constexpr):  # type: ignore[no-untyped-def]
    """The result [M, d]; 0 for queries that have seen no key."""
    if WEIGHTS == "sigmoid":
        return acc
    return acc / tl.where(total > 0, total, 1.0)[:, None]


@triton.jit
def log_sum(total, top):  # type: ignore[no-untyped-def]
    """The logarithm of the sum of the exponentials of all scores [M]; minus infinity without any key."""
    known = total > 0
    return tl.where(known, (top + tl.log2(tl.where(known, total, 1.0))) * LN_2, float("-inf"))


@triton.jit
def attend(  # type: ignore[no-untyped-def]
    q, k, v, mask, out, sums, tile, queries, keys, window, block, blocks, near, factor, bias,
    q_row, k_row, v_row, out_row, mask_row, mask_key,
    PATTERN: tl.constexpr, WEIGHTS: tl.constexpr, MASK: tl.constexpr, SUMS: tl.constexpr,
    C: tl.constexpr, D: tl.constexpr,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_C: tl.constexpr, BLOCK_D: tl.constexpr,
):  # fmt: skip
    """One tile of queries of one head, whose first rows all pointers name, over all keys that it sees."""
    row = tile * BLOCK_M + tl.arange(0, BLOCK_M)
    line = row.to(tl.int64)
    at_c, at_d = tl.arange(0, BLOCK_C), tl.arange(0, BLOCK_D)
    shift = keys - queries
    low, high = keys_seen(row, shift, keys, window, block, blocks, near, PATTERN)
    first, last = tile * BLOCK_M, tl.minimum(tile * BLOCK_M + BLOCK_M, queries) - 1
    begin, whole_end = keys_seen(first, shift, keys, window, block, blocks, near, PATTERN)
    whole, end = keys_seen(last, shift, keys, window, block, blocks, near, PATTERN)
    begin = begin // BLOCK_N * BLOCK_N
    whole = tl.minimum(tl.cdiv(whole, BLOCK_N) * BLOCK_N, end)
    whole_end = tl.maximum(whole_end // BLOCK_N * BLOCK_N, whole)
    x = rows_of(q + line[:, None] * q_row + at_c[None, :], row, queries, at_c, C, True, BLOCK_C == C)
    mask += line * mask_row
    acc = tl.zeros((BLOCK_M, BLOCK_D), tl.float32)
    total = tl.zeros((BLOCK_M,), tl.float32)
    top = tl.full((BLOCK_M,), float("-inf"), tl.float32)
    if MASK != "none":
        acc, total, top = absorb_keys(
            acc, total, top, x, k, v, k_row, v_row, begin, end, low, high, row, queries, mask, mask_key,
            factor, bias, C, D, BLOCK_N, BLOCK_C, BLOCK_D, WEIGHTS, MASK, True,
        )  # fmt: skip
    else:
        if PATTERN != "full" and PATTERN != "causal":
            acc, total, top = absorb_keys(
                acc, total, top, x, k, v, k_row, v_row, begin, whole, low, high, row, queries, mask, mask_key,
                factor, bias, C, D, BLOCK_N, BLOCK_C, BLOCK_D, WEIGHTS, MASK, True,
            )  # fmt: skip
        acc, total, top = absorb_keys(
            acc, total, top, x, k, v, k_row, v_row, whole, whole_end, low, high, row, queries, mask, mask_key,
            factor, bias, C, D, BLOCK_N, BLOCK_C, BLOCK_D, WEIGHTS, MASK, False,
        )  # fmt: skip
        acc, total, top = absorb_keys(
            acc, total, top, x, k, v, k_row, v_row, whole_end, end, low, high, row, queries, mask, mask_key,
            factor, bias, C, D, BLOCK_N, BLOCK_C, BLOCK_D, WEIGHTS, MASK, True,
        )  # fmt: skip
    kept = row < queries
    made = finished(acc, total, WEIGHTS).to(out.dtype.element_ty)
    tl.store(out + line[:, None] * out_row + at_d[None, :], made, mask=kept[:, None] & (at_d[None, :] < D))
    if SUMS:
        tl.store(sums + line, log_sum(total, top), mask=kept)
