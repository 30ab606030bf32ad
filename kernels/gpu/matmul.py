"""matmul and linear: tiled products on tensor cores, accumulated in fp32, of int8 in int32.

Kernels of the same arithmetic. `tiled` reads tiles through pointers, takes any strides and a batch, and
runs one program per tile of the result. `persistent` reads and writes tiles by descriptors (the tensor memory
accelerator of sm_90), with as many programs as the GPU has multiprocessors, each taking tile after tile. Both
walk the tiles of the result in groups of a few rows of tiles, so that what neighbours read is still in L2. Of
few tiles and a long K, `split_k` cuts K into parts and adds them up in a fixed order. Source of the order and
of the block sizes: the matrix multiplication and persistent matmul tutorials of Triton 3.6; nothing of them
is repeated here.

============  ===========  ===================================================================
operands      result       sums
============  ===========  ===================================================================
bf16, fp16    theirs       fp32
fp32          fp32         fp32, no TensorFloat-32
int8          int32        int32, exact
fp8_e4m3      fp32         sm_90: the tensor core keeps some 14 bits of a sum, so that each 128 terms
                           are added up in fp32 outside of it (DeepSeek-V3, arXiv 2412.19437,
                           section 3.3.2) unless `use_fast_accum`; fastest where `b` is contiguous
                           along K, as a transposed weight is
============  ===========  ===================================================================
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import torch
import triton
import triton.language as tl
from triton.tools.tensor_descriptor import TensorDescriptor

from siliform.graph_ir.errors import UserError
from siliform.kernels.dtypes import DTYPE_OF
from siliform.kernels.gpu import checks
from siliform.kernels.gpu.aot import Build
from siliform.kernels.gpu.arithmetic import dot, narrowed, widened
from siliform.kernels.gpu.device import (
    HOPPER_SHARED_BYTES,
    has_tensor_memory_accelerator,
    multiprocessors,
    shared_bytes,
)
from siliform.kernels.gpu.split_k import parts_for, split_product

DTYPES = (torch.bfloat16, torch.float16, torch.float32, torch.int8, torch.float8_e4m3fn)
VARIANTS = ("tiled", "persistent", "split")

PROMOTED_TERMS = 128  # terms of fp8 summed inside the tensor core: DeepSeek-V3, arXiv 2412.19437, 3.3.2
BARRIER_BYTES = 1024  # of shared memory for barriers and alignment: more than any build here took
DESCRIPTOR_BYTES = 16  # strides and bases of tensor descriptors are multiples: CUDA driver API, cuTensorMap


@dataclass(frozen=True)
class Tile:
    """Blocks of one program: `k` in bytes, so that one table serves operands of 1, 2 and 4 bytes."""

    m: int
    n: int
    k_bytes: int
    num_warps: int
    num_stages: int
    group: int = 8


#: From the largest on: the first that gives every multiprocessor a tile is taken, else the last with
#: as few rows as the product has.
TILES = (
    Tile(128, 256, 128, 8, 4),
    Tile(128, 128, 128, 8, 4),
    Tile(64, 128, 128, 4, 4),
    Tile(64, 64, 128, 4, 4),
    Tile(32, 64, 128, 4, 4),
    Tile(16, 64, 128, 4, 4),
)
#: What holds two accumulators (fp8 summed outside the tensor core), or takes no tensor core (fp32).
NARROW_TILES = TILES[1:]


@triton.jit
def tile_of(tile, rows, columns, GROUP: tl.constexpr):  # type: ignore[no-untyped-def]
    """Row and column of a tile in grouped order: `GROUP` rows of tiles are walked column by column."""
    in_group = GROUP * columns
    first = tile // in_group * GROUP
    height = tl.minimum(rows - first, GROUP)
    return first + tile % in_group % height, tile % in_group // height


@triton.jit
def tiled(  # type: ignore[no-untyped-def]
    a, b, bias, c, m, n, k,
    a_lead, a_row, a_column, b_lead, b_row, b_column,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr, GROUP: tl.constexpr,
    WHOLE_K: tl.constexpr, SUM: tl.constexpr, IMPRECISE: tl.constexpr, BIASED: tl.constexpr,
):  # fmt: skip
    """c [L, m, n] = a [L, m, k] b [L, k, n] + bias [n]; one tile a program."""
    rows, columns = tl.cdiv(m, BLOCK_M), tl.cdiv(n, BLOCK_N)
    lead = (tl.program_id(0) // (rows * columns)).to(tl.int64)
    row, column = tile_of(tl.program_id(0) % (rows * columns), rows, columns, GROUP)
    # Rows beyond the last begin anew at the first: what they give is not stored, and no mask is needed.
    at_m = ((row * BLOCK_M + tl.arange(0, BLOCK_M)) % m).to(tl.int64)
    at_n = ((column * BLOCK_N + tl.arange(0, BLOCK_N)) % n).to(tl.int64)
    at_k = tl.arange(0, BLOCK_K)
    from_a = a + lead * a_lead + at_m[:, None] * a_row + at_k[None, :] * a_column
    from_b = b + lead * b_lead + at_k[:, None] * b_row + at_n[None, :] * b_column
    total = tl.zeros((BLOCK_M, BLOCK_N), SUM)
    for start in range(0, k, BLOCK_K):
        if WHOLE_K:
            x, y = tl.load(from_a), tl.load(from_b)
        else:
            x = tl.load(from_a, mask=at_k[None, :] < k - start, other=0.0)
            y = tl.load(from_b, mask=at_k[:, None] < k - start, other=0.0)
        total = dot(x, y, total, IMPRECISE)
        from_a += BLOCK_K * a_column
        from_b += BLOCK_K * b_row
    to_m = row * BLOCK_M + tl.arange(0, BLOCK_M)
    to_n = column * BLOCK_N + tl.arange(0, BLOCK_N)
    if BIASED:
        total += widened(tl.load(bias + to_n, mask=to_n < n, other=0.0))[None, :]
    to_c = c + lead * m * n + to_m[:, None].to(tl.int64) * n + to_n[None, :]
    tl.store(to_c, narrowed(total, c.dtype.element_ty), mask=(to_m[:, None] < m) & (to_n[None, :] < n))


@triton.jit
def persistent(  # type: ignore[no-untyped-def]
    a, b, bias, c, m, n, k,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr, GROUP: tl.constexpr,
    PROGRAMS: tl.constexpr, TURNED: tl.constexpr, SUM: tl.constexpr, IMPRECISE: tl.constexpr,
    BIASED: tl.constexpr,
):  # fmt: skip
    """The same by descriptors of a [m, k], of b [k, n] (TURNED: [n, k]) and of c [m, n], tile after tile.

    What lies beyond an edge is read as zero and not written. c's blocks are half a tile wide, so that the
    buffer it leaves from takes less of shared memory than the tile.
    """
    rows, columns = tl.cdiv(m, BLOCK_M), tl.cdiv(n, BLOCK_N)
    for tile in tl.range(tl.program_id(0), rows * columns, PROGRAMS, flatten=True):
        row, column = tile_of(tile, rows, columns, GROUP)
        at_m, at_n = row * BLOCK_M, column * BLOCK_N
        total = tl.zeros((BLOCK_M, BLOCK_N), SUM)
        for start in range(0, k, BLOCK_K):
            x = a.load([at_m, start])
            y = b.load([at_n, start]).T if TURNED else b.load([start, at_n])
            total = dot(x, y, total, IMPRECISE)
        if BIASED:
            to_n = at_n + tl.arange(0, BLOCK_N)
            total += widened(tl.load(bias + to_n, mask=to_n < n, other=0.0))[None, :]
        halves = tl.permute(tl.reshape(total, (BLOCK_M, 2, BLOCK_N // 2)), (0, 2, 1))
        left, right = tl.split(halves)
        c.store([at_m, at_n], narrowed(left, c.dtype))
        c.store([at_m, at_n + BLOCK_N // 2], narrowed(right, c.dtype))


def matmul(
    a: torch.Tensor,
    b: torch.Tensor,
    *,
    variant: str | None = None,
    tile: Tile | None = None,
    use_fast_accum: bool = False,
) -> torch.Tensor:
    """a [..., M, K], b [..., K, N] -> [..., M, N]; leading axes broadcast, strides are free.

    Parameters
    ----------
    variant : one of `VARIANTS`; None cuts K where tiles leave more than half of the GPU idle and K is long
        enough, else takes the persistent kernel where descriptors and the GPU allow it.
    tile : None takes one of `TILES` by the shape and the GPU.
    use_fast_accum : sums of fp8 stay in the tensor core; no matter for other operands.

    Raises
    ------
    UserError : shapes or dtypes that do not fit, or a variant that cannot take these operands.
    """
    (result,) = checks.op_types("matmul", "matmul", a, b)
    made = a.new_empty(result.shape, dtype=DTYPE_OF[result.format.name])
    if b.ndim == 2:  # one matrix for all of a: its leading axes are more rows
        rows = prod(a.shape[:-1])
        flat, single = a.reshape(1, rows, a.shape[-1]), made.view(1, rows, b.shape[1])
        _product(flat, b[None], None, single, variant, tile, use_fast_accum)
    else:
        lead = result.shape[:-2]
        x, y = (t.expand(*lead, *t.shape[-2:]).flatten(end_dim=-3) for t in (a, b))
        _product(x, y, None, made.flatten(end_dim=-3), variant, tile, use_fast_accum)
    return made


def linear(
    x: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None = None,
    *,
    variant: str | None = None,
    tile: Tile | None = None,
    use_fast_accum: bool = False,
) -> torch.Tensor:
    """x [..., K], weight [N, K], bias [N] -> [..., N]; `matmul` says what the rest means."""
    (result,) = checks.op_types("matmul", "linear", x, weight, bias)
    made = x.new_empty(result.shape, dtype=DTYPE_OF[result.format.name])
    rows = prod(x.shape[:-1])
    flat, single = x.reshape(1, rows, x.shape[-1]), made.view(1, rows, len(weight))
    _product(flat, weight.T[None], bias, single, variant, tile, use_fast_accum)
    return made


def tile_for(m: int, n: int, lead: int, processors: int, tiles: tuple[Tile, ...] = TILES) -> Tile:
    """The largest of `tiles` that gives every multiprocessor one, with no more rows than m calls for.

    Where none does: the smallest that still has 64 rows, what a warp group of sm_90 multiplies at once.
    """
    rows = max(16, triton.next_power_of_2(m))
    fitting = [t for t in tiles if min(rows, 64) <= t.m <= rows] or [min(tiles, key=lambda t: t.m)]
    busy = (t for t in fitting if lead * triton.cdiv(m, t.m) * triton.cdiv(n, t.n) >= processors)
    return next(busy, fitting[-1])


def stages_for(tile: Tile, limit_bytes: int, result_bytes: int = 0) -> int:
    """As many of the tile's stages as shared memory holds, beside half a tile of what is written from it."""
    left = limit_bytes - BARRIER_BYTES - tile.m * tile.n // 2 * result_bytes
    return max(1, min(tile.num_stages, left // ((tile.m + tile.n) * tile.k_bytes)))


def _product(
    a: torch.Tensor,
    b: torch.Tensor,
    bias: torch.Tensor | None,
    c: torch.Tensor,
    variant: str | None,
    tile: Tile | None,
    use_fast_accum: bool,
) -> None:
    """c [L, m, n] = a [L, m, k] b [L, k, n] + bias [n], c contiguous."""
    checks.one_device("matmul", a=a, b=b, bias=bias)
    checks.dtypes("matmul", DTYPES, a=a, b=b)
    checks.same_dtype("matmul", a=a, b=b)
    checks.choice("matmul", "variant", variant, (None, *VARIANTS))
    (lead, m, k), n = a.shape, b.shape[2]
    promoted = a.dtype is torch.float8_e4m3fn and not use_fast_accum
    tiles = TILES[3:] if a.dtype is torch.float32 else NARROW_TILES if promoted else TILES
    processors = multiprocessors(a.device)
    tile = tile or tile_for(m, n, lead, processors, tiles)
    described = _describable(a, b, c)
    if variant == "persistent" and not described:
        raise _undescribed(a, b)
    constants = _constants(a, bias, tile, promoted)
    block_k = constants["BLOCK_K"]
    limit = shared_bytes(a.device)
    steps = triton.cdiv(k, block_k)
    parts = parts_for(_tiles(c, tile), steps, processors)
    if k and c.numel() and (variant == "split" or (variant is None and parts > 1)):
        named = {name: value for name, value in constants.items() if name not in ("GROUP", "BIASED")}
        parts = max(parts, min(2, steps))
        split_product(a, b, bias, c, parts, {**named, "num_stages": stages_for(tile, limit)})
        return
    on_hopper = has_tensor_memory_accelerator(a.device) and a.element_size() < 4
    if variant == "persistent" or (variant is None and described and on_hopper):
        constants["num_stages"] = stages_for(tile, limit, c.element_size())
        constants["PROGRAMS"] = processors
        _launch_persistent(a[0], b[0], bias, c[0], min(processors, _tiles(c, tile)), constants)
    else:
        constants["num_stages"] = stages_for(tile, limit)
        whole = k % block_k == 0
        strides = (*a.stride(), *b.stride())
        tiled[(_tiles(c, tile),)](a, b, bias, c, m, n, k, *strides, WHOLE_K=whole, **constants)


def _undescribed(a: torch.Tensor, b: torch.Tensor) -> UserError:
    """The error of operands that no descriptor takes."""
    return checks.refusal(
        "matmul",
        asked=f"the persistent kernel for a {_layout(a)} and b {_layout(b)}",
        found="descriptors take one matrix each, not empty, contiguous along one axis, with its base and "
        f"its other stride at multiples of {DESCRIPTOR_BYTES} bytes",
        next_step="pad the last axis, make the operands contiguous, or leave variant out",
    )


def _constants(a: torch.Tensor, bias: torch.Tensor | None, tile: Tile, promoted: bool) -> dict[str, Any]:
    """What a kernel of this tile is compiled for, but for its stages."""
    block_k = tile.k_bytes // a.element_size()
    return {
        "BLOCK_M": tile.m,
        "BLOCK_N": tile.n,
        "BLOCK_K": block_k,
        "GROUP": tile.group,
        "SUM": tl.int32 if a.dtype is torch.int8 else tl.float32,
        "IMPRECISE": min(PROMOTED_TERMS, block_k) if promoted else None,
        "BIASED": bias is not None,
        "num_warps": tile.num_warps,
    }


def _launch_persistent(
    a: torch.Tensor,
    b: torch.Tensor,
    bias: torch.Tensor | None,
    c: torch.Tensor,
    programs: int,
    constants: dict[str, Any],
) -> None:
    m, n, k = constants["BLOCK_M"], constants["BLOCK_N"], constants["BLOCK_K"]
    turned = b.stride(1) != 1
    of_b = TensorDescriptor.from_tensor(b.T, [n, k]) if turned else TensorDescriptor.from_tensor(b, [k, n])
    of_a = TensorDescriptor.from_tensor(a, [m, k])
    of_c = TensorDescriptor.from_tensor(c, [m, n // 2])
    shape = (*c.shape, a.shape[1])
    persistent[(programs,)](of_a, of_b, bias, of_c, *shape, TURNED=turned, **constants)


def _tiles(c: torch.Tensor, tile: Tile) -> int:
    lead, m, n = c.shape
    return lead * triton.cdiv(m, tile.m) * triton.cdiv(n, tile.n)


def _describable(a: torch.Tensor, b: torch.Tensor, c: torch.Tensor) -> bool:
    """Whether descriptors hold single matrices a and c, contiguous along rows, and b along either axis."""
    if a.shape[0] != 1 or not (a.numel() and b.numel()):
        return False
    turned = b[0].T if b.stride(2) != 1 else b[0]
    return all(
        t.stride(1) == 1
        and t.data_ptr() % DESCRIPTOR_BYTES == 0
        and t.stride(0) * t.element_size() % DESCRIPTOR_BYTES == 0
        for t in (a[0], turned, c[0])
    )


def _layout(x: torch.Tensor) -> str:
    return f"{list(x.shape)} of strides {list(x.stride())}"


def _build(kernel: Any, format: str, tile: Tile, turned: bool = False, promoted: bool = False) -> Build:
    """A build for square operands of many whole tiles, b contiguous along K where `turned`."""
    bits, result, total = {
        "bf16": (16, "bf16", tl.float32),
        "i8": (8, "i32", tl.int32),
        "fp8e4nv": (8, "fp32", tl.float32),
    }[format]
    block_k = tile.k_bytes * 8 // bits
    constants = {
        "BLOCK_M": tile.m,
        "BLOCK_N": tile.n,
        "BLOCK_K": block_k,
        "GROUP": tile.group,
        "SUM": total,
        "IMPRECISE": PROMOTED_TERMS if promoted else None,
        "BIASED": False,
    }
    sizes = "m:i32/16 n:i32/16 k:i32/16"
    if kernel is tiled:
        signature = f"a:*{format} b:*{format} bias:*{result} c:*{result} {sizes} a_lead:i32/16 a_row:i32/16 "
        signature += "b_lead:i32/16 " + ("b_column:i32/16" if turned else "b_row:i32/16")
        constants |= {"a_column": 1, "b_row" if turned else "b_column": 1, "WHOLE_K": True}
    else:
        of_b = f"{tile.n},{block_k}" if turned else f"{block_k},{tile.n}"
        signature = f"a:tensordesc<{format}[{tile.m},{block_k}]> b:tensordesc<{format}[{of_b}]> "
        signature += f"bias:*{result} c:tensordesc<{result}[{tile.m},{tile.n // 2}]> {sizes}"
        constants |= {"PROGRAMS": 132, "TURNED": turned}
    least = 90 if format == "fp8e4nv" or kernel is persistent else 80
    stages = (
        stages_for(tile, HOPPER_SHARED_BYTES, int(result[-2:]) // 8)
        if kernel is persistent
        else tile.num_stages
    )
    return Build(kernel, signature, constants, tile.num_warps, stages, least)


#: What `siliform.kernels.gpu.aot` builds.
COMPILED = (
    _build(tiled, "bf16", TILES[0]),
    _build(tiled, "i8", TILES[0], turned=True),
    _build(tiled, "fp8e4nv", TILES[1], turned=True, promoted=True),
    _build(persistent, "bf16", TILES[0]),
    _build(persistent, "bf16", TILES[0], turned=True),
    _build(persistent, "i8", TILES[0], turned=True),
    _build(persistent, "fp8e4nv", TILES[1], turned=True, promoted=True),
)
