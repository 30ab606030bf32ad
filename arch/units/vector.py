"""The vector unit: additions, products, comparisons, one per lane and cycle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from siliform.arch.parameter import Table, parameter
from siliform.arch.sourced import Sourced
from siliform.arch.units.lanes import Lanes

if TYPE_CHECKING:
    from siliform.arch.technology import Technology

#: One per lane and cycle, as in every vector datapath with a fused multiply-add in each lane.
SIMPLE_OPS = Table(dict.fromkeys(("mac", "add", "mul", "compare", "logic", "round", "random"), 1))


@dataclass(frozen=True, kw_only=True)
class VectorUnit(Lanes):
    """Lanes with a multiplier and an adder each."""

    kind: ClassVar[str] = "vector"

    products: str = parameter(
        "matrix products it may take from an array that accepts them too, where it is faster: only those of "
        "grouped convolutions, too thin for an array's folds, or any, such as one row times a matrix",
        default="grouped",
        choices=("grouped", "any"),
        knob=("grouped", "any"),
    )

    ops: Mapping[str, int] = parameter(
        "cycles that one scalar operation keeps a lane busy", default=SIMPLE_OPS, low=1, high=1024
    )
    depth_cycles: int = parameter(
        "cycles from the last operand in to the last result out", default=4, low=0, high=1024
    )

    def area_um2(self, technology: Technology) -> Sourced:
        """A multiplier and an adder of the widest float format in each lane."""
        return technology.fma_area_um2(self.widest_format).times(self.lanes, f"{self.lanes} lanes")
