"""The tensor cores of a GPU: matrix products cut into output tiles, waves of tiles over processors.

A deliberately simple law from data-sheet peaks: it knows that a product with few output tiles
leaves multiprocessors idle, and that large products reach a stated share of the peak. Memory and
launches are other laws' business.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from siliform.arch.law import Count, ceil_div, checked_product, minimum, where
from siliform.arch.parameter import Table, parameter
from siliform.arch.sourced import Sourced, unknown
from siliform.arch.unit import Unit, check_formats, element_of
from siliform.graph_ir.formats import format_named
from siliform.graph_ir.space import Space

if TYPE_CHECKING:
    from siliform.arch.technology import Technology

#: Output tiles of one multiprocessor: the large one of a big product, smaller ones for few rows
#: (CUTLASS 3 documentation, "Efficient GEMM in CUDA": threadblock tiles; 16 is an mma's row count).
TILES = ((128, 128), (64, 128), (64, 64), (16, 128), (16, 64))
SPLITS = (1, 2, 4, 8, 16)  # assumption: ways a kernel may split K over multiprocessors


def wave_cycles(
    m: Count,
    n: Count,
    k: Count,
    multiprocessors: Count,
    macs_per_cycle: Count,
    *,
    tile: tuple[int, int],
    split: int = 1,
    batch: Count = 1,
) -> Count:
    """Cycles of `batch` M x N x K products at full rate, one output tile on a multiprocessor at a time.

    ``ceil(batch ceil(M/tm) ceil(N/tn) split / P)`` waves of ``ceil(tm tn ceil(K/split) / rate)``
    cycles each, `macs_per_cycle` being the rate of one of P multiprocessors.
    """
    tiles = checked_product(batch, ceil_div(m, tile[0]), ceil_div(n, tile[1]), split)
    one = ceil_div(checked_product(tile[0] * tile[1], ceil_div(k, split)), macs_per_cycle)
    return checked_product(ceil_div(tiles, multiprocessors), one)


@dataclass(frozen=True, kw_only=True)
class TensorCores(Unit):
    """All tensor cores of a GPU."""

    kind: ClassVar[str] = "tensor"

    multiprocessors: int = parameter("streaming multiprocessors", low=1, high=4096)
    macs_per_cycle: Mapping[str, int] = parameter(
        "multiply-accumulates of one multiprocessor per cycle, by element format", low=1, high=2**20
    )
    efficiency_percent: int = parameter(
        "share of the peak that a large product reaches", default=80, low=1, high=100
    )
    format_efficiency_percent: Mapping[str, int] = parameter(
        "the same for element formats where it differs", default=Table({}), low=1, high=100
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        check_formats(self.name, (*self.formats, *self.format_efficiency_percent))

    @property
    def formats(self) -> tuple[str, ...]:
        """Element formats that have a rate."""
        return tuple(self.macs_per_cycle)

    def _widened(self, first: str, second: str) -> str | None:
        """The format in which the cores take these operands; None where they do not.

        Of two formats with rates the slower counts. A format without a rate of its own is widened
        in registers to the other operand's, where that one has a rate and is wider (weight-only
        quantisation).
        """
        names = (element_of(first), element_of(second))
        if all(name in self.macs_per_cycle for name in names):
            return min(names, key=lambda name: self.macs_per_cycle[name])
        wide = max(names, key=lambda name: format_named(name).bits)
        return wide if wide in self.macs_per_cycle else None

    def refusal(self, op_name: str, spaces: Sequence[Space], formats: Sequence[str]) -> str | None:
        """Accepts products of two operands at least one of which has a rate."""
        if not spaces:
            return f"{op_name} does no arithmetic, and {self.name} does nothing else"
        if any(space.contraction() is None for space in spaces):
            return f"{op_name} is no plain product of two operands, which is all that {self.name} computes"
        if self._widened(formats[0], formats[1]) is None:
            return f"{self.name} takes {', '.join(self.macs_per_cycle)}, not {formats[0]} with {formats[1]}"
        return None

    def product_cycles(
        self, m: Count, n: Count, k: Count, formats: tuple[str, str], *, batch: Count = 1
    ) -> Count:
        """Cycles under the best of TILES and SPLITS, at the share of the peak that large products reach."""
        taken = self._widened(*formats)
        if taken is None:
            raise ValueError(f"{self.name} has no rate for {formats[0]} with {formats[1]}")
        rate = self.macs_per_cycle[taken]
        percent = self.format_efficiency_percent.get(taken, self.efficiency_percent)
        best: Count = None
        for tile in TILES:
            for split in SPLITS:
                cycles = wave_cycles(m, n, k, self.multiprocessors, rate, tile=tile, split=split, batch=batch)
                best = cycles if best is None else minimum(best, cycles)
        empty = checked_product(batch, m, n, k) == 0
        return where(empty, 0, ceil_div(checked_product(best, 100), percent))

    def cycles(self, space: Space) -> int:
        """The law for the product that `space` is, in the widest format that has a rate."""
        product = space.contraction()
        if product is None:
            raise ValueError(f"{self.name} was given a space that is no product of two operands")
        wide = max(self.macs_per_cycle, key=lambda name: format_named(name).bits)
        side_by_side = product.batch // max(product.steps, 1)
        one = self.product_cycles(product.m, product.n, product.k, (wide, wide), batch=side_by_side)
        return int(one) * product.steps

    def peak_macs_per_cycle(self, first: str, second: str) -> int:
        """The data sheet's peak, without the derating."""
        taken = self._widened(first, second)
        return 0 if taken is None else self.macs_per_cycle[taken] * self.multiprocessors

    def area_um2(self, technology: Technology) -> Sourced:
        """Not published by unit."""
        return unknown("um2", "GPU makers publish the area of the die, not of its units")

    def leakage_watts(self, technology: Technology) -> Sourced:
        """Not published by unit."""
        return unknown("W", "GPU makers publish no leakage")
