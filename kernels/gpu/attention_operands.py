"""What the attention kernels share on the host: tiles, how scores become weights, what operands they take."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import Any

import torch
import triton

from siliform.kernels.gpu import checks
from siliform.kernels.gpu.device import has_tensor_memory_accelerator, multiprocessors

DTYPES = (torch.bfloat16, torch.float16, torch.float32)
WEIGHTS = ("softmax", "sigmoid")
EVERY_WEIGHTS = (*WEIGHTS, "softplus")
WIDEST_HEAD = 256  # columns: two tiles of wider heads do not fit beside their queries in shared memory


@dataclass(frozen=True)
class Tiles:
    """Queries of one program and keys of one of its steps."""

    queries: int
    keys: int
    num_warps: int
    num_stages: int


#: By the widest head they are for. sm_90: a warp group multiplies 64 rows at once.
HOPPER = {64: Tiles(128, 64, 4, 3), 128: Tiles(128, 128, 8, 2), 256: Tiles(128, 64, 8, 2)}
AMPERE = {64: Tiles(128, 64, 4, 3), 128: Tiles(128, 64, 8, 3), 256: Tiles(64, 64, 8, 2)}
#: Products of fp32 take no tensor core.
FLOAT32 = {64: Tiles(32, 32, 4, 2), 128: Tiles(32, 32, 8, 2), 256: Tiles(16, 16, 8, 2)}


@dataclass(frozen=True)
class Scores:
    """How scores become weights: one of `EVERY_WEIGHTS`, the factor on products, what all but softmax add to
    it, and the power of softplus.
    """

    weights: str = "softmax"
    factor: float = 1.0
    bias: float = 0.0
    power: int = 1

    @property
    def constant(self) -> str | int:
        """As `absorb` has it."""
        return self.power if self.weights == "softplus" else self.weights


def factor_of(scale: float | None, q: torch.Tensor) -> float:
    """The factor on the products of q and k: 1/sqrt of the width by default."""
    return 1 / sqrt(q.shape[-1]) if scale is None else scale


def check_operands(
    kernel: str,
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    weights: str,
    known: tuple[str, ...] = WEIGHTS,
) -> None:
    """UserError for devices, dtypes, widths or weights that the attention kernels do not take."""
    checks.one_device(kernel, q=q, k=k, v=v)
    checks.dtypes(kernel, DTYPES, q=q, k=k, v=v)
    checks.same_dtype(kernel, q=q, k=k, v=v)
    checks.choice(kernel, "weights", weights, known)
    widest = max(q.shape[-1], v.shape[-1])
    if widest > WIDEST_HEAD:
        raise checks.refusal(
            kernel,
            asked=f"the kernel {kernel} for heads of width {widest}",
            found=f"it holds heads of at most {WIDEST_HEAD} in shared memory",
            next_step="split the heads, or compute attention as two products and a softmax",
        )


def contiguous_rows(x: torch.Tensor) -> torch.Tensor:
    """x, copied where elements of its last axis do not lie side by side."""
    return x if x.stride(-1) == 1 else x.contiguous()


def tiles_for(rows: int, queries: int, q: torch.Tensor, v: torch.Tensor) -> Tiles:
    """Tiles for `queries` in each of `rows` heads of all sequences; smaller ones where there are few."""
    hopper = has_tensor_memory_accelerator(q.device)
    table = FLOAT32 if q.dtype is torch.float32 else HOPPER if hopper else AMPERE
    found = next(tiles for widest, tiles in table.items() if max(q.shape[-1], v.shape[-1]) <= widest)
    programs = rows * triton.cdiv(queries, found.queries)
    least = max(16, triton.next_power_of_2(queries))
    if least >= found.queries and programs >= multiprocessors(q.device):
        return found
    return Tiles(min(found.queries, 64, least), min(found.keys, 64), 4, found.num_stages)


def constants(width: int, value_width: int, tiles: Tiles) -> dict[str, Any]:
    """Constants of every attention kernel for heads of these widths."""
    return {
        "C": width,
        "D": value_width,
        "BLOCK_M": tiles.queries,
        "BLOCK_N": tiles.keys,
        "BLOCK_C": max(16, triton.next_power_of_2(width)),
        "BLOCK_D": max(16, triton.next_power_of_2(value_width)),
        "num_warps": tiles.num_warps,
        "num_stages": tiles.num_stages,
    }
