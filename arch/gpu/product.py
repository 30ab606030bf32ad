"""A matrix product on a GPU: output tiles in waves over multiprocessors, K in steps, K split where tiles are
few.

Of every tile of a small set in both orientations, and of every number of parts of K, the fastest is taken; a
library's choice is not always that, which no law of a shape can know (docs/gpu.md: what remains). A tile
takes

    compute = tile / rate * K  +  epilogue            of each tile of a multiprocessor, one after the other
    waiting = K / 64 * step_cycles                    of as many blocks beside each other as their buffers
    allow

and these, and the transfers, share the kernel's time by `together`. Parts of K end in a kernel that adds
them.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import numpy as np

from siliform.arch.gpu.generation import Generation

#: Sides of output tiles (CUTLASS documentation, "Efficient GEMM in CUDA": threadblock tiles; 16 rows are an
#: mma's).
TILES = ((16, 64), (32, 64), (64, 64), (64, 128), (128, 128), (128, 256))
SPLITS = (1, 2, 3, 4, 6, 8, 12, 16, 32)  # assumption: parts that a library cuts K into
STEP = 64  # elements of K of 16 bits that a block loads at a time: 128 bytes, a line of the cache
STAGES = 4  # steps in flight (CUTLASS's default for these tiles); their buffers are what blocks share
MAX_BLOCKS = 8  # of one multiprocessor at a time: 8 of 256 threads are its 2,048
SUM_BYTES = 8  # a partial sum in fp32 is written and read
CHUNK = 1 << 14  # shapes at a time, so that what is computed of them stays in a processor's cache

_SIDES = tuple(dict.fromkeys(side for a, b in TILES for side in ((a, b), (b, a))))
_CHOICES = np.array([(*sides, split) for sides in _SIDES for split in SPLITS], float)


class Cores(Protocol):
    """What the law asks of tensor cores."""

    @property
    def multiprocessors(self) -> int: ...
    @property
    def shared_bytes(self) -> int: ...
    @property
    def constants(self) -> Generation: ...


class Counts(NamedTuple):
    """`batch` M x N x K products beside transfers of so many cycles; float arrays of one shape."""

    m: Any
    n: Any
    k: Any
    batch: Any
    memory_cycles: Any


def product_cycles(
    cores: Cores,
    m: Any,
    n: Any,
    k: Any,
    macs_per_cycle: float,
    *,
    batch: Any = 1,
    memory_cycles: Any = 0,
    operand_bytes: float = 2,
    only: tuple[int, int] | None = None,
) -> Any:
    """Cycles of `batch` M x N x K products beside `memory_cycles` of transfers, launch left out.

    `macs_per_cycle` is the rate of one multiprocessor in the product's format, elements of `operand_bytes`;
    `only` the rows and columns of the one tile that a kernel has, K uncut, instead of the fastest choice.
    Float64, of the shape that the counts broadcast to; 0 for an empty product.
    """
    given = np.broadcast_arrays(*(np.asarray(x, float) for x in (m, n, k, batch, memory_cycles)))
    flat = [np.ravel(x) for x in given]
    made = np.empty(flat[0].shape)
    for start in range(0, made.size, CHUNK):
        part = Counts(*(x[start : start + CHUNK] for x in flat))
        made[start : start + CHUNK] = _fastest(cores, part, macs_per_cycle, operand_bytes, only)
    return made.reshape(given[0].shape)


def _fastest(
    cores: Cores,
    of: Counts,
    macs_per_cycle: float,
    operand_bytes: float,
    only: tuple[int, int] | None,
) -> Any:
    choices = _CHOICES if only is None else np.array([(*only, 1)], float)
    if of.m.size == 1:  # all choices at once
        best = choice_cycles(cores, of, choices.T, macs_per_cycle, operand_bytes).min(keepdims=True)
    else:
        best = np.full(of.m.shape, np.inf)
        for choice in choices:
            np.minimum(best, choice_cycles(cores, of, choice, macs_per_cycle, operand_bytes), out=best)
    return np.where(of.m * of.n * of.k * of.batch == 0, 0.0, best)


def choice_cycles(
    cores: Cores, counts: Counts, choice: Any, macs_per_cycle: float, operand_bytes: float
) -> Any:
    """The same under one choice: rows and columns of tiles, and parts of K (or arrays of each)."""
    m, n, k, batch, memory_cycles = counts
    rows, columns, split = choice
    of = cores.constants
    step = STEP * 2 / operand_bytes
    tiles = batch * np.ceil(m / rows) * np.ceil(n / columns) * split
    steps = np.ceil(np.ceil(k / step) / split)
    each = np.ceil(tiles / cores.multiprocessors)
    main = rows * columns * step * steps / (macs_per_cycle * of.rate_percent / 100)
    epilogue = of.epilogue_cycles * rows * columns / 128
    if of.epilogue_overlaps:
        compute = np.maximum(main, epilogue) * each + np.minimum(main, epilogue)
    else:
        compute = (main + epilogue) * each
    buffers = STAGES * (rows + columns) * step * operand_bytes
    beside = np.clip(cores.shared_bytes // buffers, 1, MAX_BLOCKS)
    waiting = np.ceil(each / beside) * steps * of.step_cycles
    busy = of.together(compute, waiting, memory_cycles)
    sums = (SUM_BYTES * split + 2) * batch * m * n / (of.l2_bytes_per_cycle * cores.multiprocessors)
    return busy + np.where(split > 1, of.sum_kernel_cycles + sums, 0.0)
