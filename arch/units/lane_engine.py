"""What engines made of identical lanes under one control share: requantiser, activations, norms, adder."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

from siliform.arch.parameter import parameter
from siliform.arch.sourced import Sourced
from siliform.arch.units.engine import Engine
from siliform.arch.units.in_gates import scaled_by_netlist

if TYPE_CHECKING:
    from siliform.arch.technology import Technology


@dataclass(frozen=True, kw_only=True)
class LaneEngine(Engine):
    """An engine that takes a beat of `lanes` elements a cycle."""

    lanes: int = parameter("elements a cycle", low=1, high=65536, knob=(8, 16, 32, 64, 128))

    @abstractmethod
    def lane_area_um2(self, technology: Technology) -> Sourced:
        """Arithmetic and registers of one lane."""

    def area_um2(self, technology: Technology) -> Sourced:
        """The lanes, scaled by a netlist where there is one; what they share is small beside them."""
        return scaled_by_netlist(self, technology, lambda unit: unit.logic_um2(technology))

    def logic_um2(self, technology: Technology) -> Sourced:
        """What a netlist scales: the lanes."""
        return self.lanes_area_um2(technology)

    def lanes_area_um2(self, technology: Technology) -> Sourced:
        """The lanes by their operators and registers alone."""
        return self.lane_area_um2(technology).times(self.lanes, f"{self.lanes} lanes")

    def leakage_watts(self, technology: Technology) -> Sourced:
        """Logic leakage over the unit's area."""
        return technology.logic_leakage_watts(self.area_um2(technology))


def barrel_shifter_um2(technology: Technology, places: int) -> Sourced:
    """A shifter by 0 to `places` - 1 places of what a 32-bit adder is wide."""
    levels = (places - 1).bit_length()
    rule = f"assumption: each of {levels} levels of a shifter costs an addition"
    return technology.operator_area_um2("add", "int32").times(levels, rule)
