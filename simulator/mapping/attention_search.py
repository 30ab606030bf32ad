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


class Seen(NamedTuple):
    """Which keys each query position sees: one range, and ranges never move back. Empty: all see all."""

    low: Any  # [positions], the first key
    end: Any  # [positions], the end of the keys
    low_at: Any  # [keys + 1], the first position that sees no key before this one
    end_beyond: Any  # [keys + 1], the first position that sees a key not before this one


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
def _part(tiling: Tiling, pairs: Pairs, part: int) -> tuple[float, float, float]:
    """Return how many pairs of one of the four sorts there are, their query rows and their keys."""
    if part == 0:
        return pairs.whole_whole, tiling.rows, tiling.keys
    if part == 1:
        return pairs.whole_last, tiling.rows, tiling.last_keys
    if part == 2:
        return pairs.last_whole, tiling.last_rows, tiling.keys
    return pairs.last_last, tiling.last_rows, tiling.last_keys


@inlined
def _array_cycles(heads: Heads, chip: Chip, tiling: Tiling, pairs: Pairs) -> float:
    """Return the cycles of both products of all pairs of all groups."""
    cycles = 0.0
    for part in range(4):
        count, rows, keys = _part(tiling, pairs, part)
        if count > 0:
            cycles += count * _product_cycles(chip, rows, keys, heads.width)
            cycles += count * _product_cycles(chip, rows, heads.value_width, keys)
    cycles = heads.groups * cycles + chip.tail_cycles
    if chip.overlapped:  # nothing loads behind the last stream
        last_keys = tiling.last_keys if pairs.last_last else tiling.keys
        streamed = _passes(chip, tiling.last_rows, heads.value_width, last_keys)[1]
        cycles += streamed - max(streamed, chip.rows)
    return cycles


@inlined
def _accesses(heads: Heads, chip: Chip, tiling: Tiling, pairs: Pairs) -> tuple[float, float]:
    """Return the bits of operands and the partial sums that one group accesses, rescaling left aside."""
    all_bits, all_sums = 0.0, 0.0
    for part in range(4):
        count, rows, keys = _part(tiling, pairs, part)
        score_m, score_n, score_k = _visits(chip, rows, keys, heads.width)
        value_m, value_n, value_k = _visits(chip, rows, heads.value_width, keys)
        bits = rows * heads.width * score_n * heads.q_held_bits
        bits += keys * heads.width * score_m * heads.k_held_bits
        bits += rows * keys * (value_n + 1) * heads.p_bits  # the softmax writes them, the array reads them
        bits += keys * heads.value_width * value_m * heads.v_held_bits
        sums = rows * keys * 2 * score_k  # written and updated by the array, read by the softmax
        sums += rows * heads.value_width * 2 * value_k
        all_bits += count * bits
        all_sums += count * sums
    return all_bits, all_sums


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
def _outcome(
    heads: Heads, chip: Chip, objective: int, tiling: Tiling, pairs: Pairs, best: Outcome
) -> Outcome:
    """Return what a tiling costs; an infinite cost, as soon as it is seen not to be before the best."""
    never = Outcome(np.inf, np.inf, np.inf, np.inf, np.inf, 0.0, 0.0, 0.0, 0.0, 0.0)
    dram = _dram_bytes(heads, heads.keys if tiling.kept else _keys_read(tiling, pairs))
    if objective == TRAFFIC and dram > best.objective:
        return never
    whole_rows, last_rows = pairs.whole_whole + pairs.whole_last, pairs.last_whole + pairs.last_last
    merges = tiling.rows * whole_rows + tiling.last_rows * last_rows - heads.rows
    scores = tiling.rows * (tiling.keys * pairs.whole_whole + tiling.last_keys * pairs.whole_last)
    scores += tiling.last_rows * (tiling.keys * pairs.last_whole + tiling.last_keys * pairs.last_last)
    scores *= heads.groups
    array = _array_cycles(heads, chip, tiling, pairs)
    softmax = _softmax_cycles(heads, scores, heads.groups * heads.rows, heads.groups * merges)
    busy = array + softmax
    if heads.hidden:  # all but one tile's, which has no product to run beside
        one = _softmax_cycles(heads, tiling.rows * tiling.keys, tiling.rows, 0.0)
        busy = min(busy, max(array, softmax) + one)
    cycles = _cycles(heads, chip, busy, dram)
    value = cycles if objective == LATENCY else dram
    if objective in (LATENCY, TRAFFIC) and (
        value > best.objective or (value == best.objective and busy > best.busy_cycles)
    ):
        return never
    bits, sums = _accesses(heads, chip, tiling, pairs)
    # Each further key tile rescales what is gathered. That the first one finds nothing to update makes up
    # for the reading of everything at the end.
    sums = heads.groups * (sums + 2 * merges * heads.value_width)
    accumulated = np.ceil(sums * heads.sum_bits / 8)
    scratched = np.ceil(heads.groups * bits / 8) + dram
    energy = (
        scores * (heads.width + heads.value_width) * chip.mac_pj
        + scratched * chip.scratchpad_pj_per_byte
        + accumulated * chip.accumulator_pj_per_byte
        + dram * chip.dram_pj_per_byte
        + cycles * chip.static_pj_per_cycle
    )
    if objective == ENERGY:
        value = energy
    elif objective == ENERGY_DELAY:
        value = energy * cycles
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
def _keys_read(tiling: Tiling, pairs: Pairs) -> float:
    """Return the keys of all pairs of a group."""
    whole = pairs.whole_whole + pairs.last_whole
    return tiling.keys * whole + tiling.last_keys * (pairs.whole_last + pairs.last_last)


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
def _may_be_before(
    heads: Heads, chip: Chip, objective: int, tiling: Tiling, whole: float, last: float, best: Outcome
) -> bool:
    """Return whether these query tiles may be before the best with some key tile.

    `whole` and `last` are the keys that whole query tiles see, added up, and those that the last one sees.
    Lower bounds decide, each a thousandth below for its own rounding, traffic excepted: it is whole.
    """
    read = min(whole + last, heads.keys) if tiling.kept else whole + last
    dram = _dram_bytes(heads, read)
    if objective == TRAFFIC and dram != best.objective:
        return dram < best.objective
    array = heads.groups * whole * _least_array_cycles(heads, chip, tiling.rows)
    array += heads.groups * last * _least_array_cycles(heads, chip, tiling.last_rows)
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
        scores * (heads.width + heads.value_width) * chip.mac_pj
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
    if _keys_read(read, pairs) >= heads.keys and _fits(heads, chip, rows, keys, 1.0):
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
        if not _fits(heads, chip, rows, tile, 0.0):
            continue
        last = heads.keys - (np.ceil(heads.keys / tile) - 1) * tile
        reaching = _tiles_ending_beyond(heads, seen, rows, heads.keys - last)
        fewest = max(np.ceil((whole - reaching * last) / tile), query_tiles - 1 - reaching)
        last_row = np.ceil(end / tile) - np.floor(begin / tile)
        last_last = 1.0 if end > heads.keys - last else 0.0
        pairs = Pairs(fewest, reaching, last_row - last_last, last_last)
        tiling = _tiling(heads, chip, rows, tile, pairs)
        if _before(_outcome(heads, chip, objective, tiling, pairs, best), best):
            found[used] = tile
            used += 1
    return found[:used]


@compiled
def search_attention(
    heads: Heads, chip: Chip, objective: int, seen: Seen, row_tiles: Any, key_tiles: Any, chosen: Any
) -> Outcome:
    """Return the best outcome over all tiles, and leave its rows, keys and whether keys stay in `chosen`."""
    best = Outcome(np.inf, np.inf, np.inf, np.inf, np.inf, 0.0, 0.0, 0.0, 0.0, 0.0)
    for rows in row_tiles:
        last_rows = heads.rows - (np.ceil(heads.rows / rows) - 1) * rows
        if not _fits(heads, chip, rows, 1.0, 0.0):
            continue
        keepable = 1.0 if _fits(heads, chip, rows, 1.0, 1.0) else 0.0
        whole, last = _all_keys_seen(heads, seen, rows)
        any_keys = Tiling(rows, last_rows, 1.0, 1.0, keepable)
        if not _may_be_before(heads, chip, objective, any_keys, whole, last, best):
            continue
        tried = key_tiles
        if seen.end.size > 0:
            tried = _promising(heads, chip, objective, rows, key_tiles, seen, whole, best)
        for keys in tried:
            if not _fits(heads, chip, rows, keys, 0.0):
                continue
            pairs = _count_pairs(heads, seen, rows, keys)
            tiling = _tiling(heads, chip, rows, keys, pairs)
            outcome = _outcome(heads, chip, objective, tiling, pairs, best)
            if _before(outcome, best):
                best = outcome
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
    problems : float64 [problems, 16], the fields of `Heads` up to `beside_dram_bytes`.
    chips : float64 [arrays, problems, 15], rows as in `Chip`.
    softmax : float64 [arrays, problems, 4], the remaining fields of `Heads`.
    ranges : int64 [2, positions], `low` and `end` of `Seen`, all problems' side by side, none of a problem
        where every query sees every key.
    positions : int64 [2, keys], `low_at` and `end_beyond` likewise.
    begins : int64 [2, problems + 1], where each problem's `ranges` and `positions` begin.
    sizes, size_begins : as `attention_tiles.size_tables` returns them.
    tables : int64 [arrays, problems, 2], the tables of rows and keys.
    outcomes : float64 [arrays, problems, 10], out: rows as in `Outcome`, infinite where nothing fits.
    tilings : float64 [arrays, problems, 3], out: rows and keys of a tile, and whether keys stay; left alone
        where nothing fits.
    """
    for d in range(chips.shape[0]):
        for p in range(problems.shape[0]):
            h, rest = problems[p], softmax[d, p]
            heads = Heads(
                h[0], h[1], h[2], h[3], h[4], h[5], h[6], h[7], h[8], h[9], h[10], h[11], h[12], h[13], h[14],
                h[15], rest[0], rest[1], rest[2], rest[3],
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
