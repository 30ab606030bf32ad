"""Products on the array's model: tensors cut into folds, sent as beats, and put together again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from siliform.rtl.array.unit import ArrayUnit
from siliform.rtl.common.model import Model, beats, values


@dataclass(frozen=True)
class Fold:
    """One pass of the array: rows of a product from `m`, columns from `n`, a slice of the sum from `k`."""

    product: int
    m: slice
    n: slice
    k: slice
    accumulate: bool
    emit: bool


@dataclass(frozen=True)
class Run:
    """A batch of products [B, M, N], int64, the cycles they took, and those in which a stream was held."""

    result: np.ndarray
    cycles: int
    held_cycles: int


def folds(unit: ArrayUnit, batch: int, m: int, n: int, k: int) -> Iterator[Fold]:
    """The passes of `batch` products, in the order in which the accumulator wants them."""
    for product in range(batch):
        for m0 in range(0, m, unit.depth_rows):
            for n0 in range(0, n, unit.columns):
                for k0 in range(0, k, unit.rows):
                    yield Fold(
                        product,
                        slice(m0, min(m0 + unit.depth_rows, m)),
                        slice(n0, min(n0 + unit.columns, n)),
                        slice(k0, min(k0 + unit.rows, k)),
                        accumulate=k0 > 0,
                        emit=k0 + unit.rows >= k,
                    )


def run_product(
    model: Model,
    unit: ArrayUnit,
    a: np.ndarray,
    b: np.ndarray,
    *,
    noise: np.random.Generator,
    stalls: Mapping[str, np.ndarray] | None = None,
) -> Run:
    """a [B, M, K] times b [B, K, N] on the model, products back to back.

    `noise` fills the lanes that a ragged fold does not use, which the unit must not let through: zero
    weights stand where a fold has fewer rows than the array, anything stands elsewhere.
    """
    batch, m, k = a.shape
    n = b.shape[2]
    passes = list(folds(unit, batch, m, n, k))
    inputs = {
        "weight": np.concatenate([_weights(unit, b, fold, noise) for fold in passes]),
        "act": np.concatenate([_activations(unit, a, fold, noise) for fold in passes]),
    }
    emitted = [fold for fold in passes if fold.emit]
    expected = sum(fold.m.stop - fold.m.start for fold in emitted)
    law = unit.law_cycles(m, n, k, batch)
    # Streams are held back less than nine cycles in ten: what takes forty times the law is stuck.
    traffic = model.run(inputs, {"total": expected}, limit_cycles=40 * law + 1000, stalls=stalls)
    totals = values(unit.streams()[2], traffic.outputs["total"])["total"]
    result, row = np.zeros((batch, m, n), np.int64), 0
    for fold in emitted:
        height = fold.m.stop - fold.m.start
        result[fold.product, fold.m, fold.n] = totals[row : row + height, : fold.n.stop - fold.n.start]
        row += height
    return Run(result, traffic.cycles, traffic.held_cycles)


def _integers(noise: np.random.Generator, bits: int, shape: tuple[int, int]) -> np.ndarray:
    return noise.integers(-(2 ** (bits - 1)), 2 ** (bits - 1), shape)


def _weights(unit: ArrayUnit, b: np.ndarray, fold: Fold, noise: np.random.Generator) -> np.ndarray:
    """A fold's set of weights: `unit.rows` beats, the last row first."""
    block = b[fold.product, fold.k, fold.n]
    rows = _integers(noise, unit.weight_bits, (unit.rows, unit.columns))
    rows[len(block) :] = 0
    rows[: len(block), : block.shape[1]] = block
    return beats(unit.streams()[0], {"weight": rows[::-1]})


def _activations(unit: ArrayUnit, a: np.ndarray, fold: Fold, noise: np.random.Generator) -> np.ndarray:
    """A fold's activations, one beat for each row of the product."""
    block = a[fold.product, fold.m, fold.k]
    lanes = _integers(noise, unit.activation_bits, (len(block), unit.rows))
    lanes[:, : block.shape[1]] = block
    flags = np.zeros((len(block), 1), np.int64)
    last = flags.copy()
    last[-1] = 1
    return beats(
        unit.streams()[1],
        {
            "act_last": last,
            "act_accumulate": flags + fold.accumulate,
            "act_emit": flags + fold.emit,
            "act": lanes,
        },
    )
