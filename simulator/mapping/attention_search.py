"""Every tiling of a fused attention within its map space, tried or excluded by bounds.

See `attention` for the map space and `attention_costs` for what a tiling costs. One kernel serves a single
design and a population.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from siliform.simulator.mapping import attention_costs
from siliform.simulator.mapping.attention_costs import (
    ENERGY,
    INPUT_STATIONARY,
    LATENCY,
    TRAFFIC,
    WEIGHT_STATIONARY,
    Chip,
    Heads,
    Outcome,
    Pairs,
    Seen,
    Tiling,
    before,
    dram_bytes,
    fits,
    keys_read,
    outcome,
)
from siliform.simulator.mapping.compiled import compiled_with, inlined

compiled = compiled_with(attention_costs)


@inlined
def _tiles_ending_beyond(heads: Heads, seen: Seen, rows: float, key: float) -> float:
    """Return how many of the query tiles before the last one see a key that is not before `key`."""
    position = seen.end_beyond[int(key)]
    if position == seen.end.size:
        return 0.0
    tiles = np.ceil(heads.rows / rows) - 1
    return max(0.0, tiles - np.floor(position * heads.heads / rows))


@inlined
def _tiles_beginning_at(heads: Heads, seen: Seen, rows: float, key: float) -> float:
    """Return how many of the query tiles before the last one see no key before `key`."""
    position = seen.low_at[int(key)]
    if position == seen.end.size:
        return 0.0
    return max(0.0, np.ceil(heads.rows / rows) - 1 - np.ceil(position * heads.heads / rows))


@inlined
def _count_pairs(heads: Heads, seen: Seen, rows: float, keys: float) -> Pairs:
    """Count the pairs of tiles in which any query sees any key; `seen` is empty where all see all.

    A query tile spans positions, and what these see is one range of keys, since ranges never move back. The
    key tiles from the first key to the end are added up over the query tiles, or the query tiles that reach
    beyond each key tile's first key over the key tiles: the same number, whichever is shorter to add.
    """
    query_tiles, key_tiles = np.ceil(heads.rows / rows), np.ceil(heads.keys / keys)
    if seen.end.size == 0:
        return Pairs((query_tiles - 1) * (key_tiles - 1), query_tiles - 1, key_tiles - 1, 1.0)
    touched = 0.0
    if query_tiles <= key_tiles:
        for index in range(int(query_tiles) - 1):
            begin, end = _keys_seen_by(heads, seen, rows, index)
            touched += np.ceil(end / keys) - np.floor(begin / keys)
    else:
        for index in range(int(key_tiles)):
            touched += _tiles_ending_beyond(heads, seen, rows, index * keys)
            if index > 0:
                touched -= _tiles_beginning_at(heads, seen, rows, index * keys)
    touching_last = _tiles_ending_beyond(heads, seen, rows, (key_tiles - 1) * keys)
    begin, end = _keys_seen_by(heads, seen, rows, int(query_tiles) - 1)
    last = np.ceil(end / keys) - np.floor(begin / keys)
    last_touches_last = 1.0 if np.ceil(end / keys) == key_tiles else 0.0
    return Pairs(touched - touching_last, touching_last, last - last_touches_last, last_touches_last)


@inlined
def _keys_seen_by(heads: Heads, seen: Seen, rows: float, index: int) -> tuple[float, float]:
    """Return the first key and the end of those that a query tile sees."""
    first = index * rows
    final = min(first + rows, heads.rows) - 1
    return float(seen.low[int(first / heads.heads)]), float(seen.end[int(final / heads.heads)])


@compiled
def _all_keys_seen(heads: Heads, seen: Seen, rows: float) -> tuple[float, float]:
    """Return the keys that whole query tiles see, added up, and those that the last one sees."""
    query_tiles = int(np.ceil(heads.rows / rows))
    if seen.end.size == 0:
        return float(query_tiles - 1) * heads.keys, heads.keys
    added = 0.0
    for index in range(query_tiles - 1):
        begin, end = _keys_seen_by(heads, seen, rows, index)
        added += end - begin
    begin, end = _keys_seen_by(heads, seen, rows, query_tiles - 1)
    return added, end - begin


@inlined
def _least_array_cycles(heads: Heads, chip: Chip, rows: float) -> float:
    """Return a lower bound on the cycles that a query tile takes per key that it sees.

    A fold over `side` keys takes at least a share 1 / side per key, and no fewer folds than one can all keys
    take.
    """
    over_columns = 1 / min(chip.columns, heads.keys)
    over_rows = 1 / min(chip.rows * heads.value_word, heads.keys)
    words = np.ceil(heads.width / heads.score_word)
    width = words + chip.serial_cycles
    value_width = heads.value_width + chip.serial_cycles
    streamed, idle = rows + chip.serial_cycles, chip.serial_cycles / heads.keys
    per_score, per_value = 1 + idle, 1 / heads.value_word + idle
    if chip.overlapped:
        width, value_width = max(width, chip.rows), max(value_width, chip.rows)
        streamed, idle = max(rows, chip.rows), chip.rows / heads.keys
        per_score, per_value = max(1.0, idle), max(1 / heads.value_word, idle)
    if chip.dataflow == WEIGHT_STATIONARY:
        scores = np.ceil(words / chip.rows) * over_columns
        return (scores + np.ceil(heads.value_width / chip.columns) * over_rows) * streamed
    if chip.dataflow == INPUT_STATIONARY:
        scores = np.ceil(words / chip.rows) * per_score
        return (scores + over_rows * value_width) * np.ceil(rows / chip.columns)
    values = np.ceil(heads.value_width / chip.columns) * per_value
    return (over_columns * width + values) * np.ceil(rows / chip.rows)


@inlined
def _may_be_before(
    heads: Heads, chip: Chip, objective: int, tiling: Tiling, whole: float, last: float, best: Outcome
) -> bool:
    """Return whether these query tiles may be before the best with some key tile.

    `whole` and `last` are the keys that whole query tiles see, added up, and those that the last one sees.
    Lower bounds decide, each a thousandth below for its own rounding, traffic excepted: it is whole.
    """
    read = min(whole + last, heads.keys) if tiling.kept else whole + last
    dram = dram_bytes(heads, read)
    if objective == TRAFFIC and dram != best.objective:
        return dram < best.objective
    array = heads.groups * whole * _least_array_cycles(heads, chip, tiling.rows)
    array += heads.groups * last * _least_array_cycles(heads, chip, tiling.last_rows)
    array *= heads.kept
    scores = heads.groups * (whole * tiling.rows + last * tiling.last_rows)
    softmax = scores * heads.score_cycles + heads.groups * heads.rows * heads.row_cycles
    busy = max(array, softmax) if heads.hidden else array + softmax
    if objective == TRAFFIC:
        return 0.999 * busy <= best.busy_cycles
    memory = dram / chip.dram_bytes_per_cycle
    cycles = max(busy, memory) if chip.double_buffered else busy + memory
    if objective == LATENCY:
        return 0.999 * cycles <= best.objective
    energy = (
        heads.kept * scores * (heads.width + heads.value_width) * chip.mac_pj
        + dram * (chip.scratchpad_pj_per_byte + chip.dram_pj_per_byte)
        + cycles * chip.static_pj_per_cycle
    )
    return 0.999 * (energy if objective == ENERGY else energy * cycles) <= best.objective


@inlined
def _tiling(heads: Heads, chip: Chip, rows: float, keys: float, pairs: Pairs) -> Tiling:
    """Return the tiling with these tiles. Keeping keys costs but space, unless some are seen by no query."""
    last_rows = heads.rows - (np.ceil(heads.rows / rows) - 1) * rows
    last_keys = heads.keys - (np.ceil(heads.keys / keys) - 1) * keys
    read = Tiling(rows, last_rows, keys, last_keys, 0.0)
    if keys_read(read, pairs) >= heads.keys and fits(heads, chip, rows, keys, 1.0):
        return Tiling(rows, last_rows, keys, last_keys, 1.0)
    return read


@compiled
def _promising(
    heads: Heads, chip: Chip, objective: int, rows: float, keys: Any, seen: Seen, whole: float, best: Outcome
) -> Any:
    """Return those key tiles that fit, and may be before the best, with these query tiles.

    It bounds the pairs, which are longer to count: query tiles that see `whole` keys meet no fewer whole key
    tiles than hold these keys, and one each.
    """
    query_tiles = np.ceil(heads.rows / rows)
    begin, end = _keys_seen_by(heads, seen, rows, int(query_tiles) - 1)
    found = np.empty(keys.size)
    used = 0
    for tile in keys:
        if not fits(heads, chip, rows, tile, 0.0):
            continue
        last = heads.keys - (np.ceil(heads.keys / tile) - 1) * tile
        reaching = _tiles_ending_beyond(heads, seen, rows, heads.keys - last)
        fewest = max(np.ceil((whole - reaching * last) / tile), query_tiles - 1 - reaching)
        last_row = np.ceil(end / tile) - np.floor(begin / tile)
        last_last = 1.0 if end > heads.keys - last else 0.0
        pairs = Pairs(fewest, reaching, last_row - last_last, last_last)
        tiling = _tiling(heads, chip, rows, tile, pairs)
        if before(outcome(heads, chip, objective, tiling, pairs, best), best):
            found[used] = tile
            used += 1
    return found[:used]


@compiled
def search_attention(
    heads: Heads, chip: Chip, objective: int, seen: Seen, row_tiles: Any, key_tiles: Any, chosen: Any
) -> Outcome:
    """Return the best outcome over all tiles, and leave its rows, keys and whether keys stay in `chosen`."""
    best = Outcome(np.inf, np.inf, np.inf, np.inf, np.inf, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    for rows in row_tiles:
        last_rows = heads.rows - (np.ceil(heads.rows / rows) - 1) * rows
        if not fits(heads, chip, rows, 1.0, 0.0):
            continue
        keepable = 1.0 if fits(heads, chip, rows, 1.0, 1.0) else 0.0
        whole, last = _all_keys_seen(heads, seen, rows)
        any_keys = Tiling(rows, last_rows, 1.0, 1.0, keepable)
        if not _may_be_before(heads, chip, objective, any_keys, whole, last, best):
            continue
        tried = key_tiles
        if seen.end.size > 0:
            tried = _promising(heads, chip, objective, rows, key_tiles, seen, whole, best)
        for keys in tried:
            if not fits(heads, chip, rows, keys, 0.0):
                continue
            pairs = _count_pairs(heads, seen, rows, keys)
            tiling = _tiling(heads, chip, rows, keys, pairs)
            found = outcome(heads, chip, objective, tiling, pairs, best)
            if before(found, best):
                best = found
                chosen[0], chosen[1], chosen[2] = rows, keys, tiling.kept
    return best


@inlined
def _chip(c: Any) -> Chip:
    return Chip(
        c[0], c[1], c[2], c[3], c[4], c[5], c[6], c[7], c[8], c[9], c[10], c[11], c[12], c[13], c[14]
    )  # fmt: skip


@compiled
def search_all_attention(
    problems: Any,
    chips: Any,
    softmax: Any,
    ranges: Any,
    positions: Any,
    begins: Any,
    sizes: Any,
    size_begins: Any,
    tables: Any,
    objective: int,
    outcomes: Any,
    tilings: Any,
) -> None:
    """Map every attention on every array.

    Parameters
    ----------
    problems : float64 [problems, 21], the fields of `Heads` up to `rescales`.
    chips : float64 [arrays, problems, 15], rows as in `Chip`.
    softmax : float64 [arrays, problems, 5], the remaining fields of `Heads`.
    ranges : int64 [2, positions], `low` and `end` of `Seen`, all problems' side by side, none of a problem
        where every query sees every key.
    positions : int64 [2, keys], `low_at` and `end_beyond` likewise.
    begins : int64 [2, problems + 1], where each problem's `ranges` and `positions` begin.
    sizes, size_begins : as `attention_tiles.size_tables` returns them.
    tables : int64 [arrays, problems, 2], the tables of rows and keys.
    outcomes : float64 [arrays, problems, 11], out: rows as in `Outcome`, infinite where nothing fits.
    tilings : float64 [arrays, problems, 3], out: rows and keys of a tile, and whether keys stay; left alone
        where nothing fits.
    """
    for d in range(chips.shape[0]):
        for p in range(problems.shape[0]):
            h, rest = problems[p], softmax[d, p]
            heads = Heads(
                h[0], h[1], h[2], h[3], h[4], h[5], h[6], h[7], h[8], h[9], h[10], h[11], h[12], h[13], h[14],
                h[15], h[16], h[17], h[18], h[19], h[20], rest[0], rest[1], rest[2], rest[3], rest[4],
            )  # fmt: skip
            chip = _chip(chips[d, p])
            r, k = begins[0, p : p + 2], begins[1, p : p + 2]
            seen = Seen(
                ranges[0, r[0] : r[1]], ranges[1, r[0] : r[1]],
                positions[0, k[0] : k[1]], positions[1, k[0] : k[1]],
            )  # fmt: skip
            at_rows, at_keys = tables[d, p, 0], tables[d, p, 1]
            row_tiles = sizes[size_begins[at_rows] : size_begins[at_rows + 1]]
            key_tiles = sizes[size_begins[at_keys] : size_begins[at_keys + 1]]
            best = search_attention(heads, chip, objective, seen, row_tiles, key_tiles, tilings[d, p])
            result = outcomes[d, p]
            result[0], result[1], result[2], result[3] = (
                best.objective, best.busy_cycles, best.dram_bytes, best.energy_pj,
            )  # fmt: skip
            result[4], result[5], result[6] = best.cycles, best.array_cycles, best.softmax_cycles
            result[7], result[8], result[9] = best.scores, best.scratchpad_bytes, best.accumulator_bytes
            result[10] = best.merges
