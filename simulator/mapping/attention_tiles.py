"""The tile sizes that a fused attention is tried with; see `attention` for the map space."""

from __future__ import annotations

from typing import Any

import numpy as np

from siliform.simulator.mapping.compiled import compiled


@compiled
def size_tables(lengths: Any, rows: Any, columns: Any) -> Any:
    """Return the tile sizes of several dimensions, one under the other, and where each begins.

    For each number of tiles: the smallest tile that makes so few, and that rounded up to whole rows and to
    whole columns of the array.

    Parameters
    ----------
    lengths, rows, columns : int64 [tables], the length of a dimension and the sides of the array.

    Returns
    -------
    float64 [sizes], whole numbers that descend in each table, and int64 [tables + 1], the beginnings.
    """
    begins = np.zeros(lengths.size + 1, np.int64)
    for table in range(lengths.size):  # no table has more: each number of tiles, three sizes
        begins[table + 1] = begins[table] + 3 * (2 * int(np.sqrt(lengths[table])) + 2)
    sizes = np.empty(begins[-1])
    used = 0
    for table in range(lengths.size):
        begins[table] = used
        length, tile, at_rows, at_columns = lengths[table], lengths[table], lengths[table], lengths[table]
        while tile > 0 or at_rows > 0 or at_columns > 0:  # three falling sequences, merged
            size = max(tile, at_rows, at_columns)
            sizes[used] = size
            used += 1
            if tile == size:
                tile = _next_size(length, 1, size)
            if at_rows == size:
                at_rows = _next_size(length, rows[table], size)
            if at_columns == size:
                at_columns = _next_size(length, columns[table], size)
    begins[-1] = used
    return sizes[:used].copy(), begins


@compiled
def _next_size(length: int, side: int, size: int) -> int:
    """Return the largest smallest-tile-of-its-count, rounded up to whole `side`, below `size`; or 0."""
    below = (size - 1) // side * side  # every tile beyond it rounds up to `size` or more
    if below == 0:
        return 0
    count = (length + below - 1) // below
    least = (length + count - 1) // count
    return (least + side - 1) // side * side
