"""Every tiling of a fused attention within its map space, tried or excluded; see `attention` for the map
space.

As in `search`, all numbers are float64 with whole values, energies and softmax coefficients excepted, and
one kernel serves a single design and a population.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from siliform.simulator.mapping.compiled import compiled, inlined

WEIGHT_STATIONARY, INPUT_STATIONARY = 0, 2  # as in `search`; the third is output-stationary
LATENCY, ENERGY, ENERGY_DELAY, TRAFFIC = 0, 1, 2, 3


class Heads(NamedTuple):
    """`groups` times: query rows over the keys of one key-value head. Bits of what stays on chip are 0."""

    groups: float
    rows: float  # query positions times the query heads of the group, heads of one position side by side
    heads: float
    keys: float
    width: float  # of queries and keys
    value_width: float
    q_bits: float
    k_bits: float
    v_bits: float
    o_bits: float
    p_bits: float
    sum_bits: float
    q_held_bits: float  # the widths in the scratchpad, wherever the tensors live
    k_held_bits: float
    v_held_bits: float
    beside_dram_bytes: float  # of all groups, such as a mask
    score_cycles: float  # softmax: per score, per row, and per row and further key tile
    row_cycles: float
    merge_cycles: float
    hidden: float  # 1: softmax runs beside the array


class Chip(NamedTuple):
    """As `search.Array`, with the array's sides."""

    rows: float
    columns: float
    dataflow: float
    serial_cycles: float
    tail_cycles: float
    overlapped: float  # 1: the next fold loads behind the stream of this one
    double_buffered: float
    capacity_bytes: float
    accumulator_bytes: float
    dram_bytes_per_cycle: float
    mac_pj: float
    scratchpad_pj_per_byte: float
    accumulator_pj_per_byte: float
    dram_pj_per_byte: float
    static_pj_per_cycle: float


class Pairs(NamedTuple):
    """How many pairs of a query tile and a key tile are computed, by whether each is whole or the last
    one."""

    whole_whole: float
    whole_last: float
    last_whole: float
    last_last: float


class Tiling(NamedTuple):
    """Tile sizes, the last tiles, and whether keys and values of a group are read once for all query
    tiles."""

    rows: float
    last_rows: float
    keys: float
    last_keys: float
    kept: float


class Work(NamedTuple):
    """Sums over the pairs of one group."""

    array_cycles: float
    scores: float
    rows: float  # query rows of each pair
    keys: float  # keys of each pair
    scratchpad_bits: float
    sum_accesses: float


class Outcome(NamedTuple):
    """Compared in this order, up to the cycles."""

    objective: float
    busy_cycles: float
    dram_bytes: float
    energy_pj: float
    cycles: float
    array_cycles: float
    softmax_cycles: float
    scores: float
    scratchpad_bytes: float
    accumulator_bytes: float


@inlined
def _passes(chip: Chip, m: float, n: float, k: float) -> tuple[float, float]:
    """Return the folds of one tile of a product, and the length streamed through each."""
    if chip.dataflow == WEIGHT_STATIONARY:
        return np.ceil(k / chip.rows) * np.ceil(n / chip.columns), m
    if chip.dataflow == INPUT_STATIONARY:
        return np.ceil(k / chip.rows) * np.ceil(m / chip.columns), n
    return np.ceil(m / chip.rows) * np.ceil(n / chip.columns), k


@inlined
def _visits(chip: Chip, m: float, n: float, k: float) -> tuple[float, float, float]:
    """Return the folds along each dimension of a tile, 1 along the streamed one."""
    if chip.dataflow == WEIGHT_STATIONARY:
        return 1.0, np.ceil(n / chip.columns), np.ceil(k / chip.rows)
    if chip.dataflow == INPUT_STATIONARY:
        return np.ceil(m / chip.columns), 1.0, np.ceil(k / chip.rows)
    return np.ceil(m / chip.rows), np.ceil(n / chip.columns), 1.0


@inlined
def _product_cycles(chip: Chip, m: float, n: float, k: float) -> float:
    """Return the cycles of one tile among others (what is paid once at the end left aside)."""
    folds, streamed = _passes(chip, m, n, k)
    if chip.overlapped:
        return folds * max(streamed, chip.rows)
    return folds * (streamed + chip.serial_cycles)


@inlined
def _pair(heads: Heads, chip: Chip, rows: float, keys: float, count: float, work: Work) -> Work:
    """Add `count` pairs of a tile of query rows and a tile of keys."""
    if count == 0:
        return work
    cycles = _product_cycles(chip, rows, keys, heads.width)
    cycles += _product_cycles(chip, rows, heads.value_width, keys)
    score_m, score_n, score_k = _visits(chip, rows, keys, heads.width)
    value_m, value_n, value_k = _visits(chip, rows, heads.value_width, keys)
    bits = rows * heads.width * score_n * heads.q_held_bits + keys * heads.width * score_m * heads.k_held_bits
    bits += rows * keys * (value_n + 1) * heads.p_bits  # the softmax writes them, the array reads them
    bits += keys * heads.value_width * value_m * heads.v_held_bits
    sums = rows * keys * 2 * score_k  # written and updated by the array, read by the softmax
    sums += rows * heads.value_width * 2 * value_k
    return Work(
        work.array_cycles + count * cycles,
        work.scores + count * rows * keys,
        work.rows + count * rows,
        work.keys + count * keys,
        work.scratchpad_bits + count * bits,
        work.sum_accesses + count * sums,
    )


@inlined
def _fits(heads: Heads, chip: Chip, rows: float, keys: float, kept: float) -> bool:
    held_keys = heads.keys if kept else keys
    operands = np.ceil(rows * heads.width * heads.q_bits / 8) + np.ceil(rows * keys * heads.p_bits / 8)
    operands += np.ceil(held_keys * heads.width * heads.k_bits / 8)
    operands += np.ceil(held_keys * heads.value_width * heads.v_bits / 8)
    per_row = keys + heads.value_width
    if keys < heads.keys:
        per_row += 2  # the running maximum and sum
    sums = np.ceil(rows * per_row * heads.sum_bits / 8)
    if chip.accumulator_bytes < 0:
        return operands + sums <= chip.capacity_bytes
    return operands <= chip.capacity_bytes and sums <= chip.accumulator_bytes


@inlined
def _dram_bytes(heads: Heads, keys_read: float) -> float:
    """Return the DRAM bytes of all groups when each reads `keys_read` keys and values."""
    moved = np.ceil(heads.rows * heads.width * heads.q_bits / 8)
    moved += np.ceil(heads.rows * heads.value_width * heads.o_bits / 8)
    moved += np.ceil(keys_read * heads.width * heads.k_bits / 8)
    moved += np.ceil(keys_read * heads.value_width * heads.v_bits / 8)
    return heads.groups * moved + heads.beside_dram_bytes


@inlined
def _cycles(heads: Heads, chip: Chip, busy: float, dram: float) -> float:
    memory = np.ceil(dram / chip.dram_bytes_per_cycle)
    if not chip.double_buffered:
        return busy + memory
    rows, keys = min(heads.rows, chip.rows), min(heads.keys, chip.columns)
    fill = np.ceil(rows * heads.width * heads.q_bits / 8)
    fill += np.ceil(keys * heads.width * heads.k_bits / 8)
    fill += np.ceil(keys * heads.value_width * heads.v_bits / 8)
    fill += np.ceil(rows * heads.value_width * heads.o_bits / 8)
    return max(busy + np.ceil(fill / chip.dram_bytes_per_cycle), memory)


@inlined
def _softmax_cycles(heads: Heads, scores: float, rows: float, merges: float) -> float:
    return np.ceil(scores * heads.score_cycles + rows * heads.row_cycles + merges * heads.merge_cycles)


@inlined
def _outcome(heads: Heads, chip: Chip, objective: int, tiling: Tiling, pairs: Pairs) -> Outcome:
    work = Work(0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    work = _pair(heads, chip, tiling.rows, tiling.keys, pairs.whole_whole, work)
    work = _pair(heads, chip, tiling.rows, tiling.last_keys, pairs.whole_last, work)
    work = _pair(heads, chip, tiling.last_rows, tiling.keys, pairs.last_whole, work)
    work = _pair(heads, chip, tiling.last_rows, tiling.last_keys, pairs.last_last, work)
    merges = work.rows - heads.rows
    array = heads.groups * work.array_cycles + chip.tail_cycles
    if chip.overlapped:  # nothing loads behind the last stream
        last_keys = tiling.last_keys if pairs.last_last else tiling.keys
        streamed = _passes(chip, tiling.last_rows, heads.value_width, last_keys)[1]
        array += streamed - max(streamed, chip.rows)
    softmax = _softmax_cycles(
        heads, heads.groups * work.scores, heads.groups * heads.rows, heads.groups * merges
    )
    busy = array + softmax
    if heads.hidden:  # all but one tile's, which has no product to run beside
        one = _softmax_cycles(heads, tiling.rows * tiling.keys, tiling.rows, 0.0)
        busy = min(busy, max(array, softmax) + one)
    dram = _dram_bytes(heads, heads.keys if tiling.kept else work.keys)
    cycles = _cycles(heads, chip, busy, dram)
    # Each further key tile rescales what is gathered. That the first one finds nothing to update makes up
    # for the reading of everything at the end.
    sums = heads.groups * (work.sum_accesses + 2 * merges * heads.value_width)
    accumulated = np.ceil(sums * heads.sum_bits / 8)
    scratched = np.ceil(heads.groups * work.scratchpad_bits / 8) + dram
    energy = (
        heads.groups * work.scores * (heads.width + heads.value_width) * chip.mac_pj
        + scratched * chip.scratchpad_pj_per_byte
        + accumulated * chip.accumulator_pj_per_byte
        + dram * chip.dram_pj_per_byte
        + cycles * chip.static_pj_per_cycle
    )
    value = cycles
    if objective == ENERGY:
        value = energy
    elif objective == ENERGY_DELAY:
        value = energy * cycles
    elif objective == TRAFFIC:
        value = dram
    scores = heads.groups * work.scores
    return Outcome(value, busy, dram, energy, cycles, array, softmax, scores, scratched, accumulated)


@inlined
def _before(one: Outcome, other: Outcome) -> bool:
    if one.objective != other.objective:
        return one.objective < other.objective
    if one.busy_cycles != other.busy_cycles:
        return one.busy_cycles < other.busy_cycles
    if one.dram_bytes != other.dram_bytes:
        return one.dram_bytes < other.dram_bytes
    if one.energy_pj != other.energy_pj:
        return one.energy_pj < other.energy_pj
    return one.cycles < other.cycles


@inlined
def _count_pairs(heads: Heads, low: Any, end: Any, rows: float, keys: float) -> Pairs:
    """Count the pairs of tiles in which any query sees any key; `low` and `end` are empty where all see all.

    A query tile spans positions, and what these see is one range of keys, since `low` and `end` never
    decrease.
    """
    query_tiles, key_tiles = int(np.ceil(heads.rows / rows)), int(np.ceil(heads.keys / keys))
    if end.size == 0:
        return Pairs(
            float((query_tiles - 1) * (key_tiles - 1)), float(query_tiles - 1), float(key_tiles - 1), 1.0
        )  # fmt: skip
    group, whole, tile = int(heads.heads), int(rows), int(keys)
    whole_whole, whole_last, last_whole, last_last = 0, 0, 0, 0
    for index in range(query_tiles):
        first = index * whole
        final = min(first + whole, int(heads.rows)) - 1
        begin = low[first // group] // tile
        stop = (end[final // group] + tile - 1) // tile
        touches_last = 1 if stop == key_tiles else 0
        if index < query_tiles - 1:
            whole_whole += stop - begin - touches_last
            whole_last += touches_last
        else:
            last_whole += stop - begin - touches_last
            last_last += touches_last
    return Pairs(float(whole_whole), float(whole_last), float(last_whole), float(last_last))


@compiled
def tile_sizes(length: int, rows: int, columns: int) -> Any:
    """Return the tile sizes of the map space, descending.

    For each number of tiles: the smallest tile that makes so few, and that rounded up to whole rows and to
    whole columns of the array.
    """
    found = np.empty(3 * (2 * int(np.sqrt(length)) + 2), np.int64)
    used = 0
    tile = length
    while tile > 0:
        least = (length + (length + tile - 1) // tile - 1) // ((length + tile - 1) // tile)
        for size in (least, (least + rows - 1) // rows * rows, (least + columns - 1) // columns * columns):
            found[used] = min(size, length)
            used += 1
        tile = least - 1
    return np.unique(found[:used])[::-1].copy()


@inlined
def _keys_seen(heads: Heads, low: Any, end: Any, rows: float) -> tuple[float, float]:
    """Return the keys that whole query tiles see, added up, and those that the last one sees."""
    query_tiles = int(np.ceil(heads.rows / rows))
    if end.size == 0:
        return float(query_tiles - 1) * heads.keys, heads.keys
    group, whole = int(heads.heads), int(rows)
    seen = 0
    for index in range(query_tiles - 1):
        seen += end[((index + 1) * whole - 1) // group] - low[index * whole // group]
    return float(seen), float(end[end.size - 1] - low[(query_tiles - 1) * whole // group])


@inlined
def _least_array_cycles(heads: Heads, chip: Chip, rows: float) -> float:
    """Return a lower bound on the cycles that a query tile takes per key that it sees.

    A fold over `side` keys takes at least a share 1 / side per key, and no fewer folds than one can all keys
    take.
    """
    over_columns, over_rows = 1 / min(chip.columns, heads.keys), 1 / min(chip.rows, heads.keys)
    width = heads.width + chip.serial_cycles
    value_width = heads.value_width + chip.serial_cycles
    streamed, per_key = rows + chip.serial_cycles, 1 + chip.serial_cycles / heads.keys
    if chip.overlapped:
        width, value_width = max(width, chip.rows), max(value_width, chip.rows)
        streamed, per_key = max(rows, chip.rows), max(1.0, chip.rows / heads.keys)
    if chip.dataflow == WEIGHT_STATIONARY:
        scores = np.ceil(heads.width / chip.rows) * over_columns
        return (scores + np.ceil(heads.value_width / chip.columns) * over_rows) * streamed
    if chip.dataflow == INPUT_STATIONARY:
        scores = np.ceil(heads.width / chip.rows) * per_key
        return (scores + over_rows * value_width) * np.ceil(rows / chip.columns)
    return (over_columns * width + np.ceil(heads.value_width / chip.columns) * per_key) * np.ceil(
        rows / chip.rows
    )


@inlined
def _least_objective(
    heads: Heads, chip: Chip, objective: int, tiling: Tiling, seen: float, last_seen: float
) -> float:
    """Return a lower bound on the objective over all key tiles, a thousandth below for its own rounding."""
    array = heads.groups * seen * _least_array_cycles(heads, chip, tiling.rows)
    array += heads.groups * last_seen * _least_array_cycles(heads, chip, tiling.last_rows)
    scores = heads.groups * (seen * tiling.rows + last_seen * tiling.last_rows)
    softmax = scores * heads.score_cycles + heads.groups * heads.rows * heads.row_cycles
    dram = _dram_bytes(heads, heads.keys if tiling.kept else seen + last_seen)
    memory = dram / chip.dram_bytes_per_cycle
    busy = max(array, softmax) if heads.hidden else array + softmax
    cycles = max(busy, memory) if chip.double_buffered else busy + memory
    if objective == LATENCY:
        return 0.999 * cycles
    if objective == TRAFFIC:
        return 0.999 * dram
    energy = (
        scores * (heads.width + heads.value_width) * chip.mac_pj
        + dram * (chip.scratchpad_pj_per_byte + chip.dram_pj_per_byte)
        + cycles * chip.static_pj_per_cycle
    )
    return 0.999 * (energy if objective == ENERGY else energy * cycles)


@compiled
def _known(
    heads: Heads, chip: Chip, objective: int, low: Any, end: Any, row_tiles: Any, key_tiles: Any, chosen: Any
) -> Outcome:
    """Return the outcome of the tiles nearest below `chosen`, which become it; infinite where they do not
    fit."""
    i, j = 0, 0
    while row_tiles[i] > chosen[0]:
        i += 1
    while key_tiles[j] > chosen[1]:
        j += 1
    rows, keys, kept = float(row_tiles[i]), float(key_tiles[j]), chosen[2]
    chosen[0], chosen[1] = rows, keys
    if not _fits(heads, chip, rows, keys, kept):
        chosen[:] = 0
        return Outcome(np.inf, np.inf, np.inf, np.inf, np.inf, 0.0, 0.0, 0.0, 0.0, 0.0)
    last_rows = heads.rows - (np.ceil(heads.rows / rows) - 1) * rows
    last_keys = heads.keys - (np.ceil(heads.keys / keys) - 1) * keys
    tiling = Tiling(rows, last_rows, keys, last_keys, kept)
    return _outcome(heads, chip, objective, tiling, _count_pairs(heads, low, end, rows, keys))


@compiled
def search_attention(
    heads: Heads, chip: Chip, objective: int, low: Any, end: Any, row_tiles: Any, key_tiles: Any, chosen: Any
) -> Outcome:
    """Return the best outcome over all tiles, and leave its rows, keys and whether keys stay in `chosen`.

    `low` and `end` are int64 [positions], the range of keys that each query position sees, or empty. The
    tiles in `chosen`, or the next smaller ones, are tried first (none if they are 0).
    """
    best = Outcome(np.inf, np.inf, np.inf, np.inf, np.inf, 0.0, 0.0, 0.0, 0.0, 0.0)
    if chosen[0] > 0:
        best = _known(heads, chip, objective, low, end, row_tiles, key_tiles, chosen)
    for row_tile in row_tiles:
        rows = float(row_tile)
        last_rows = heads.rows - (np.ceil(heads.rows / rows) - 1) * rows
        seen, last_seen = _keys_seen(heads, low, end, rows)
        kept_objective, read_objective = np.inf, np.inf
        if _fits(heads, chip, rows, 1.0, 1.0):
            tiling = Tiling(rows, last_rows, 1.0, 1.0, 1.0)
            kept_objective = _least_objective(heads, chip, objective, tiling, seen, last_seen)
        if _fits(heads, chip, rows, 1.0, 0.0):
            tiling = Tiling(rows, last_rows, 1.0, 1.0, 0.0)
            read_objective = _least_objective(heads, chip, objective, tiling, seen, last_seen)
        for key_tile in key_tiles:
            if min(kept_objective, read_objective) > best.objective:
                break
            keys = float(key_tile)
            if not _fits(heads, chip, rows, keys, 0.0):
                continue
            last_keys = heads.keys - (np.ceil(heads.keys / keys) - 1) * keys
            pairs = _count_pairs(heads, low, end, rows, keys)
            for kept in (1.0, 0.0):
                least = kept_objective if kept else read_objective
                if least > best.objective or not _fits(heads, chip, rows, keys, kept):
                    continue
                tiling = Tiling(rows, last_rows, keys, last_keys, kept)
                outcome = _outcome(heads, chip, objective, tiling, pairs)
                if _before(outcome, best):
                    best = outcome
                    chosen[0], chosen[1], chosen[2] = rows, keys, kept
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
    begins: Any,
    objective: int,
    outcomes: Any,
    tilings: Any,
) -> None:
    """Map every attention on every array.

    Parameters
    ----------
    problems : float64 [problems, 16], the fields of `Heads` up to `beside_dram_bytes`.
    chips : float64 [arrays, problems, 15], rows as in `Chip`.
    softmax : float64 [arrays, problems, 4], the remaining fields of `Heads`.
    ranges, begins : int64 [2, positions], the ranges of all problems side by side; problem p has those from
        begins[p] to begins[p + 1], none where every query sees every key.
    outcomes : float64 [arrays, problems, 10], out: rows as in `Outcome`, infinite where nothing fits.
    tilings : float64 [arrays, problems, 3], out: rows and keys of a tile, and whether keys stay.
    """
    chosen = np.zeros((problems.shape[0], 3))
    for d in range(chips.shape[0]):
        for p in range(problems.shape[0]):
            h, rest = problems[p], softmax[d, p]
            heads = Heads(
                h[0], h[1], h[2], h[3], h[4], h[5], h[6], h[7], h[8], h[9], h[10], h[11], h[12], h[13], h[14],
                h[15], rest[0], rest[1], rest[2], rest[3],
            )  # fmt: skip
            chip = _chip(chips[d, p])
            row_tiles = tile_sizes(int(heads.rows), int(chip.rows), int(chip.columns))
            key_tiles = tile_sizes(int(heads.keys), int(chip.rows), int(chip.columns))
            low, end = ranges[0, begins[p] : begins[p + 1]], ranges[1, begins[p] : begins[p + 1]]
            best = search_attention(heads, chip, objective, low, end, row_tiles, key_tiles, chosen[p])
            tilings[d, p] = chosen[p]
            result = outcomes[d, p]
            result[0], result[1], result[2], result[3] = (
                best.objective, best.busy_cycles, best.dram_bytes, best.energy_pj,
            )  # fmt: skip
            result[4], result[5], result[6] = best.cycles, best.array_cycles, best.softmax_cycles
            result[7], result[8], result[9] = best.scores, best.scratchpad_bytes, best.accumulator_bytes
