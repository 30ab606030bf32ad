"""hash_attention: attention by codes of 1 and -1, at a cost that grows with the number of keys alone.

Two kernels. `sums` adds up ``k^T v`` [bits, c], the keys and the values of one part of the keys in each
program; `mixed` adds the parts, in order, and turns each query into the quotient of EcoFormer's equation::

    y = (q (sum_n k_n v_n^T) + (bits + 1) sum_n v_n) / (q . sum_n k_n + N (bits + 1))

Products with codes in ``k^T v`` run on tensor cores in the format of v, where 1 and -1 are exact, with sums
in fp32; the few of each query are made in fp32. Source: Liu et al., EcoFormer, arXiv 2209.09004.
"""

from __future__ import annotations

from math import prod

import torch
import triton
import triton.language as tl

from siliform.kernels.dtypes import DTYPE_OF
from siliform.kernels.gpu import checks
from siliform.kernels.gpu.aot import Build
from siliform.kernels.gpu.arithmetic import dot, narrowed, widened
from siliform.kernels.gpu.device import multiprocessors

DTYPES = (torch.bfloat16, torch.float16, torch.float32)
CODES = (torch.int8, *DTYPES)
KEYS, QUERIES = 64, 64  # of a step and of a program
COLUMNS = 128  # of v that a program holds at once, at most
MOST_PARTS = 32  # of the keys, which every program of `mixed` adds up: an assumption


@triton.jit
def sums(  # type: ignore[no-untyped-def]
    k, v, context, of_keys, of_values, n, bits, c, steps,
    KEYS: tl.constexpr, BITS: tl.constexpr, C: tl.constexpr,
):  # fmt: skip
    """context [G, parts, bits, c], of_keys [G, parts, bits], of_values [G, parts, c] of k and v [G, n, ...].

    Each program takes `steps` times KEYS keys, and C columns of v.
    """
    group, part = tl.program_id(0).to(tl.int64), tl.program_id(1)
    column = tl.program_id(2) * C + tl.arange(0, C)
    bit = tl.arange(0, BITS)
    known = tl.zeros((BITS, C), tl.float32)
    keys, values = tl.zeros((BITS,), tl.float32), tl.zeros((C,), tl.float32)
    first = part * steps * KEYS
    for start in range(first, tl.minimum(first + steps * KEYS, n), KEYS):
        key = start + tl.arange(0, KEYS)
        of_k = (group * n + key[None, :]) * bits + bit[:, None]
        code = tl.load(k + of_k, mask=(key[None, :] < n) & (bit[:, None] < bits), other=0)
        of_v = (group * n + key[:, None]) * c + column[None, :]
        value = tl.load(v + of_v, mask=(key[:, None] < n) & (column[None, :] < c), other=0.0)
        code = widened(code).to(tl.float32)
        known = dot(narrowed(code, value.dtype), value, known)
        keys += tl.sum(code, axis=1)
        values += tl.sum(widened(value), axis=0)
    place = group * tl.num_programs(1) + part
    to = context + (place * bits + bit[:, None]) * c + column[None, :]
    tl.store(to, known, mask=(bit[:, None] < bits) & (column[None, :] < c))
    tl.store(of_values + place * c + column, values, mask=column < c)
    tl.store(of_keys + place * bits + bit, keys, mask=(bit < bits) & (tl.program_id(2) == 0))


@triton.jit
def mixed(  # type: ignore[no-untyped-def]
    q, context, of_keys, of_values, y, queries, n, bits, c, parts,
    QUERIES: tl.constexpr, BITS: tl.constexpr, C: tl.constexpr,
):  # fmt: skip
    """y [G, queries, c] of q [G, queries, bits] and the sums over parts of the n keys."""
    group = tl.program_id(0).to(tl.int64)
    query = tl.program_id(1) * QUERIES + tl.arange(0, QUERIES)
    column = tl.program_id(2) * C + tl.arange(0, C)
    bit = tl.arange(0, BITS)
    inside = (bit[:, None] < bits) & (column[None, :] < c)
    known = tl.zeros((BITS, C), tl.float32)
    keys, values = tl.zeros((BITS,), tl.float32), tl.zeros((C,), tl.float32)
    for part in range(parts):
        place = group * parts + part
        of_context = (place * bits + bit[:, None]) * c + column[None, :]
        known += tl.load(context + of_context, mask=inside, other=0.0)
        keys += tl.load(of_keys + place * bits + bit, mask=bit < bits, other=0.0)
        values += tl.load(of_values + place * c + column, mask=column < c, other=0.0)
    of_q = (group * queries + query[:, None]) * bits + bit[None, :]
    seen = (query[:, None] < queries) & (bit[None, :] < bits)
    code = widened(tl.load(q + of_q, mask=seen, other=0)).to(tl.float32)
    above = dot(code, known, tl.zeros((QUERIES, C), tl.float32) + (bits + 1) * values[None, :])
    below = tl.sum(code * keys[None, :], axis=1) + (bits + 1.0) * n
    to = y + (group * queries + query[:, None]) * c + column[None, :]
    result = narrowed(above / below[:, None], y.dtype.element_ty)
    tl.store(to, result, mask=(query[:, None] < queries) & (column[None, :] < c))


def hash_attention(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, *, parts: int | None = None
) -> torch.Tensor:
    """q [..., Nq, bits] and k [..., N, bits] of 1 and -1, v [..., N, c] -> [..., Nq, c].

    Codes are int8 or floats. `parts` of the keys are summed apart; None takes as many as occupy the GPU.
    UserError for shapes or dtypes that do not fit.
    """
    (result,) = checks.op_types("hash_attention", "hash_attention", q, k, v)
    checks.one_device("hash_attention", q=q, k=k, v=v)
    checks.dtypes("hash_attention", CODES, q=q, k=k)
    checks.dtypes("hash_attention", DTYPES, v=v)
    (queries, bits), (n, c), groups = q.shape[-2:], v.shape[-2:], prod(q.shape[:-2])
    steps = triton.cdiv(n, KEYS)
    wanted = parts or min(MOST_PARTS, triton.cdiv(multiprocessors(v.device), max(groups, 1)))
    each = triton.cdiv(steps, min(wanted, steps))
    parts = triton.cdiv(steps, each)
    block, columns = min(COLUMNS, max(16, triton.next_power_of_2(c))), max(16, triton.next_power_of_2(bits))
    across = triton.cdiv(c, block)
    shapes = [(bits, c), (bits,), (c,)]
    kept = [torch.empty((groups, parts, *s), dtype=torch.float32, device=v.device) for s in shapes]
    q, k, v = (t.contiguous() for t in (q, k, v))
    sums[(groups, parts, across)](k, v, *kept, n, bits, c, each, KEYS=KEYS, BITS=columns, C=block)
    y = torch.empty(result.shape, dtype=DTYPE_OF[result.format.name], device=v.device)
    mixed[(groups, triton.cdiv(queries, QUERIES), across)](
        q, *kept, y, queries, n, bits, c, parts, QUERIES=QUERIES, BITS=columns, C=block
    )
    return y


_SUMS = "context:*fp32 of_keys:*fp32 of_values:*fp32"
COMPILED = (
    Build(
        sums,
        f"k:*i8 v:*bf16 {_SUMS} n:i32 bits:i32/16 c:i32/16 steps:i32",
        {"KEYS": KEYS, "BITS": 16, "C": 64},
    ),
    Build(
        mixed,
        f"q:*i8 {_SUMS} y:*bf16 queries:i32 n:i32 bits:i32/16 c:i32/16 parts:i32",
        {"QUERIES": QUERIES, "BITS": 16, "C": 64},
    ),
)
