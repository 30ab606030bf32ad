"""Products as the output-stationary array takes them: tensors cut into folds, folds into beats."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from siliform.rtl.array.operands import Operand


class Sizes(Protocol):
    """What a cut into folds and beats depends on."""

    @property
    def rows(self) -> int: ...
    @property
    def columns(self) -> int: ...


@dataclass(frozen=True)
class Fold:
    """One pass of the array: rows of a product from `m`, columns from `n`, the terms `k` of their sums."""

    product: int
    m: slice
    n: slice
    k: slice
    accumulate: bool
    emit: bool

    @property
    def beats(self) -> int:
        """Terms, each a beat of both operands."""
        return int(self.k.stop - self.k.start)


def terms(k: int, tile_k: int) -> Iterator[slice]:
    """The tiles of a sum, a shorter one first: while it streams, no fold of its product drains."""
    stop = k % tile_k or min(k, tile_k)
    start = 0
    while start < k:
        yield slice(start, stop)
        start, stop = stop, stop + tile_k


def folds(unit: Sizes, batch: int, m: int, n: int, k: int, tile_k: int) -> Iterator[Fold]:
    """The passes of `batch` products; those that the accumulator adds up follow each other."""
    for product in range(batch):
        for m0 in range(0, m, unit.rows):
            for n0 in range(0, n, unit.columns):
                for tile in terms(k, tile_k):
                    yield Fold(
                        product,
                        slice(m0, min(m0 + unit.rows, m)),
                        slice(n0, min(n0 + unit.columns, n)),
                        tile,
                        accumulate=tile.start > 0,
                        emit=tile.stop == k,
                    )


def lanes(form: Operand, block: np.ndarray, width: int, noise: np.random.Generator) -> np.ndarray:
    """A fold's beats of an operand from block [beats, lanes in use]: [beats, width], noise in the rest."""
    found = form.noise(noise, (len(block), width))
    found[:, : block.shape[1]] = block
    return found


def flags(passes: list[Fold], noise: np.random.Generator) -> dict[str, np.ndarray]:
    """What goes beside the activations, [beats, 1] each; only a last beat's flags count."""
    beats = np.array([fold.beats for fold in passes])
    ends = np.cumsum(beats) - 1
    last = np.zeros((int(beats.sum()), 1), np.int64)
    last[ends] = 1
    found = {"act_last": last}
    for name in ("accumulate", "emit"):
        found[f"act_{name}"] = noise.integers(0, 2, last.shape)
        found[f"act_{name}"][ends, 0] = [getattr(fold, name) for fold in passes]
    return found


def total_lanes(unit: Sizes, passes: list[Fold], product: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The beats that carry `product` [B, M, N]: values [beats, columns], and which lanes hold any."""
    emitted = [fold for fold in passes if fold.emit]
    values = np.zeros((len(emitted), unit.rows, unit.columns), np.int64)
    used = np.zeros(values.shape, bool)
    for index, fold in enumerate(emitted):
        block = product[fold.product, fold.m, fold.n]
        place = (index, slice(0, block.shape[0]), slice(0, block.shape[1]))
        values[place], used[place] = block, True
    # The last row leaves first.
    flat = (-1, unit.columns)
    return values[:, ::-1].reshape(flat), used[:, ::-1].reshape(flat)
