"""The tensor cores of a GPU: matrix products cut into output tiles, waves of tiles over multiprocessors.

The law is `siliform.arch.gpu.product`'s, with the constants of the GPU's generation. Transfers take part in
it where they are given; launches are the launch unit's business.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from siliform.arch.gpu.generation import GENERATIONS, Generation
from siliform.arch.gpu.product import product_cycles
from siliform.arch.law import Count
from siliform.arch.parameter import Table, parameter
from siliform.arch.sourced import Sourced, unknown
from siliform.arch.unit import Unit, check_formats, element_of
from siliform.graph_ir.formats import format_named
from siliform.graph_ir.space import Space

if TYPE_CHECKING:
    from siliform.arch.technology import Technology


@dataclass(frozen=True, kw_only=True)
class TensorCores(Unit):
    """All tensor cores of a GPU."""

    kind: ClassVar[str] = "tensor"

    multiprocessors: int = parameter("streaming multiprocessors", low=1, high=4096)
    macs_per_cycle: Mapping[str, int] = parameter(
        "multiply-accumulates of one multiprocessor per cycle, by element format", low=1, high=2**20
    )
    generation: str = parameter(
        "whose constants hold that no data sheet says (arch/gpu/generation.py)",
        default="hopper",
        choices=tuple(GENERATIONS),
    )
    shared_bytes: int = parameter(
        "memory of a multiprocessor for the tiles of its blocks",
        default=228 * 1024,
        quantity="bytes",
        low=1024,
        high=2**30,
    )
    board_watts: int = parameter(
        "limit of the board's power, which long kernels run into; 0: none", default=0, low=0, high=100_000
    )
    format_efficiency_percent: Mapping[str, int] = parameter(
        "share of the law's rate that products of an element format reach, where it is not all",
        default=Table({}),
        low=1,
        high=100,
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

    @property
    def constants(self) -> Generation:
        """Of the generation."""
        return GENERATIONS[self.generation]

    def rate(self, formats: tuple[str, str]) -> float:
        """Multiply-accumulates of one multiprocessor in a cycle; ValueError for formats it does not take."""
        taken = self._widened(*formats)
        if taken is None:
            raise ValueError(f"{self.name} has no rate for {formats[0]} with {formats[1]}")
        return self.macs_per_cycle[taken] * self.format_efficiency_percent.get(taken, 100) / 100

    def product_cycles(
        self,
        m: Count,
        n: Count,
        k: Count,
        formats: tuple[str, str],
        *,
        batch: Count = 1,
        memory_cycles: Any = 0,
    ) -> Count:
        """Cycles of `batch` products beside `memory_cycles` of transfers, of the fastest tiles and parts of
        K.
        """
        wide = format_named(self._widened(*formats) or formats[0]).bits / 8
        found = product_cycles(
            self,
            m,
            n,
            k,
            self.rate(formats),
            batch=batch,
            memory_cycles=memory_cycles,
            operand_bytes=max(wide, 0.5),
        )
        return np.ceil(found).astype(np.int64) if found.ndim else ceil(found)

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
