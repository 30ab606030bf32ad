"""Area, leakage and energy of each design, by the accelerator's own laws; NaN where there is no source."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from siliform.arch.sourced import Sourced
from siliform.arch.technology import Srams
from siliform.arch.units.array import DATAFLOWS, OVERLAPS
from siliform.simulator.costs import PICO, EnergyRates
from siliform.simulator.population.designs import Designs


def number(figure: Sourced) -> float:
    """The number, NaN where there is none."""
    return np.nan if figure.value is None else figure.value


@dataclass(frozen=True, eq=False)
class Figures:
    """What the technology says of each design; the design's own figures come first."""

    designs: Designs

    @cached_property
    def area_mm2(self) -> np.ndarray:
        """Area, as `Report.area_mm2`."""
        stated = self._stated("area_mm2")
        if stated is not None:
            return np.where(self.designs.other_die, np.nan, stated)
        units = [self._of_unit(name, lambda chip, name: chip.area_parts_mm2[name]) for name in self._others]
        memories = [memory.area_um2 * 1e-6 for memory in self._memories.values()]
        return _sum([self._array_um2 * 1e-6, *units, *memories])

    @cached_property
    def leakage_watts(self) -> np.ndarray:
        """Leakage, as `Accelerator.leakage_watts`."""
        stated = self._stated("leakage_watts")
        if stated is not None:
            return stated
        technology = self.designs.base.technology
        units = [
            self._of_unit(name, lambda chip, name: chip.unit(name).leakage_watts(technology))
            for name in self._others
        ]
        array = self._array_um2 * technology.logic_leakage_watts_per_um2
        return _sum([array, *units, *(memory.leakage_watts for memory in self._memories.values())])

    @cached_property
    def energy_rates(self) -> EnergyRates:
        """Energies, as `EnergyLaw` has them."""
        base = self.designs.base
        scratchpad = self._sram_pj_per_byte("scratchpad")
        accumulator = scratchpad if base.accumulator is None else self._sram_pj_per_byte("accumulator")
        dram = np.full(self.designs.count, number(base.dram_energy_pj_per_byte))
        return EnergyRates(scratchpad, accumulator, dram, self.leakage_watts / self.designs.clock_hz / PICO)

    def _stated(self, quantity: str) -> np.ndarray | None:
        stated = self.designs.base.stated(quantity)
        return None if stated is None else np.full(self.designs.count, number(stated))

    def _sram_pj_per_byte(self, memory: str) -> np.ndarray:
        stated = self._stated("sram_energy_pj_per_byte")
        return self._memories[memory].pj_per_byte if stated is None else stated

    @cached_property
    def _memories(self) -> dict[str, Srams]:
        found = {}
        for name, memory in self.designs.base.memories():
            sizes = np.array([memory.bytes])
            if name != "registers":
                sizes = self.designs.of_memory(name, "bytes")
            different, which = np.unique(sizes, return_inverse=True)
            figures = self.designs.base.technology.srams(different)
            found[name] = Srams(*(np.broadcast_to(f[which], self.designs.count) for f in figures))
        return found

    @cached_property
    def _array_um2(self) -> np.ndarray:
        kinds = len(OVERLAPS) * self.designs.of_array("dataflow") + self.designs.of_array("overlap")
        different, which = np.unique(kinds, return_inverse=True)
        cells = np.array([self._cell_um2(*divmod(kind, len(OVERLAPS))) for kind in different.tolist()])
        return cells[which] * (self.designs.of_array("rows") * self.designs.of_array("columns"))

    def _cell_um2(self, dataflow: int, overlap: int) -> float:
        """A cell of the array with this dataflow and overlap, by their indices."""
        array = replace(self.designs.array, dataflow=DATAFLOWS[dataflow], overlap=OVERLAPS[overlap])
        return number(array.cell_area_um2(self.designs.base.technology))

    @cached_property
    def _others(self) -> list[str]:
        return [unit.name for unit in self.designs.base.units if unit is not self.designs.array]

    def _of_unit(self, name: str, figure: Callable[..., Sourced]) -> np.ndarray:
        """A figure of a unit that the array is not."""
        return np.array([number(figure(chip, name)) for chip in self.designs.variants])[self.designs.variant]


def _sum(terms: Iterable[np.ndarray]) -> np.ndarray:
    """The sum as `math.fsum` rounds it (but for cases that even twice the precision leaves undecided)."""
    total, lost = np.zeros(1), np.zeros(1)
    for term in terms:
        # Two-sum (Knuth): what the rounded sum loses, exactly.
        summed = total + term
        back = summed - total
        lost = lost + ((total - (summed - back)) + (term - back))
        total = summed
    return np.asarray(total + lost)
