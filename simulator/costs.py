"""What a block costs: time from compute, memory and launches; energy by cause."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import ceil
from typing import Any

from siliform.arch.accelerator import Accelerator
from siliform.arch.sourced import Sourced
from siliform.simulator.report import Bottleneck

PICO = 1e-12


@dataclass(frozen=True)
class Cost:
    """Time, traffic and energy of one block; see `Part` for the fields."""

    cycles: int
    compute_cycles: int
    memory_cycles: int
    launch_cycles: int
    dram_bytes: int
    scratchpad_bytes: int | None
    energy_by_cause_j: Mapping[str, float] | None
    unit: str
    mapping: Mapping[str, Any] = field(default_factory=dict)

    @property
    def energy_j(self) -> float | None:
        """Total energy, or None."""
        return None if self.energy_by_cause_j is None else math.fsum(self.energy_by_cause_j.values())

    @property
    def bottleneck(self) -> Bottleneck:
        """What would have to get faster first; ties go to compute."""
        waits: dict[Bottleneck, int] = {
            "compute": self.compute_cycles,
            "memory": self.memory_cycles,
            "launch": self.launch_cycles,
        }
        return max(waits, key=lambda name: waits[name])

    def score(self, objective: str) -> tuple[float, float]:
        """Smaller is better: latency, energy or their product; energy unknown counts as latency."""
        energy = self.energy_j
        if energy is None or objective == "latency":
            return float(self.cycles), energy or 0.0
        return (energy if objective == "energy" else energy * self.cycles), float(self.cycles)


def elapsed_cycles(compute: int, memory: int, fill: int, launch: int, overlapped: bool) -> int:
    """Time of a block whose transfers overlap with compute, or do not.

    Overlapped, the first tile must come in and the last go out uncovered (`fill`):
    ``max(compute + fill, memory)``; otherwise ``compute + memory``. Launches come before.
    """
    return launch + (max(compute + fill, memory) if overlapped else compute + memory)


@dataclass(frozen=True)
class EnergyLaw:
    """Energy of counts on one accelerator; None as soon as one coefficient has no source."""

    accelerator: Accelerator

    @cached_property
    def static_pj_per_cycle(self) -> float | None:
        """Leakage of the whole chip in one cycle."""
        watts = self.accelerator.leakage_watts.value
        return None if watts is None else watts / self.accelerator.clock_hz / PICO

    @cached_property
    def dram_pj_per_byte(self) -> float | None:
        """Energy of one byte to or from DRAM."""
        return self.accelerator.dram_energy_pj_per_byte.value

    @cached_property
    def scratchpad_pj_per_byte(self) -> float | None:
        """Energy of one byte to or from the scratchpad."""
        return self.accelerator.sram_energy_pj_per_byte(self.accelerator.scratchpad).value

    @cached_property
    def accumulator_pj_per_byte(self) -> float | None:
        """Energy of one byte of partial sums."""
        memory = self.accelerator.accumulator or self.accelerator.scratchpad
        return self.accelerator.sram_energy_pj_per_byte(memory).value

    def by_cause(
        self,
        *,
        products: Iterable[tuple[tuple[str, str], int]],
        scalars: Iterable[tuple[Mapping[str, int], str]],
        scratchpad_bytes: int,
        accumulator_bytes: int,
        dram_bytes: int,
        cycles: int,
    ) -> dict[str, float] | None:
        """Joules by cause: compute, scratchpad, dram, static."""
        chip = self.accelerator
        terms = [(chip.mac_energy_pj(*formats), count) for formats, count in products]
        terms += [
            (chip.scalar_energy_pj(op, form), count)
            for counts, form in scalars
            for op, count in counts.items()
        ]
        compute = _weighted(terms)
        rates = (
            self.scratchpad_pj_per_byte,
            self.accumulator_pj_per_byte,
            self.dram_pj_per_byte,
            self.static_pj_per_cycle,
        )
        if compute is None or any(rate is None for rate in rates):
            return None
        scratchpad, accumulator, dram, static = (rate or 0.0 for rate in rates)
        return {
            "compute": compute * PICO,
            "scratchpad": (scratchpad_bytes * scratchpad + accumulator_bytes * accumulator) * PICO,
            "dram": dram_bytes * dram * PICO,
            "static": static * cycles * PICO,
        }


def _weighted(terms: Iterable[tuple[Sourced, int]]) -> float | None:
    found = 0.0
    for each, count in terms:
        if count and each.value is None:
            return None
        found += (each.value or 0.0) * count
    return found


def transfer_cycles(count_bytes: int, bytes_per_cycle: float) -> int:
    """Whole cycles of one transfer."""
    return ceil(count_bytes / bytes_per_cycle)
