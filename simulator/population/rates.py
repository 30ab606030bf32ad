"""Area, leakage and energy of each design, by the accelerator's own laws; NaN where there is no source."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from siliform.arch.sourced import Sourced
from siliform.arch.technology import Technology
from siliform.simulator.costs import PICO, EnergyRates
from siliform.simulator.population.designs import Designs

MemoryLaw = Callable[[Technology, np.ndarray], np.ndarray]


def number(figure: Sourced) -> float:
    """The number, NaN where there is none."""
    return np.nan if figure.value is None else figure.value


def area_mm2(designs: Designs) -> np.ndarray:
    """Area of each design, as `Report.area_mm2`."""
    stated = designs.base.stated("area_mm2")
    if stated is not None:
        return np.full(designs.count, number(stated))
    units = [
        _by_variant(designs, lambda chip, name=name: chip.area_parts_mm2[name]) for name in _others(designs)
    ]
    memories = [area * 1e-6 for area in _by_memory(designs, Technology.sram_areas_um2)]
    return _sum([_array_area_um2(designs) * 1e-6, *units, *memories])


def leakage_watts(designs: Designs) -> np.ndarray:
    """Leakage of each design, as `Accelerator.leakage_watts`."""
    stated = designs.base.stated("leakage_watts")
    if stated is not None:
        return np.full(designs.count, number(stated))
    technology = designs.base.technology
    array = _array_area_um2(designs) * technology.logic_leakage_watts_per_um2
    units = [
        _by_variant(designs, lambda chip, name=name: chip.unit(name).leakage_watts(technology))
        for name in _others(designs)
    ]
    return _sum([array, *units, *_by_memory(designs, Technology.sram_leakages_watts)])


def energy_rates(designs: Designs, leakage: np.ndarray) -> EnergyRates:
    """Energies of each design, as `EnergyLaw` has them."""
    scratchpad = _sram_energy(designs, "scratchpad")
    accumulator = scratchpad if designs.base.accumulator is None else _sram_energy(designs, "accumulator")
    dram = np.full(designs.count, number(designs.base.dram_energy_pj_per_byte))
    return EnergyRates(scratchpad, accumulator, dram, leakage / designs.clock_hz / PICO)


def _sram_energy(designs: Designs, memory: str) -> np.ndarray:
    stated = designs.base.stated("sram_energy_pj_per_byte")
    if stated is not None:
        return np.full(designs.count, number(stated))
    return _distinct(
        designs.base.technology, Technology.sram_energies_pj_per_byte, designs.of_memory(memory, "bytes")
    )


def _array_area_um2(designs: Designs) -> np.ndarray:
    cell = number(designs.array.cell_area_um2(designs.base.technology))
    return cell * (designs.of_array("rows") * designs.of_array("columns"))


def _others(designs: Designs) -> list[str]:
    return [unit.name for unit in designs.base.units if unit is not designs.array]


def _by_variant(designs: Designs, figure: Callable[..., Sourced]) -> np.ndarray:
    """A figure of the units that the array is not, on each design."""
    return np.array([number(figure(chip)) for chip in designs.variants])[designs.variant]


def _by_memory(designs: Designs, law: MemoryLaw) -> list[np.ndarray]:
    """A figure of each memory on each design."""
    found = []
    for name, memory in designs.base.memories():
        varied = name in ("scratchpad", "accumulator")
        sizes = designs.of_memory(name, "bytes") if varied else np.full(designs.count, memory.bytes)
        found.append(_distinct(designs.base.technology, law, sizes))
    return found


def _distinct(technology: Technology, law: MemoryLaw, sizes: np.ndarray) -> np.ndarray:
    different, which = np.unique(sizes, return_inverse=True)
    return law(technology, different)[which]


def _sum(terms: Iterable[np.ndarray]) -> np.ndarray:
    """The sum as `math.fsum` rounds it (but for cases that even twice the precision leaves undecided)."""
    total: np.ndarray | None = None
    lost = np.zeros(1)
    for term in terms:
        if total is None:
            total, lost = term, np.zeros_like(term)
            continue
        # Two-sum (Knuth): what the rounded sum loses, exactly.
        summed = total + term
        back = summed - total
        lost = lost + ((total - (summed - back)) + (term - back))
        total = summed
    return np.zeros(1) if total is None else total + lost
