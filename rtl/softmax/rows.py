"""Rows of scores that make mistakes show, and their places in beats."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from siliform.graph_ir.variants.softmax import SCORE_BITS
from siliform.rtl.softmax.constants import SCORE_WIDTH, below_bits

LOW, HIGH = -(2 ** (SCORE_WIDTH - 1)), 2 ** (SCORE_WIDTH - 1) - 1  # LOW is a masked score


@dataclass(frozen=True)
class Rows:
    """Scores of several rows, and in which lane of which beat each element lies.

    scores : one array for each row, int64 that fit int32.
    places : for each row where its elements lie, from lane 0 of its first beat on; ascending.
    beats : of each row.
    """

    scores: tuple[np.ndarray, ...]
    places: tuple[np.ndarray, ...]
    beats: tuple[int, ...]

    def laid(self, values: tuple[np.ndarray, ...], lanes: int, rest: np.ndarray) -> np.ndarray:
        """Values of each row's elements as beats [beats, lanes], `rest` of that shape elsewhere."""
        made, begin = rest.copy().reshape(-1), 0
        for row, places, beats in zip(values, self.places, self.beats, strict=True):
            made[begin + places] = row
            begin += beats * lanes
        return made.reshape(-1, lanes)

    def last(self) -> np.ndarray:
        """1 in the last beat of each row [beats, 1]."""
        ends = np.cumsum(self.beats)
        made = np.zeros((int(ends[-1]), 1), np.int64)
        made[ends - 1] = 1
        return made


def draw_rows(
    lanes: int, most_beats: int, lengths: list[int], holes: bool, generator: np.random.Generator
) -> Rows:
    """Rows of those lengths: dense, or with lanes and whole beats that hold nothing anywhere."""
    beats, places = [], []
    for length in lengths:
        count = -(-length // lanes)
        if holes:
            count = int(generator.integers(count, most_beats + 1))
        beats.append(count)
        anywhere = np.sort(generator.permutation(count * lanes)[:length])
        places.append(anywhere if holes else np.arange(length))
    return Rows(tuple(draw_scores(n, generator) for n in lengths), tuple(places), tuple(beats))


def draw_scores(length: int, generator: np.random.Generator) -> np.ndarray:
    """One row: scores as networks have them, corners of int32, distances about the greatest that counts."""
    one = 2**SCORE_BITS
    kind = generator.choice(["plain", "plain", "plain", "corners", "equal", "edge", "rising", "masked"])
    if kind == "corners":
        return np.asarray(generator.choice([LOW, LOW + 1, -1, 0, 1, HIGH - 1, HIGH], length))
    if kind == "equal":
        return np.full(length, generator.integers(LOW, HIGH, endpoint=True))
    if kind == "masked":
        return np.full(length, LOW)
    if kind == "edge":
        edge = generator.choice([2 ** below_bits(), 25 * one, 18 * one, 17 * one], length)
        return np.asarray(
            generator.integers(-one, one) - edge * generator.integers(0, 2, length) + _few(generator, length)
        )
    scores = generator.standard_normal(length) * one * generator.choice([0.01, 1, 4, 30])
    row = scores.astype(np.int64) + generator.integers(-20 * one, 20 * one)
    if kind == "rising":
        return np.asarray(np.sort(row))
    return np.where(generator.random(length) < generator.choice([0, 0.2]), LOW, row)


def _few(generator: np.random.Generator, length: int) -> np.ndarray:
    return generator.integers(-2, 3, length)
