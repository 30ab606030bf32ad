"""The scalar lanes of a GPU: fused multiply-adds beside slower special functions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from siliform.arch.parameter import parameter
from siliform.arch.sourced import Sourced, unknown
from siliform.arch.units.lanes import Lanes

if TYPE_CHECKING:
    from siliform.arch.technology import Technology


@dataclass(frozen=True, kw_only=True)
class CudaCores(Lanes):
    """All fp32 lanes of a GPU; `ops` gives special functions their lower rate in cycles of a lane."""

    kind: ClassVar[str] = "cuda"

    depth_cycles: int = parameter(
        "cycles from the last operand in to the last result out", default=30, low=0, high=1024
    )

    def area_um2(self, technology: Technology) -> Sourced:
        """Not published by unit."""
        return unknown("um2", "GPU makers publish the area of the die, not of its units")

    def leakage_watts(self, technology: Technology) -> Sourced:
        """Not published by unit."""
        return unknown("W", "GPU makers publish no leakage")
