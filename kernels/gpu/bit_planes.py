"""One- and two-bit levels packed for kernels: each bit of the code is a plane of 32-bit words, row by row.

Element i of a row is bit ``i % 32`` of word ``i // 32``, and a row ends with a whole word, filled up with
zeros. A plane is thus what `graph_ir.formats.packing.pack` makes of that bit of the codes, row for row.
binary and binary01 have one plane; ternary has two, bit 0 (set for -1 and +1) and bit 1 (set for -1).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import prod
from types import MappingProxyType

import torch
import triton
import triton.language as tl

from siliform.kernels.gpu import checks
from siliform.kernels.gpu.aot import Build

WORD = 32  # bits of a word
#: Bits of a code: the planes of each format.
PLANES: Mapping[str, int] = MappingProxyType({"binary": 1, "binary01": 1, "ternary": 2})
#: The level, in steps of the scale, that an element reaches or passes to be +1: graph_ir/formats/levels.py.
THRESHOLDS: Mapping[str, float] = MappingProxyType({"binary": 0.0, "binary01": 0.5, "ternary": 0.5})
ROWS, WORDS = 8, 4  # of a program: 1,024 elements, an assumption


@dataclass(frozen=True)
class Packed:
    """A tensor [..., R, K] of one- or two-bit levels.

    Attributes
    ----------
    words : int32 [planes, ..., R, ceil(K / 32)], contiguous.
    columns : K.
    format : `binary`, `binary01` or `ternary`.
    scale : fp32, [] or [R]: what levels are multiplied by; None where they stand for themselves.
    """

    words: torch.Tensor
    columns: int
    format: str
    scale: torch.Tensor | None = None

    def __post_init__(self) -> None:
        checks.choice("bit_planes", "format", self.format, tuple(PLANES))
        shape = (PLANES[self.format], *self.words.shape[1:-1], triton.cdiv(self.columns, WORD))
        checks.shaped("bit_planes", words=(self.words, shape))
        checks.dtypes("bit_planes", (torch.int32,), words=self.words)
        if self.scale is not None:
            checks.dtypes("bit_planes", (torch.float32,), scale=self.scale)
            wanted = self.words.shape[-2:-1] if self.scale.ndim else ()
            checks.shaped("bit_planes", scale=(self.scale, wanted))

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the tensor, unpacked."""
        return (*self.words.shape[1:-1], self.columns)


@triton.jit
def pack_rows(  # type: ignore[no-untyped-def]
    x, threshold, words, rows, columns, width, x_row, threshold_row, threshold_column,
    FORM: tl.constexpr, ROWS: tl.constexpr, WORDS: tl.constexpr,
):  # fmt: skip
    """words [planes, rows, width] of x [rows, columns], against threshold; FORM is the format's name."""
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    column = tl.program_id(1) * WORDS * 32 + tl.arange(0, WORDS * 32)
    inside = (row[:, None] < rows) & (column[None, :] < columns)
    value = tl.load(x + row[:, None].to(tl.int64) * x_row + column[None, :], mask=inside, other=0.0)
    at_threshold = row[:, None] * threshold_row + column[None, :] * threshold_column
    level = tl.load(threshold + at_threshold, mask=inside, other=0.0)
    value = value.to(level.dtype)
    if FORM == "binary":
        low = value >= level
    elif FORM == "binary01":
        low = value > level
    else:
        low = (value > level) | (value < -level)
    word = tl.program_id(1) * WORDS + tl.arange(0, WORDS)
    to = words + row[:, None].to(tl.int64) * width + word[None, :]
    whole = (row[:, None] < rows) & (word[None, :] < width)
    tl.store(to, in_words(low & inside, ROWS, WORDS), mask=whole)
    if FORM == "ternary":
        plane = tl.cast(rows, tl.int64) * width
        tl.store(to + plane, in_words((value < -level) & inside, ROWS, WORDS), mask=whole)


@triton.jit
def in_words(bits, ROWS: tl.constexpr, WORDS: tl.constexpr):  # type: ignore[no-untyped-def]
    """int32 [ROWS, WORDS] of booleans [ROWS, 32 WORDS], the first one lowest."""
    apart = tl.reshape(bits.to(tl.int32), (ROWS, WORDS, 32))
    return tl.sum(apart << tl.arange(0, 32)[None, None, :], axis=2)


def pack(x: torch.Tensor, format: str, *, threshold: torch.Tensor | None = None) -> Packed:
    """x [..., R, K] as levels of a format, by comparison with a threshold that broadcasts against x.

    ``binary`` is +1 where x >= threshold, else -1; ``binary01`` is 1 where x > threshold, else 0; ``ternary``
    is +1 where x > threshold, -1 where x < -threshold, else 0. This is the op `binarise`, packed. Without a
    threshold, levels are those that the format rounds x to: 0 for binary, half a step for the others.
    """
    checks.choice("bit_planes", "format", format, tuple(PLANES))
    checks.dtypes("bit_planes", (torch.bfloat16, torch.float16, torch.float32), x=x)
    if threshold is None:
        threshold = torch.full((), THRESHOLDS[format], device=x.device)
    checks.dtypes("bit_planes", (torch.float32, torch.float64), threshold=threshold)
    checks.one_device("bit_planes", x=x, threshold=threshold)
    *lead, columns = x.shape
    flat = x.contiguous().view(prod(lead), columns)
    level = threshold if threshold.ndim < 2 else threshold.expand_as(x).reshape(flat.shape)
    width = triton.cdiv(columns, WORD)
    words = torch.empty((PLANES[format], *lead, width), dtype=torch.int32, device=x.device)
    grid = (triton.cdiv(len(flat), ROWS), triton.cdiv(width, WORDS))
    sizes = (len(flat), columns, width, flat.stride(0), *level.expand_as(flat).stride())
    if words.numel():
        pack_rows[grid](flat, level, words, *sizes, FORM=format, ROWS=ROWS, WORDS=WORDS)
    return Packed(words, columns, format)


def quantise(x: torch.Tensor, format: str, *, by_row: bool = False, centred: bool = False) -> Packed:
    """x [..., R, K] as levels beside scales, by the rules of `graph_ir.formats.scaled`.

    Parameters
    ----------
    by_row : a scale for each row of x [R, K], as weights have it, in place of one for all of x.
    centred : binary rows are ``m sign(x - mean x)`` with m the mean magnitude of x as it was.
        Source: Xing et al., BiPFT, arXiv 2312.08937.

    The scale is the mean magnitude (the greatest one for binary01) and 1 where that is 0; it and the
    threshold are taken in float64, so that no level is lost to rounding.
    """
    checks.choice("bit_planes", "format", format, tuple(PLANES))
    if (by_row and x.ndim != 2) or (centred and not (by_row and format == "binary")):
        raise checks.refusal(
            "bit_planes",
            asked=f"{list(x.shape)} in {format} with by_row={by_row}, centred={centred}",
            found="scales by row are those of a matrix, and binary rows alone are centred",
            next_step="give a matrix [R, K], or leave out what its rows do not have",
        )
    wide = x.double()
    size = wide.abs() if by_row else wide.abs().reshape(1, -1)
    magnitude = size.amax(dim=-1) if format == "binary01" else size.mean(dim=-1)
    scale = torch.where(magnitude > 0, magnitude, 1.0).float()
    threshold = scale.double()[:, None] * THRESHOLDS[format]
    if centred:
        threshold = wide.mean(dim=-1, keepdim=True)
    packed = pack(x, format, threshold=threshold if by_row else threshold[0, 0])
    return replace(packed, scale=scale if by_row else scale[0])


COMPILED = tuple(
    Build(
        pack_rows,
        f"x:*{x} threshold:*{level} words:*i32 rows:i32 columns:i32/16 width:i32 x_row:i32/16",
        {"threshold_row": 0, "threshold_column": 0, "FORM": form, "ROWS": ROWS, "WORDS": WORDS},
    )
    for form, x, level in (
        ("binary", "bf16", "fp32"),
        ("binary01", "bf16", "fp32"),
        ("ternary", "fp32", "fp64"),
    )
)
