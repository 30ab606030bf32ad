"""Which pairs of a query shard and a key shard are seen, as few dense or banded tiles.

In every pattern of the op `attention` but "declared" a query sees one range of keys. In any placement
whose shards ascend, the seen keys of a shard are again one range of its rows. So between two shards each
query has a first key and an end, and these change along the queries by 0 or 1 a query between kinks:

=============================  =================================================================
first and end both stay        a full tile
end moves                      causal, the last query seeing the last key
first moves                    causal, seen from behind: queries and keys in reverse
both move                      causal with a window
=============================  =================================================================

No attention depends on the order of its queries, nor on that of its keys if values go along, so a reversed
tile is computed as what it is in reverse. Tiles of one shape and pattern are one batch.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from siliform.graph_ir.ops.attention import Pattern

#: Extents, pattern, window and direction of a tile.
_Kind = tuple[int, int, str, int, bool]


@dataclass(frozen=True)
class Piece:
    """Tiles of one shape and pattern.

    Attributes
    ----------
    starts : first local query and first local key of each tile.
    queries, keys : extents of a tile.
    pattern, window : of the op `attention`, for each tile.
    reverse : whether queries and keys of a tile run backwards.
    """

    starts: tuple[tuple[int, int], ...]
    queries: int
    keys: int
    pattern: str
    window: int = 0
    reverse: bool = False

    @property
    def pairs(self) -> int:
        """Pairs of query and key that are computed."""
        seen = Pattern(self.pattern, self.window, 0, 1.0, self.queries, self.keys)
        return seen.kept() * len(self.starts)


def pieces(pattern: Pattern, query_positions: np.ndarray, key_positions: np.ndarray) -> tuple[Piece, ...]:
    """The tiles of two shards, given which tokens each holds, ascending.

    Together they hold every pair that `pattern` lets see each other exactly once, and no other.
    """
    low, end = _ranges(pattern)
    first = np.searchsorted(key_positions, low[query_positions])
    last = np.searchsorted(key_positions, end[query_positions])
    found: dict[_Kind, list[tuple[int, int]]] = {}
    for start, stop in _tiles(first, last, query_positions):
        kind = _kind(first[start:stop], last[start:stop])
        assert kind is not None, "rows between kinks are of one kind"
        found.setdefault(kind, []).append((start, int(first[start:stop].min())))
    return tuple(Piece(tuple(starts), *kind) for kind, starts in found.items())


def _ranges(pattern: Pattern) -> tuple[np.ndarray, np.ndarray]:
    """First key and end by query position; a query's own position is that of its key."""
    if pattern.is_range:
        return pattern.ranges()
    return np.zeros(pattern.queries, np.int64), np.full(pattern.queries, pattern.keys)


def _tiles(first: np.ndarray, last: np.ndarray, tokens: np.ndarray) -> Iterator[tuple[int, int]]:
    """Row ranges that are one tile each: whole stretches of seeing rows, else runs, else between kinks."""
    seeing = np.flatnonzero(last > first)
    for start, stop in _stretches(seeing):
        if _kind(first[start:stop], last[start:stop]) is not None:
            yield start, stop
            continue
        steps = np.diff(tokens[start:stop])
        for run_start, run_stop in _cut(start, stop, np.flatnonzero(steps != np.min(steps)) + 1):
            if _kind(first[run_start:run_stop], last[run_start:run_stop]) is not None:
                yield run_start, run_stop
            else:
                yield from _between_kinks(first, last, run_start, run_stop)


def _stretches(rows: np.ndarray) -> Iterator[tuple[int, int]]:
    """Runs of consecutive numbers, as start and end."""
    if rows.size:
        for part in np.split(rows, np.flatnonzero(np.diff(rows) != 1) + 1):
            yield int(part[0]), int(part[-1]) + 1


def _cut(start: int, stop: int, places: np.ndarray) -> list[tuple[int, int]]:
    edges = [start, *(start + int(place) for place in places), stop]
    return list(pairwise(edges))


def _between_kinks(first: np.ndarray, last: np.ndarray, start: int, stop: int) -> Iterator[tuple[int, int]]:
    """Longest row ranges of one kind, from the first row on."""
    slopes = np.stack([np.diff(first[start:stop]), np.diff(last[start:stop])])
    row = start
    while row < stop:
        if row == stop - 1:
            yield row, stop
            return
        slope = slopes[:, row - start]
        if slope.max() > 1 or slope.min() < 0:  # a jump: this row is a tile by itself
            yield row, row + 1
            row += 1
            continue
        same = np.all(slopes[:, row - start :] == slope[:, None], axis=0)
        length = int(np.argmin(same)) if not same.all() else same.size
        yield row, row + length + 1
        row += length + 1


def _kind(first: np.ndarray, last: np.ndarray) -> _Kind | None:
    """The kind of one tile; None where no one pattern fits."""
    low, end = first - first.min(), last - first.min()
    rows, keys = len(low), int(end.max())
    if not low.any() and (end == keys).all():
        return rows, keys, "full", 0, False
    for reverse in (False, True):
        if reverse:
            low, end = (keys - end)[::-1], (keys - low)[::-1]
        if (end == np.arange(rows) + 1 + keys - rows).all():
            window = int((end - low).max())
            if not low.any():
                return rows, keys, "causal", 0, reverse
            if (low == np.maximum(end - window, 0)).all():
                return rows, keys, "causal", window, reverse
    own = np.arange(rows)
    half = int(end[0]) - 1
    symmetric = (low == np.maximum(own - half, 0)).all() and (end == np.minimum(own + half + 1, keys)).all()
    if rows == keys and half > 0 and symmetric:
        return rows, keys, "window", 2 * half, False
    return None
