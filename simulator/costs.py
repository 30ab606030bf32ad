"""What a block costs: time from compute, memory and launches; energy by cause.

The laws take plain numbers, or arrays of one number per design.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import ceil
from typing import Any, NamedTuple

import numpy as np

from siliform.arch.accelerator import Accelerator
from siliform.arch.law import Count, maximum, where
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
    accumulator_bytes: int = 0  # of scratchpad_bytes, those of partial sums

    def unit_bytes(self, own_sums: bool) -> int:
        """Bytes between units and scratchpad; partial sums too, unless they have a memory of their own."""
        if self.scratchpad_bytes is None:
            return 0
        return self.scratchpad_bytes - self.dram_bytes - (self.accumulator_bytes if own_sums else 0)

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
        """Smaller is better: latency, energy, their product or traffic; energy unknown counts as latency."""
        energy = self.energy_j
        if objective == "traffic":
            return float(self.dram_bytes), float(self.cycles)
        if energy is None or objective == "latency":
            return float(self.cycles), energy or 0.0
        return (energy if objective == "energy" else energy * self.cycles), float(self.cycles)


def elapsed_cycles(compute: Count, memory: Count, fill: Count, launch: Count, overlapped: Any) -> Count:
    """Time of a block whose transfers overlap with compute, or do not.

    Overlapped, what is needed first must come in and what is ready last go out uncovered (`fill`):
    ``max(compute + fill, memory)``; otherwise ``compute + memory``. Launches come before.
    """
    return launch + where(overlapped, maximum(compute + fill, memory), compute + memory)


def streamed_cycles(
    compute: Count, dram_bytes: Count, first_share: Any, bytes_per_cycle: Any, overlapped: Any
) -> Count:
    """Time of a block whose operands pass once, `first_share` of the traffic uncovered."""
    fill = transfer_cycles(_ceil(dram_bytes * first_share), bytes_per_cycle)
    return elapsed_cycles(compute, transfer_cycles(dram_bytes, bytes_per_cycle), fill, 0, overlapped)


class EnergyRates(NamedTuple):
    """Picojoules of a byte of each memory and of a cycle of leakage; None (NaN in arrays): no source."""

    scratchpad_pj_per_byte: Any
    accumulator_pj_per_byte: Any
    dram_pj_per_byte: Any
    static_pj_per_cycle: Any


def joules_by_cause(
    compute_pj: Any,
    rates: EnergyRates,
    *,
    scratchpad_bytes: Count,
    accumulator_bytes: Count,
    dram_bytes: Count,
    cycles: Count,
) -> dict[str, Any]:
    """Joules by cause: compute, scratchpad, accumulator, dram, static; all counts and rates may be arrays.

    `accumulator` is the partial sums, wherever the design keeps them.
    """
    scratchpad, accumulator, dram, static = rates
    return {
        "compute": compute_pj * PICO,
        "scratchpad": scratchpad_bytes * scratchpad * PICO,
        "accumulator": accumulator_bytes * accumulator * PICO,
        "dram": dram_bytes * dram * PICO,
        "static": static * cycles * PICO,
    }


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
        products: Iterable[tuple[tuple[str, str], float]],
        scalars: Iterable[tuple[Mapping[str, int], str]],
        scratchpad_bytes: int,
        accumulator_bytes: int,
        dram_bytes: int,
        cycles: int,
    ) -> dict[str, float] | None:
        """Joules by cause; see `joules_by_cause`."""
        compute = self.compute_pj(products, scalars)
        rates = EnergyRates(
            self.scratchpad_pj_per_byte,
            self.accumulator_pj_per_byte,
            self.dram_pj_per_byte,
            self.static_pj_per_cycle,
        )
        if compute is None or any(rate is None for rate in rates):
            return None
        return joules_by_cause(
            compute,
            rates,
            scratchpad_bytes=scratchpad_bytes,
            accumulator_bytes=accumulator_bytes,
            dram_bytes=dram_bytes,
            cycles=cycles,
        )

    def compute_pj(
        self,
        products: Iterable[tuple[tuple[str, str], float]],
        scalars: Iterable[tuple[Mapping[str, int], str]],
    ) -> float | None:
        """Energy of multiply-accumulates and scalar operations, None where one has no source."""
        chip = self.accelerator
        terms: list[tuple[Sourced, float]] = [
            (chip.mac_energy_pj(*formats), count) for formats, count in products
        ]
        terms += [
            (chip.scalar_energy_pj(op, form), count)
            for counts, form in scalars
            for op, count in counts.items()
        ]
        return _weighted(terms)


def _weighted(terms: Iterable[tuple[Sourced, float]]) -> float | None:
    found = 0.0
    for each, count in terms:
        if count and each.value is None:
            return None
        found += (each.value or 0.0) * count
    return found


def transfer_cycles(count_bytes: Count, bytes_per_cycle: Any) -> Count:
    """Whole cycles of one transfer."""
    return _ceil(count_bytes / bytes_per_cycle)


def _ceil(number: Any) -> Count:
    return np.ceil(number) if isinstance(number, np.ndarray) else ceil(number)
