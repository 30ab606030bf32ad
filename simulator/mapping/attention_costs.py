"""What one tiling of a fused attention costs: cycles, traffic, energy, and whether it fits.

As in `search`, all numbers are float64 with whole values, energies and softmax coefficients excepted. Every
function is compiled into the kernels of `attention_search`; see `attention` for the map space.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from siliform.simulator.mapping.compiled import inlined

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
    kept: float  # share of the pairs that are multiplied
    score_word: float  # elements of a sum that the array takes at a time: of a score's width ...
    value_word: float  # ... and of the keys
    running: float  # numbers of a row that go on from key tile to key tile
    rescales: float  # 1: a further key tile rescales what is gathered
    score_cycles: float  # softmax: per score, per row, and per row and further key tile
    row_cycles: float
    merge_cycles: float
    merge_pj: float
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
    merges: float


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
    """Return the cycles of one tile among others (what is paid once at the end left aside); k in words."""
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
            cycles += count * _product_cycles(chip, rows, keys, np.ceil(heads.width / heads.score_word))
            cycles += count * _product_cycles(chip, rows, heads.value_width, np.ceil(keys / heads.value_word))
    cycles = heads.groups * cycles + chip.tail_cycles
    if chip.overlapped:  # nothing loads behind the last stream
        last_keys = tiling.last_keys if pairs.last_last else tiling.keys
        words = np.ceil(last_keys / heads.value_word)
        streamed = _passes(chip, tiling.last_rows, heads.value_width, words)[1]
        cycles += streamed - max(streamed, chip.rows)
    return np.ceil(heads.kept * cycles)


@inlined
def _accesses(heads: Heads, chip: Chip, tiling: Tiling, pairs: Pairs) -> tuple[float, float]:
    """Return the bits of operands and the partial sums that one group accesses, rescaling left aside."""
    all_bits, all_sums = 0.0, 0.0
    for part in range(4):
        count, rows, keys = _part(tiling, pairs, part)
        score_m, score_n, score_k = _visits(chip, rows, keys, np.ceil(heads.width / heads.score_word))
        value_m, value_n, value_k = _visits(chip, rows, heads.value_width, np.ceil(keys / heads.value_word))
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
def fits(heads: Heads, chip: Chip, rows: float, keys: float, kept: float) -> bool:
    held_keys = heads.keys if kept else keys
    operands = np.ceil(rows * heads.width * heads.q_bits / 8) + np.ceil(rows * keys * heads.p_bits / 8)
    operands += np.ceil(held_keys * heads.width * heads.k_bits / 8)
    operands += np.ceil(held_keys * heads.value_width * heads.v_bits / 8)
    per_row = keys + heads.value_width
    if keys < heads.keys:
        per_row += heads.running
    sums = np.ceil(rows * per_row * heads.sum_bits / 8)
    if chip.accumulator_bytes < 0:
        return operands + sums <= chip.capacity_bytes
    return operands <= chip.capacity_bytes and sums <= chip.accumulator_bytes


@inlined
def dram_bytes(heads: Heads, keys: float) -> float:
    """Return the DRAM bytes of all groups when each reads that many keys and values."""
    moved = np.ceil(heads.rows * heads.width * heads.q_bits / 8)
    moved += np.ceil(heads.rows * heads.value_width * heads.o_bits / 8)
    moved += np.ceil(keys * heads.width * heads.k_bits / 8)
    moved += np.ceil(keys * heads.value_width * heads.v_bits / 8)
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
def outcome(heads: Heads, chip: Chip, objective: int, tiling: Tiling, pairs: Pairs, best: Outcome) -> Outcome:
    """Return what a tiling costs; an infinite cost, as soon as it is seen not to be before the best."""
    never = Outcome(np.inf, np.inf, np.inf, np.inf, np.inf, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    dram = dram_bytes(heads, heads.keys if tiling.kept else keys_read(tiling, pairs))
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
    # Each further key tile of a softmax rescales what is gathered. That the first one finds nothing to update
    # makes up for the reading of everything at the end.
    sums = heads.groups * (sums + 2 * heads.rescales * merges * heads.value_width)
    accumulated = np.ceil(sums * heads.sum_bits / 8)
    scratched = np.ceil(heads.groups * bits / 8) + dram
    energy = (
        heads.kept * scores * (heads.width + heads.value_width) * chip.mac_pj
        + heads.groups * merges * heads.merge_pj
        + scratched * chip.scratchpad_pj_per_byte
        + accumulated * chip.accumulator_pj_per_byte
        + dram * chip.dram_pj_per_byte
        + cycles * chip.static_pj_per_cycle
    )
    if objective == ENERGY:
        value = energy
    elif objective == ENERGY_DELAY:
        value = energy * cycles
    return Outcome(
        value, busy, dram, energy, cycles, array, softmax, scores, scratched, accumulated,
        heads.groups * merges,
    )  # fmt: skip


@inlined
def before(one: Outcome, other: Outcome) -> bool:
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
def keys_read(tiling: Tiling, pairs: Pairs) -> float:
    """Return the keys of all pairs of a group."""
    whole = pairs.whole_whole + pairs.last_whole
    return tiling.keys * whole + tiling.last_keys * (pairs.whole_last + pairs.last_last)
