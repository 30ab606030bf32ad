"""hash_lookup: a layer of hashed tables in place of a linear one, as MemoryFormer has it, in one kernel.

A program takes some tokens and some columns of the result, and goes through the tables some at a time: the
signs of a chunk are the row's address, its magnitudes the row's weight, and the rows that are read are added
up in fp32. Nothing but the result is written. Few tokens take many tables at once, so that more reads are
under way. Source: Ding et al., MemoryFormer, arXiv 2411.12992.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import torch
import triton
import triton.language as tl

from siliform.kernels.dtypes import DTYPE_OF
from siliform.kernels.gpu import checks
from siliform.kernels.gpu.aot import Build
from siliform.kernels.gpu.arithmetic import narrowed, widened

DTYPES = (torch.bfloat16, torch.float16, torch.float32)


@dataclass(frozen=True)
class Tile:
    """Tokens and columns of one program, and tables of one step; their product fits in registers."""

    tokens: int
    tables: int
    columns: int
    num_warps: int = 4


#: By the most tokens.
TILES = ((8, Tile(1, 32, 128)), (1024, Tile(4, 8, 128)), (1 << 31, Tile(16, 2, 256)))


@triton.jit
def looked_up(  # type: ignore[no-untyped-def]
    x, tables, y, tokens, chunks, tau, n, rows, rate,
    TOKENS: tl.constexpr, TABLES: tl.constexpr, N: tl.constexpr, TAU: tl.constexpr,
):  # fmt: skip
    """y [tokens, n] of x [tokens, chunks * tau] and tables [chunks, rows, n]; rate is 2 / temperature."""
    token = tl.program_id(0) * TOKENS + tl.arange(0, TOKENS)
    column = tl.program_id(1) * N + tl.arange(0, N)
    element = tl.arange(0, TAU)[None, None, :]
    total = tl.zeros((TOKENS, N), tl.float32)
    for start in range(0, chunks, TABLES):
        chunk = start + tl.arange(0, TABLES)
        known = (token[:, None] < tokens) & (chunk[None, :] < chunks)
        of_x = token[:, None].to(tl.int64) * chunks * tau + chunk[None, :] * tau
        inside = known[:, :, None] & (element < tau)
        part = widened(tl.load(x + of_x[:, :, None] + element, mask=inside, other=0.0))
        address = tl.sum(tl.where(inside & (part >= 0), 1 << element, 0), axis=2)
        unsure = tl.where(inside, tl.log(1 + tl.exp(-rate * tl.abs(part))), 0.0)
        weight = tl.exp(-tl.sum(unsure, axis=2))
        of_row = (chunk[None, :].to(tl.int64) * rows + address) * n
        read = known[:, :, None] & (column[None, None, :] < n)
        row = tl.load(tables + of_row[:, :, None] + column[None, None, :], mask=read, other=0.0)
        total += tl.sum(weight[:, :, None] * widened(row), axis=1)
    to = y + token[:, None].to(tl.int64) * n + column[None, :]
    tl.store(to, narrowed(total, y.dtype.element_ty), mask=(token[:, None] < tokens) & (column[None, :] < n))


def hash_lookup(
    x: torch.Tensor, tables: torch.Tensor, *, temperature: float = 1.0, tile: Tile | None = None
) -> torch.Tensor:
    """x [..., K * tau], tables [K, 2**tau, N] -> [..., N] in x's dtype, summed in fp32.

    `tile`: None takes one of `TILES` by the tokens. UserError for shapes or dtypes that do not fit.
    """
    (result,) = checks.op_types("hash_lookup", "hash_lookup", x, tables, temperature=temperature)
    checks.one_device("hash_lookup", x=x, tables=tables)
    checks.dtypes("hash_lookup", DTYPES, x=x, tables=tables)
    (chunks, rows, n), tokens = tables.shape, prod(x.shape[:-1])
    tau = x.shape[-1] // chunks
    tile = tile or next(t for most, t in TILES if tokens <= most)
    y = torch.empty(result.shape, dtype=DTYPE_OF[result.format.name], device=x.device)
    looked_up[(triton.cdiv(tokens, tile.tokens), triton.cdiv(n, tile.columns))](
        x.contiguous(), tables.contiguous(), y, tokens, chunks, tau, n, rows, 2.0 / temperature,
        TOKENS=tile.tokens, TABLES=tile.tables, N=tile.columns, TAU=triton.next_power_of_2(tau),
        num_warps=tile.num_warps,
    )  # fmt: skip
    return y


COMPILED = tuple(
    Build(
        looked_up,
        "x:*bf16 tables:*bf16 y:*bf16 tokens:i32 chunks:i32/16 tau:i32 n:i32/16 rows:i32/16 rate:fp32",
        {"TOKENS": t.tokens, "TABLES": t.tables, "N": t.columns, "TAU": 8},
        t.num_warps,
    )
    for _, t in TILES
)
