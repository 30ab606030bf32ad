"""A kernel on a GPU: its launch, its work beside transfers, and what the board's power makes of both.

The one rule by which measured kernels are predicted (arch/tech/measured_as.py) and graphs are estimated
(simulator/gpu_plan.py). Of transfers, every operand passes the level-2 cache once, and DRAM once where it
does not lie in that cache. A library orders tiles so that those beside each other go through the same slices
of K together; panels that later waves of a large product read again are not counted: tensor cores take longer
than they would.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from siliform.arch.gpu.gpu import Gpu


@dataclass(frozen=True)
class Kernel:
    """Cycles at the full clock, and what power makes of them; numbers, or arrays of one shape.

    Attributes
    ----------
    launch_cycles, busy_cycles : one after the other.
    slower : factor by which the power limit stretches both.
    """

    launch_cycles: Any
    busy_cycles: Any
    slower: Any

    @property
    def cycles(self) -> Any:
        """From the end of the kernel before to the end of this one, in cycles of the full clock."""
        return (self.launch_cycles + self.busy_cycles) * self.slower


def kernel(
    gpu: Gpu,
    work: Callable[[Any], Any],
    *,
    dram_bytes: Any,
    all_bytes: Any,
    macs_of_bf16: Any = 0.0,
    power: float = 1.0,
) -> Kernel:
    """A kernel that works for `work(cycles of its transfers)` cycles.

    Parameters
    ----------
    dram_bytes, all_bytes : what crosses DRAM, and what passes the level-2 cache.
    macs_of_bf16 : multiply-accumulates on the tensor cores, each by what it takes of them in bf16.
    power : share of the slowing down of random operands that these operands cause.
    """
    busy = work(gpu.transfer_cycles(dram_bytes, all_bytes))
    slower = gpu.slowdown(macs_of_bf16, gpu.launch_cycles + busy)
    return Kernel(gpu.launch_cycles, busy, 1 + power * (slower - 1))
