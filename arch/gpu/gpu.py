"""The numbers of a GPU that the laws of its kernels need, gathered from a design."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from siliform.arch.gpu.generation import Generation
from siliform.arch.technology import N5_POWER

if TYPE_CHECKING:
    from siliform.arch.accelerator import Accelerator


@dataclass(frozen=True)
class Gpu:
    """What a GPU is to its kernels.

    Attributes
    ----------
    clock_hz, multiprocessors : as in the design.
    constants : of the generation, which no data sheet says.
    rates : multiply-accumulates of one multiprocessor in a cycle, by element format.
    shared_bytes : memory of a multiprocessor that its blocks' tiles share.
    softmax_cycles : of one multiprocessor for one score of an attention, all operations of a softmax.
    dram_bytes_per_cycle : sustained.
    cache_bytes : of the level-2 cache.
    launch_cycles : of a kernel besides its work, from the end of the one before.
    board_watts : limit of the board; None: no limit is known.
    full_watts : what the tensor cores would take at their full rate in bf16, with random operands.
    replay_cycles : between two replays of a graph of kernels.
    """

    clock_hz: int
    multiprocessors: int
    constants: Generation
    rates: Mapping[str, float]
    shared_bytes: int
    softmax_cycles: float
    dram_bytes_per_cycle: float
    cache_bytes: int
    launch_cycles: float
    replay_cycles: float
    board_watts: float | None
    full_watts: float

    @classmethod
    def of(cls, design: Accelerator) -> Gpu:
        """The GPU that a design describes; ValueError for one without tensor cores."""
        from siliform.arch.units.launch import Launch
        from siliform.arch.units.tensor import TensorCores

        cores = next((u for u in design.units if isinstance(u, TensorCores)), None)
        if cores is None:
            raise ValueError(f"{design.name} has no tensor cores")
        launches = [u for u in design.units if isinstance(u, Launch)]
        rates = {name: cores.rate((name, name)) for name in cores.formats}
        made = cores.constants
        watts = made.mac_pj * 1e-12 * (N5_POWER if design.technology.node_nm <= 5 else 1.0)
        watts *= (design.clock_hz / 1e9) ** 2 * rates["bf16"] * cores.multiprocessors * design.clock_hz
        return cls(
            clock_hz=design.clock_hz,
            multiprocessors=cores.multiprocessors,
            constants=made,
            rates=MappingProxyType(rates),
            shared_bytes=cores.shared_bytes,
            softmax_cycles=_softmax_cycles(design) * cores.multiprocessors,
            dram_bytes_per_cycle=float(design.dram_bytes_per_cycle),
            cache_bytes=design.scratchpad.bytes,
            launch_cycles=sum(u.launch_cycles(1, design.clock_hz) for u in launches),
            replay_cycles=sum(u.replay_cycles(1, design.clock_hz) for u in launches),
            board_watts=cores.board_watts or None,
            full_watts=watts,
        )

    @property
    def kept_bytes(self) -> float:
        """Bytes that the level-2 cache keeps for another use."""
        return self.constants.kept_bytes(self.cache_bytes)

    def transfer_cycles(self, dram_bytes: Any, all_bytes: Any) -> Any:
        """Cycles in which `all_bytes` pass the level-2 cache, `dram_bytes` of them from or to DRAM."""
        of = self.constants
        cached = all_bytes / (of.l2_bytes_per_cycle * self.multiprocessors)
        return of.together(dram_bytes / self.dram_bytes_per_cycle, cached)

    def slowdown(self, macs_of_bf16: Any, cycles: Any) -> Any:
        """By what factor a kernel of so many multiply-accumulates in so many cycles is slowed by the power
        limit.

        Power goes with the cube of the clock, as voltage does with the clock; what a kernel would take at its
        full clock is the share of the tensor cores that it keeps busy of `full_watts`. That is of a load that
        goes on: a board notices within some tens of milliseconds, and forgets as slowly.
        """
        if self.board_watts is None:
            return 1.0
        busy = macs_of_bf16 / (self.multiprocessors * self.rates["bf16"]) / np.maximum(cycles, 1)
        return np.maximum(1.0, busy * self.full_watts / self.board_watts) ** (1 / 3)


def _softmax_cycles(design: Accelerator) -> float:
    """Cycles of the whole GPU for one score, by the lanes' own law: maximum, difference, exponential, sum,
    scale.
    """
    count = 10**9
    total = 0
    for op in ("compare", "add", "exp", "add", "mul"):
        unit = design.scalar_unit(op, "fp32")
        if unit is None:
            raise ValueError(f"{design.name} has no unit that computes {op} in fp32")
        total += unit.scalar_cycles(op, count)
    return total / count
