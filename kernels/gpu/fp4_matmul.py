"""fp4_matmul: linear with weights of four bits, int4 or fp4_e2m1, packed two a byte and scaled by blocks.

Bytes are those of `graph_ir.formats.packing.pack`: element 2i of a row in the lower half of its byte i. They
become bf16 in registers, two elements in each step of 32 bits, and go from there into the tensor cores as the
left operand: the product made is ``weight x^T``, so that weights never pass through shared memory wide. Two
tricks make bf16 of a code without a conversion:

- int4: bits 0x4300 with the code, its sign flipped, as the lowest are 128 + 8 + level; 136 less is the level.
- fp4_e2m1: sign, exponent and mantissa at bf16's places are the value times 2^-126.

Scales, bf16 or powers of two (e8m0), are multiplied in bf16: levels of at most 5 bits times powers of two are
exact, other products are rounded once; fp32 scales are rounded to bf16 before. One scale for each row is
multiplied behind the sum, in fp32. Where there are too few tiles for the GPU, K is split and partial sums are
added by a second kernel in a fixed order.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np
import torch
import triton
import triton.language as tl

from siliform.graph_ir.formats import Quantised, Scaled, format_named
from siliform.graph_ir.formats.packing import pack
from siliform.kernels.gpu import checks
from siliform.kernels.gpu.aot import Build
from siliform.kernels.gpu.arithmetic import INTERPRETED, dot, narrowed, widened
from siliform.kernels.gpu.device import multiprocessors

ELEMENTS = ("int4", "fp4_e2m1")
BLOCKS = (16, 32, 64, 128)  # lengths of blocks that divide a tile's K
NAME = "fp4_matmul"


@dataclass(frozen=True)
class Weight:
    """A weight [N, K] of four bits an element.

    Attributes
    ----------
    codes : uint8 [N, K / 2].
    scale : [N, ceil(K / block)], or [N, 1] where `block` is 0: fp32 or bf16, or uint8 codes of e8m0.
    element : `int4` or `fp4_e2m1`.
    block : neighbours in a row that share a scale; 0: all of a row.
    """

    codes: torch.Tensor
    scale: torch.Tensor
    element: str
    block: int

    def __post_init__(self) -> None:
        checks.choice(NAME, "element", self.element, ELEMENTS)
        checks.choice(NAME, "block", self.block, (0, *BLOCKS))
        checks.dtypes(NAME, (torch.uint8,), codes=self.codes)
        checks.dtypes(NAME, (torch.float32, torch.bfloat16, torch.uint8), scale=self.scale)
        n, k = self.shape
        checks.shaped(NAME, scale=(self.scale, (n, triton.cdiv(k, self.block) if self.block else 1)))

    @property
    def shape(self) -> tuple[int, int]:
        """[N, K]."""
        return self.codes.shape[0], 2 * self.codes.shape[1]

    @classmethod
    def of(cls, weight: Quantised, device: torch.device | str = "cpu") -> Weight:
        """A quantised weight [N, K] with block scales or scales of axis 0, K even, packed.

        UserError for another format.
        """
        format = weight.format
        assert isinstance(format, Scaled)
        by_row = format.granularity == "channel" and format.size == 0
        blocked = format.granularity == "block" and format.size in BLOCKS
        if (
            format.item.name not in ELEMENTS
            or not (by_row or blocked)
            or weight.shape[-1] % 2
            or weight.ndim != 2
        ):
            raise checks.refusal(
                NAME,
                asked=f"a weight {list(weight.shape)} in {format.name}",
                found=f"this kernel takes matrices of an even width in {' or '.join(ELEMENTS)} with scales "
                f"of axis 0 or of blocks of {', '.join(map(str, BLOCKS))}",
                next_step="quantise it to int4@block32, fp4_e2m1@block32:e8m0 or int4@channel0, say",
            )
        n, k = weight.shape
        codes = torch.from_numpy(pack(format.encode(weight.levels), format.item).reshape(n, k // 2))
        scale = _scale(weight.scale.reshape(n, -1), format.scale.name)
        return cls(codes.to(device), scale.to(device), format.item.name, 0 if by_row else format.size)


def _scale(scale: np.ndarray, format: str) -> torch.Tensor:
    if format == "e8m0":
        return torch.from_numpy(format_named(format).encode(scale))
    made = torch.from_numpy(scale.astype(np.float32))
    return made.bfloat16() if format == "bf16" else made


@dataclass(frozen=True)
class Tile:
    """Blocks of one program: tokens, rows of the weight, and K."""

    tokens: int
    rows: int
    k: int
    num_warps: int
    num_stages: int = 4


#: By the most tokens. Many tokens share what is made of a weight; few leave the weight's bytes to wait for.
TILES = (
    (16, Tile(16, 64, 128, 4)),
    (32, Tile(32, 64, 128, 4)),
    (64, Tile(64, 128, 128, 4, 3)),
    (128, Tile(128, 128, 64, 8)),
    (1 << 31, Tile(256, 128, 64, 8)),
)
MOST_SPLITS = 16  # parts of K, each of two steps or more: an assumption


@triton.jit
def as_held(x):  # type: ignore[no-untyped-def]
    """bf16 to calculate with: as it is, or in fp32 under the interpreter, which cannot calculate in bf16."""
    return widened(x) if INTERPRETED else x


@triton.jit
def levels(codes, FP4: tl.constexpr):  # type: ignore[no-untyped-def]
    """bf16 `as_held` [R, 2 C] of bytes [R, C] in int32: the levels of both halves, lower half first."""
    if FP4:
        apart = codes | (codes << 12)
        pair = ((apart << 6) & 0x01C001C0) | ((apart << 12) & -0x7FFF8000)
    else:
        pair = ((codes & 0xF) | ((codes & 0xF0) << 12)) ^ 0x43084308
    low = pair.to(tl.int16).to(tl.bfloat16, bitcast=True)
    high = (pair >> 16).to(tl.int16).to(tl.bfloat16, bitcast=True)
    both = tl.join(low, high)
    both = as_held(both)
    both = both * 8.507059173023462e37 if FP4 else both - 136.0  # 2^126
    return tl.reshape(both, (codes.shape[0], 2 * codes.shape[1]))


@triton.jit
def scales(read):  # type: ignore[no-untyped-def]
    """bf16 of scales as they are stored: floats, or codes c of 2^(c - 127), whose least is subnormal."""
    if read.dtype == tl.uint8:
        bits = read.to(tl.int16)
        return tl.where(bits == 0, 0x40, bits << 7).to(tl.int16).to(tl.bfloat16, bitcast=True)
    return narrowed(read, tl.bfloat16)


@triton.jit
def weight_only(  # type: ignore[no-untyped-def]
    x, codes, scale, bias, y, m, n, k, steps, x_row,
    TOKENS: tl.constexpr, ROWS: tl.constexpr, K: tl.constexpr, BLOCK: tl.constexpr, FP4: tl.constexpr,
    WHOLE_K: tl.constexpr, BIASED: tl.constexpr,
):  # fmt: skip
    """y [parts, m, n] of x [m, k] and a weight [n, k]: each part of the sum takes so many `steps` of K.

    BLOCK 0 is one scale for each row of the weight. Tiles of few tokens are neighbours of one weight's.
    """
    columns = tl.cdiv(m, TOKENS)
    token = tl.program_id(0) % columns * TOKENS + tl.arange(0, TOKENS)
    row = tl.program_id(0) // columns * ROWS + tl.arange(0, ROWS)
    at_k, at_byte = tl.arange(0, K), tl.arange(0, K // 2)
    first = tl.program_id(1) * steps * K
    from_x = x + (token % m)[None, :].to(tl.int64) * x_row + at_k[:, None]
    from_codes = codes + (row % n)[:, None].to(tl.int64) * (k // 2) + at_byte[None, :]
    if BLOCK:
        at_scale = tl.arange(0, K // BLOCK)
        from_scale = scale + (row % n)[:, None].to(tl.int64) * tl.cdiv(k, BLOCK) + at_scale[None, :]
    total = tl.zeros((ROWS, TOKENS), tl.float32)
    for start in range(first, tl.minimum(first + steps * K, k), K):
        if WHOLE_K:
            given, read = tl.load(from_x + start), tl.load(from_codes + start // 2)
        else:
            given = tl.load(from_x + start, mask=at_k[:, None] < k - start, other=0.0)
            read = tl.load(from_codes + start // 2, mask=at_byte[None, :] < (k - start) // 2, other=0)
        known = levels(read.to(tl.int32), FP4)
        if BLOCK:
            if WHOLE_K:
                factor = tl.load(from_scale + start // BLOCK)
            else:
                inside = at_scale[None, :] * BLOCK < k - start
                factor = tl.load(from_scale + start // BLOCK, mask=inside, other=0)
            blocks = tl.reshape(known, (ROWS, K // BLOCK, BLOCK))
            known = tl.reshape(blocks * as_held(scales(factor))[:, :, None], (ROWS, K))
        total = dot(narrowed(known, tl.bfloat16), given, total)
    if not BLOCK:
        total *= widened(scales(tl.load(scale + row, mask=row < n, other=0)))[:, None]
    if BIASED:
        total += widened(tl.load(bias + row, mask=row < n, other=0.0))[:, None]
    to = y + tl.program_id(1).to(tl.int64) * m * n + token[:, None].to(tl.int64) * n + row[None, :]
    inside = (token[:, None] < m) & (row[None, :] < n)
    tl.store(to, narrowed(tl.trans(total), y.dtype.element_ty), mask=inside)


@triton.jit
def add_parts(parts, bias, y, size, n, count, BLOCK: tl.constexpr, BIASED: tl.constexpr):  # type: ignore[no-untyped-def]
    """y [size / n, n] = the sum of parts [count, size / n, n], first to last, and a bias."""
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    total = tl.zeros((BLOCK,), tl.float32)
    for part in range(count):
        total += tl.load(parts + part * size + at, mask=at < size, other=0.0)
    if BIASED:
        total += widened(tl.load(bias + at % n, mask=at < size, other=0.0))
    tl.store(y + at, narrowed(total, y.dtype.element_ty), mask=at < size)


def fp4_matmul(
    x: torch.Tensor,
    weight: Weight,
    bias: torch.Tensor | None = None,
    *,
    tile: Tile | None = None,
    splits: int | None = None,
) -> torch.Tensor:
    """x [..., K] in bf16, weight [N, K] of four bits, bias [N] -> [..., N] in bf16: `linear`.

    Parameters
    ----------
    tile, splits : None takes one of `TILES` by the tokens, and as many parts of K as occupy the GPU.

    Raises
    ------
    UserError : shapes or dtypes that do not fit.
    """
    n, k = weight.shape
    checks.one_device(NAME, x=x, codes=weight.codes, scale=weight.scale, bias=bias)
    checks.dtypes(NAME, (torch.bfloat16,), x=x)
    checks.shaped(NAME, x=(x, (*x.shape[:-1], k)), **({} if bias is None else {"bias": (bias, (n,))}))
    m = prod(x.shape[:-1])
    flat = x.reshape(m, k) if x.stride(-1) == 1 else x.reshape(m, k).contiguous()
    tile = tile or next(t for most, t in TILES if m <= most)
    step = max(tile.k, weight.block)
    tiles, steps = triton.cdiv(m, tile.tokens) * triton.cdiv(n, tile.rows), triton.cdiv(k, step)
    splits = splits or splits_for(tiles, steps, multiprocessors(x.device))
    each = triton.cdiv(steps, splits)
    splits = max(1, triton.cdiv(steps, max(each, 1)))
    y = x.new_empty((*x.shape[:-1], n))
    parts = y if splits == 1 else torch.empty((splits, m, n), device=x.device)
    weight_only[(tiles, splits)](
        flat, weight.codes, weight.scale, bias, parts, m, n, k, each, flat.stride(0),
        TOKENS=tile.tokens, ROWS=tile.rows, K=step, BLOCK=weight.block, FP4=weight.element == "fp4_e2m1",
        WHOLE_K=k % step == 0, BIASED=bias is not None and splits == 1,
        num_warps=tile.num_warps, num_stages=tile.num_stages,
    )  # fmt: skip
    if splits > 1:
        grid = (triton.cdiv(m * n, ADDED),)
        add_parts[grid](parts, bias, y, m * n, n, splits, BLOCK=ADDED, BIASED=bias is not None)
    return y


ADDED = 1024  # sums of one program of `add_parts`: an assumption


def splits_for(tiles: int, steps: int, processors: int) -> int:
    """Parts of K: as many as give each multiprocessor a tile, of two steps or more, at most `MOST_SPLITS`."""
    return max(1, min(processors // max(tiles, 1), steps // 2, MOST_SPLITS))


def _build(tile: Tile, element: str, scale: str, block: int) -> Build:
    constants = {
        "TOKENS": tile.tokens, "ROWS": tile.rows, "K": max(tile.k, block), "BLOCK": block,
        "FP4": element != "int4", "WHOLE_K": True, "BIASED": False,
    }  # fmt: skip
    types = f"x:*bf16 codes:*u8 scale:*{scale} bias:*bf16 y:*bf16"
    sizes = "m:i32 n:i32/16 k:i32/16 steps:i32 x_row:i32/16"
    return Build(weight_only, f"{types} {sizes}", constants, tile.num_warps, tile.num_stages)


COMPILED = (
    _build(TILES[0][1], "int4", "fp32", 32),
    _build(TILES[0][1], "fp4_e2m1", "u8", 32),
    _build(TILES[2][1], "int4", "bf16", 128),
    _build(TILES[-1][1], "int4", "fp32", 0),
    _build(TILES[-1][1], "fp4_e2m1", "u8", 32),
    Build(
        add_parts,
        "parts:*fp32 bias:*bf16 y:*bf16 size:i32/16 n:i32/16 count:i32",
        {"BLOCK": ADDED, "BIASED": True},
    ),
)
