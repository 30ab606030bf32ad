"""Products as the array takes them: tensors cut into folds, folds into beats."""

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
    @property
    def depth_rows(self) -> int: ...
    @property
    def operands(self) -> tuple[Operand, Operand]: ...


@dataclass(frozen=True)
class Fold:
    """One pass of the array: rows of a product from `m`, columns from `n`, a slice of the sum from `k`."""

    product: int
    m: slice
    n: slice
    k: slice
    accumulate: bool
    emit: bool

    @property
    def beats(self) -> int:
        """Rows of the product, each a beat of activations."""
        return int(self.m.stop - self.m.start)


def folds(unit: Sizes, batch: int, m: int, n: int, k: int) -> Iterator[Fold]:
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


def weight_lanes(unit: Sizes, fold: Fold, b: np.ndarray, noise: np.random.Generator) -> np.ndarray:
    """A fold's set of weights from b [B, K, N]: [rows, columns], the last row first.

    Unused columns hold noise. Unused rows hold zeros, or noise where weights have no zero.
    """
    block = b[fold.product, fold.k, fold.n]
    weight = unit.operands[1]
    lanes = weight.noise(noise, (unit.rows, unit.columns))
    if not weight.is_shift:
        lanes[len(block) :] = 0
    lanes[: len(block), : block.shape[1]] = block
    return lanes[::-1]


def activation_lanes(unit: Sizes, fold: Fold, a: np.ndarray, noise: np.random.Generator) -> np.ndarray:
    """A fold's activations from a [B, M, K]: [beats, rows].

    Unused rows hold noise, or zeros where weights have no zero.
    """
    block = a[fold.product, fold.m, fold.k]
    activation, weight = unit.operands
    lanes = activation.noise(noise, (fold.beats, unit.rows))
    if weight.is_shift:
        lanes[:] = 0
    lanes[:, : block.shape[1]] = block
    return lanes


def activation_flags(passes: list[Fold]) -> dict[str, np.ndarray]:
    """What goes beside the activations, [beats, 1] each: last of the fold, accumulate, emit."""
    beats = np.array([fold.beats for fold in passes])
    last = np.zeros((int(beats.sum()), 1), np.int64)
    last[np.cumsum(beats) - 1] = 1
    accumulate, emit = ([getattr(fold, name) for fold in passes] for name in ("accumulate", "emit"))
    return {
        "act_last": last,
        "act_accumulate": np.repeat(accumulate, beats).astype(np.int64)[:, None],
        "act_emit": np.repeat(emit, beats).astype(np.int64)[:, None],
    }


def total_lanes(unit: Sizes, passes: list[Fold], product: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The beats that carry `product` [B, M, N]: values [beats, columns], and which lanes hold any."""
    emitted = [fold for fold in passes if fold.emit]
    values = np.zeros((sum(fold.beats for fold in emitted), unit.columns), np.int64)
    used = np.zeros(values.shape, bool)
    row = 0
    for fold in emitted:
        place = (slice(row, row + fold.beats), slice(0, fold.n.stop - fold.n.start))
        values[place] = product[fold.product, fold.m, fold.n]
        used[place] = True
        row += fold.beats
    return values, used
