"""Work for the coder: sets of anchors, tokens, and the codes that the reference gives them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from siliform.graph_ir.variants.hashing import (
    EXPONENT_WIDTH,
    MEAN_WIDTH,
    exponent_rate,
    half_power,
    hash_levels,
)
from siliform.rtl.common.lanes import corners, integers, noise
from siliform.rtl.common.unit import Shape

Beats = dict[str, dict[str, np.ndarray]]


@dataclass(frozen=True)
class Coding:
    """Anchors [S, M, C, lanes], tokens [S, N, C, lanes], rates, shifts [S], means [S, M], weight [S, b, M].

    Lanes that no element fills hold the same numbers in anchors and tokens, so that they make no distance.
    """

    anchors: np.ndarray
    tokens: np.ndarray
    multiplier: np.ndarray
    shift: np.ndarray
    means: np.ndarray
    weight: np.ndarray
    width: int

    BINS: ClassVar[frozenset[str]] = frozenset(
        {
            "one token",
            "one anchor",
            "several sets of anchors",
            "several chunks of a token",
            "a token's last chunk with lanes left over",
            "an exponent that saturates",
            "a kernel of 1",
            "a mean at the end of its range",
            "scores of 0",
            "codes of both signs",
        }
    )

    @classmethod
    def drawn(cls, shape: Shape, generator: np.random.Generator, lanes: int, bits: int) -> Self:
        """Distances about the kernel's width, means about the kernels, and corners of everything."""
        sets, count, width = shape["sets"], shape["anchors"], shape["width"]
        chunks = -(-width // lanes)
        filler = noise(generator, 8, sets, 1, chunks * lanes)
        anchors, tokens = (np.repeat(filler, n, axis=1) for n in (count, shape["tokens"]))
        anchors[..., :width] = integers(generator, 8, sets, count, width)
        tokens[..., :width] = integers(generator, 8, sets, shape["tokens"], width)
        if generator.random() < 0.3:
            tokens[:, 0] = anchors[:, -1]  # no distance: a kernel of 1
        multiplier, shift = _rates(generator, sets, width)
        weight = integers(generator, 8, sets, bits, count)
        weight[generator.random((sets, bits)) < 0.1] = 0
        means = _means(generator, tokens[:, :1] - anchors, multiplier, shift)
        cut = (chunks, lanes)
        return cls(
            anchors.reshape(sets, count, *cut),
            tokens.reshape(sets, -1, *cut),
            multiplier,
            shift,
            means,
            weight,
            width,
        )

    def _flat(self) -> tuple[np.ndarray, np.ndarray]:
        """Tokens and anchors, the lanes in one axis."""
        return tuple(x.reshape(*x.shape[:2], -1) for x in (self.tokens, self.anchors))  # type: ignore[return-value]

    def codes(self) -> np.ndarray:
        """Bits of the codes, token after token, set after set: 1 for 1 and 0 for -1."""
        tokens, anchors = self._flat()
        made = hash_levels(tokens, anchors, self.multiplier, self.shift, self.means, self.weight)
        return (made.reshape(-1, made.shape[-1]) + 1) // 2

    def inputs(self, generator: np.random.Generator) -> Beats:
        """All sets' anchors, and all tokens; noise beside chunks that end neither."""
        sets, count, chunks, lanes = self.anchors.shape
        ends = np.broadcast_to(np.arange(chunks) == chunks - 1, (sets, count, chunks))
        last = ends & (np.arange(count) == count - 1)[:, None]

        def at_ends(values: np.ndarray, bits: int) -> np.ndarray:
            """Values [S, M, n] in the beats that end an anchor, noise in the others."""
            wide = np.broadcast_to(values[:, :, None], (sets, count, chunks, values.shape[-1]))
            given = np.where(ends[..., None], wide, noise(generator, bits, *wide.shape))
            return given.reshape(-1, values.shape[-1])

        rates = {
            name: np.repeat(values[:, None, None], count, axis=1)
            for name, values in (("anchor_multiplier", self.multiplier), ("anchor_shift", self.shift))
        }
        number = self.tokens.shape[1]
        final = np.broadcast_to((np.arange(number) == number - 1)[:, None], (sets, number, chunks))
        unread = generator.random(final.shape) < 0.5
        final = np.where(np.arange(chunks) == chunks - 1, final, unread)
        return {
            "anchor": {
                "anchor": self.anchors.reshape(-1, lanes),
                "anchor_mean": at_ends(self.means[..., None], MEAN_WIDTH),
                "anchor_weight": at_ends(np.swapaxes(self.weight, 1, 2), 8),
                "anchor_multiplier": at_ends(rates["anchor_multiplier"], 16),
                "anchor_shift": at_ends(rates["anchor_shift"], 6),
                "anchor_end": ends.reshape(-1, 1).astype(np.int64),
                "anchor_last": last.reshape(-1, 1).astype(np.int64),
            },
            "x": {"x": self.tokens.reshape(-1, lanes), "x_last": final.reshape(-1, 1).astype(np.int64)},
        }

    def hits(self) -> dict[str, bool]:
        """What it covers, of `BINS`."""
        tokens, anchors = self._flat()
        distance = np.square(tokens[:, :, None] - anchors[:, None]).sum(-1)
        exponent = distance * self.multiplier[:, None, None] >> self.shift[:, None, None]
        codes, (sets, count, chunks, lanes) = self.codes(), self.anchors.shape
        return {
            "one token": tokens.shape[1] == 1,
            "one anchor": count == 1,
            "several sets of anchors": sets > 1,
            "several chunks of a token": chunks > 1,
            "a token's last chunk with lanes left over": self.width < chunks * lanes,
            "an exponent that saturates": bool((exponent >= 2**EXPONENT_WIDTH).any()),
            "a kernel of 1": bool((exponent == 0).any()),
            "a mean at the end of its range": bool(np.isin(self.means, corners(MEAN_WIDTH)).any()),
            "scores of 0": bool((self.weight == 0).all(-1).any()),
            "codes of both signs": bool(codes.min() == 0 and codes.max() == 1),
        }


def _rates(generator: np.random.Generator, sets: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Multipliers and shifts of kernels about exp(-1/10) to exp(-10); about 2**-32, where exponents saturate.

    And now and then any. Source of the mean square: of the difference of two numbers drawn evenly from 8 bits
    it is 2 * 2**16 / 12.
    """
    about = np.where(
        generator.random(sets) < 0.2, generator.uniform(20, 30, sets), 10 ** generator.uniform(-1, 1, sets)
    )
    multiplier, shift = exponent_rate(about / (width * 2**17 / 12))
    any_rate = generator.random(sets) < 0.1
    return (
        np.where(any_rate, generator.choice([0, 1, 2**16 - 1, 2**15], sets), multiplier),
        np.where(any_rate, generator.integers(1, 63, sets), shift),
    )


def _means(
    generator: np.random.Generator, difference: np.ndarray, multiplier: np.ndarray, shift: np.ndarray
) -> np.ndarray:
    """Means [S, M] near the kernels of a first token, so that scores have both signs, and corners."""
    distance = np.square(difference).sum(-1)
    exponent = np.minimum(distance * multiplier[:, None] >> shift[:, None], 2**EXPONENT_WIDTH - 1)
    near = half_power(exponent) + generator.integers(-2000, 2001, exponent.shape)
    corner = generator.choice(corners(MEAN_WIDTH), exponent.shape)
    return np.where(generator.random(exponent.shape) < 0.1, corner, near)
