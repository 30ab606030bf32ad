"""The tile sizes of one dimension that an optimal mapping may need.

A dimension of `length` is cut into tiles of `tile`, the last one possibly shorter. What a tile size does to
the cost of a product reaches it through few numbers, and cost never decreases in any of them:

- the tile itself (buffer space);
- `count` = ceil(length / tile), the tiles;
- on a dimension that is folded over a side of the array, `folds` = sum over tiles of ceil(tile / side);
- on the dimension streamed through an array that loads its next fold meanwhile, `busy` = sum over tiles of
  max(tile, rows), and `last_busy`, the same with the last tile at its own length (nothing loads behind it).

Where accumulators are read and written in words of a whole row of the array, tiles along its columns are
whole folds (WHOLE), the last one excepted.

A tile size that another beats in all of its numbers is in no optimal mapping that the other could not
replace. What remains is a short table, some two square roots of the length, found here without trying every
size.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from siliform.simulator.mapping.compiled import compiled

# How a dimension lies on the array.
STREAMED = 0  # streamed, its tiles' lengths adding up: only the tile and the count matter
FOLDED = 1  # folded over a side of the array
OVERLAPPED = 2  # streamed while the next fold loads
WHOLE = 3  # folded over a side of the array in tiles of whole folds
KINDS = 4

# Columns of a table.
TILE, COUNT, VISITS, BUSY, LAST_BUSY, LEAST_VISITS, LEAST_BUSY, LEAST_LAST_BUSY = range(8)


@compiled
def tile_tables(lengths: Any, sides: Any, kinds: Any) -> Any:
    """Return the tables of several dimensions, one under the other, and where each begins.

    Parameters
    ----------
    lengths, sides, kinds : int64 [tables]; `sides` is the side of the array that the dimension is folded over
        (FOLDED, WHOLE), the rows of the array (OVERLAPPED), or anything (STREAMED).

    Returns
    -------
    float64 [at least entries, 8], whole numbers; tiles descend in a table. The columns are the tile, count,
    the visits (folds of a FOLDED dimension, else the count), busy and last_busy (0 on a FOLDED one), and the
    least visits, busy and last_busy of this entry and all after it. Then int64 [tables + 1], the beginnings.
    """
    begins = np.zeros(lengths.size + 1, np.int64)
    entries = np.empty((1024, 8))
    used = 0
    for index in range(lengths.size):
        length, side, kind = lengths[index], sides[index], kinds[index]
        tile = length
        while tile > 0:
            count = (length + tile - 1) // tile
            least = (length + count - 1) // count  # the smallest tile with this count
            most = tile
            tile = least
            if kind == WHOLE and count > 1:
                tile = (least + side - 1) // side * side
            group = used
            while tile <= most:
                if used == entries.shape[0]:
                    entries = _grown(entries)
                _describe(entries, used, length, side, kind, tile, count)
                used += 1
                tile = _next_tile(length, side, kind, tile, count)
            _turn(entries, group, used)
            tile = least - 1
        begins[index + 1] = used
        _fill_least(entries, begins[index], used)
    return entries, begins


@compiled
def tile_table(length: int, side: int, kind: int, tile: int) -> Any:
    """Return the table of one dimension with this tile as its only entry."""
    entries = np.empty((1, 8))
    _describe(entries, 0, length, side, kind, tile, (length + tile - 1) // tile)
    _fill_least(entries, 0, 1)
    return entries


@compiled
def _grown(entries: Any) -> Any:
    """Return twice the room. Written out, like `_turn`: slices take seconds to compile."""
    grown = np.empty((2 * entries.shape[0], 8))
    for row in range(entries.shape[0]):
        for column in range(8):
            grown[row, column] = entries[row, column]
    return grown


@compiled
def _turn(entries: Any, begin: int, end: int) -> None:
    """Turn rows round: they were found with their tiles ascending."""
    for low in range(begin, begin + (end - begin) // 2):
        high = end - 1 - (low - begin)
        for column in range(LAST_BUSY + 1):
            swapped = entries[low, column]
            entries[low, column] = entries[high, column]
            entries[high, column] = swapped


@compiled
def _fill_least(entries: Any, begin: int, end: int) -> None:
    for row in range(end - 1, begin - 1, -1):
        for column in range(VISITS, LAST_BUSY + 1):
            value = entries[row, column]
            if row < end - 1:
                value = min(value, entries[row + 1, column + 3])
            entries[row, column + 3] = value


@compiled
def _describe(entries: Any, row: int, length: int, side: int, kind: int, tile: int, count: int) -> None:
    last = length - (count - 1) * tile
    visits, busy, last_busy = count, length, length
    if kind in (FOLDED, WHOLE):
        visits = (count - 1) * ((tile + side - 1) // side) + (last + side - 1) // side
        busy, last_busy = 0, 0
    elif kind == OVERLAPPED:
        busy = (count - 1) * max(tile, side) + max(last, side)
        last_busy = (count - 1) * max(tile, side) + last
    entries[row, TILE] = tile
    entries[row, COUNT] = count
    entries[row, VISITS] = visits
    entries[row, BUSY] = busy
    entries[row, LAST_BUSY] = last_busy


@compiled
def _next_tile(length: int, side: int, kind: int, tile: int, count: int) -> int:
    """Return the next larger tile worth keeping beside `tile` among those with the same count, or a huge
    number."""
    none = length + 1
    if count == 1 or kind in (STREAMED, WHOLE):
        return none
    if kind == OVERLAPPED:  # shorter than the rows: every longer tile shortens the last pass
        return tile + 1 if tile < side else none
    # The folds of the other tiles stay as they are up to whole folds; the last tile loses one at `shorter`.
    # Beyond whole folds there is nothing to gain: no tiling has fewer folds than they.
    last_folds = (length - (count - 1) * tile + side - 1) // side
    shorter = (length - (last_folds - 1) * side + count - 2) // (count - 1)
    whole = (tile + side - 1) // side * side
    return shorter if shorter <= whole else none
