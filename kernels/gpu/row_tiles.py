"""How kernels over rows share them out: rows of a power of two of columns, several short ones together."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import triton

from siliform.kernels.gpu.device import multiprocessors

FLOATS = (torch.bfloat16, torch.float16, torch.float32)
ELEMENTS = 4096  # of a program of 4 warps, an assumption: 32 a thread, few enough for registers
WIDEST_ROW = 65536  # columns in registers of the 1,024 threads of a program, 64 each
PROGRAMS = 4  # on each multiprocessor before rows are put together, an assumption that keeps memory busy


@dataclass(frozen=True)
class RowTile:
    """Rows of one program, columns as a power of two, and its warps."""

    rows: int
    columns: int
    num_warps: int


def row_tile(rows: int, width: int, device: torch.device) -> RowTile:
    """The tile for so many rows; few rows are spread over all multiprocessors."""
    columns = triton.next_power_of_2(width)
    together = max(1, ELEMENTS // columns)
    spread = triton.next_power_of_2(triton.cdiv(rows, PROGRAMS * multiprocessors(device)))
    kept = min(together, spread)
    return RowTile(kept, columns, min(32, max(1, kept * columns // 1024)))
