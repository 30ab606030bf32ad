"""What no data sheet says of a GPU: the few constants of each generation, and where each comes from.

Those marked *fitted* are what ``python -m siliform.arch.tech.fit_gpu_laws`` prints: Hopper's are fitted to
one half of the public tables of one GPU (H100), Ampere's to one half of those of another (A100), halves by a
hash of the shape. Ada and Blackwell are declared from them by what NVIDIA documents of their difference, and
never fitted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any


@dataclass(frozen=True)
class Generation:
    """Constants of one generation of multiprocessors.

    The last four are shared by all generations.

    Attributes
    ----------
    name : as `TensorCores.generation` spells it.
    rate_percent : share of the peak that the inner loop of a tile reaches, its operands at hand.
    step_cycles : what a block waits for the operands of 64 steps of K, with all its loads in flight.
    epilogue_cycles : for every 128 results of a tile: out of the accumulators, rounded, stored.
    epilogue_overlaps : whether the next tile's products run meanwhile.
    unified_cache : whether a line lies in the level-2 cache once, wherever its readers are.
    mac_pj : energy of a bf16 multiply-accumulate of random operands, all that feeds it included, at 1 GHz in
        a 7 nm process; it grows with the square of the clock, as the voltage does with the clock.
    narrow_rows : queries of a block of an attention whose heads are narrow (FlashAttention-2, -3: their tile
        sizes).
    block_cycles : of a block of an attention besides its tiles: its start, its queries in, its results out.
    tile_percent : share of the peak that the products of an attention's tile reach.
    softmax_overlap_percent : how much of the smaller of products and softmax hides behind the larger.
    decode_block_cycles, decode_width_cycles : of a block that serves one token: as `block_cycles`, and per 64
        of the heads' width.
    decode_wait_cycles : more, where a block goes through more than one tile of the cache.
    decode_bytes_per_cycle : what one block streams of a cache at most, one on each multiprocessor.
    norm : two things that share a kernel's time, tensor cores and transfers, neither add up nor hide each
        other: the time is the norm of this order of theirs (1: one after the other; infinite: the longer
        alone).
    l2_bytes_per_cycle : of operands, each counted once, that a multiprocessor takes past the level-2 cache,
        all of them at once. Luo et al., arXiv 2402.13499, measure 5.5 to 5.7 TB/s on an H100, which is 24 a
        cycle: what is fitted lies above it, since under a norm a part of the transfers' time stands in the
        other terms, and is no bandwidth that a data sheet could have.
    kept_percent : of a partitioned level-2 cache, what holds lines for another use. A half of it is second
        copies; of the other half the fit leaves three fifths, the rest being taken to be lines on their way
        through, which is an assumption: no document says how the cache chooses.
    sum_kernel_cycles : of the kernel that adds the parts of a split K, besides its work.
    """

    name: str
    rate_percent: float
    step_cycles: float
    epilogue_cycles: float
    epilogue_overlaps: bool
    unified_cache: bool
    mac_pj: float
    narrow_rows: int
    block_cycles: float
    tile_percent: float
    softmax_overlap_percent: float
    decode_block_cycles: float
    decode_width_cycles: float
    decode_wait_cycles: float
    decode_bytes_per_cycle: float
    norm: float = 2.44  # fitted
    l2_bytes_per_cycle: float = 27.4  # fitted
    kept_percent: float = 28.9  # fitted
    sum_kernel_cycles: float = 3820.0  # fitted

    def together(self, *times: Any) -> Any:
        """Time of things that share a kernel: the norm of theirs."""
        total: Any = sum(time**self.norm for time in times)
        return total ** (1 / self.norm)

    def kept_bytes(self, cache_bytes: int) -> float:
        """Bytes that a level-2 cache keeps for another use; one in a single part keeps each line once."""
        copies = 1 if self.unified_cache else 2
        return min(2 * self.kept_percent / copies, 100) / 100 * cache_bytes


#: Products by warps that wait for them (mma.sync), operands by cp.async.
AMPERE = Generation(
    name="ampere",
    rate_percent=98.7,  # fitted
    step_cycles=556.0,  # fitted
    epilogue_cycles=28.8,  # fitted
    epilogue_overlaps=False,
    unified_cache=False,  # NVIDIA A100 whitepaper, 2020: two partitions, each with multiprocessors of its own
    mac_pj=1.93,  # fitted
    narrow_rows=128,
    block_cycles=0.0,  # at its bound: the fit took it to nothing, and no longer has it
    tile_percent=76.3,  # fitted
    softmax_overlap_percent=24.5,  # fitted
    decode_block_cycles=2370.0,  # fitted
    decode_width_cycles=189.0,  # fitted
    decode_wait_cycles=3050.0,  # fitted
    decode_bytes_per_cycle=16.8,  # fitted
)
#: Products that run beside their warps (wgmma), operands by the tensor memory accelerator.
HOPPER = Generation(
    name="hopper",
    rate_percent=97.0,  # fitted
    step_cycles=174.0,  # fitted
    epilogue_cycles=14.2,  # fitted
    epilogue_overlaps=False,
    unified_cache=False,  # NVIDIA H100 whitepaper, 2022: two partitions, as Ampere's
    mac_pj=1.01,  # fitted
    narrow_rows=192,
    block_cycles=2650.0,  # fitted
    tile_percent=84.0,  # fitted
    softmax_overlap_percent=76.9,  # fitted
    decode_block_cycles=3800.0,  # fitted
    decode_width_cycles=687.0,  # fitted
    decode_wait_cycles=3050.0,  # fitted
    decode_bytes_per_cycle=40.4,  # fitted
)
#: Ampere's instructions over one level-2 cache of 96 MiB (NVIDIA Ada GPU architecture, 2022: no partitions).
ADA = replace(AMPERE, name="ada", unified_cache=True)
#: Hopper's way with accumulators in a memory of their own, twice as many as a tile needs, so that a tile is
#: stored while the next is computed (PTX ISA 8.6, tcgen05; CUTLASS 3.8, "Blackwell SM100 GEMMs"), in 4NP
#: instead of 4N. TSMC's N4P has "a 22 % improvement in power efficiency" over N5 (TSMC, press release of 26
#: October 2021); that NVIDIA's 4N to 4NP is that step is an assumption, since both are its own.
BLACKWELL = replace(HOPPER, name="blackwell", epilogue_overlaps=True, mac_pj=HOPPER.mac_pj / 1.22)

GENERATIONS: Mapping[str, Generation] = MappingProxyType(
    {g.name: g for g in (AMPERE, ADA, HOPPER, BLACKWELL)}
)
