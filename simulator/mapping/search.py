"""Branch and bound over the tiles of a product: the exact optimum of the map space, in microseconds.

The kernels below are the only place where the cost of a mapping is computed. The scalar door and the
population door of `gemm` run the same machine code, so they agree to the last bit. All numbers are float64
whose values are whole numbers (exact below 2**53), energies excepted.

Every cost grows (or stays) with every number of a table's entry, so replacing the numbers of the dimensions
not yet chosen by their least values gives a lower bound, also in floating point: rounding is monotone. A
branch is left when its lower bound is not before the best mapping found.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from siliform.simulator.mapping.compiled import compiled, inlined

WEIGHT_STATIONARY, OUTPUT_STATIONARY, INPUT_STATIONARY = 0, 1, 2
LATENCY, ENERGY, ENERGY_DELAY, TRAFFIC = 0, 1, 2, 3
INNERMOST_K, INNERMOST_N, INNERMOST_M = 0, 1, 2
GROUP = 8  # tiles along n that one lower bound excludes at once; of 4, 8, 16 and 32, eight is fastest


class Product(NamedTuple):
    """C[m, n] = A[m, k] B[k, n], `batch` times. Bits and DRAM bytes of an operand that stays on chip are
    0."""

    batch: float
    m: float
    n: float
    k: float
    a_bits: float
    b_bits: float
    c_bits: float
    sum_bits: float  # of one accumulator
    a_bytes: float  # the matrix of one batch element, wherever it lives
    b_bytes: float
    c_bytes: float
    sums_bytes: float  # all accumulators of one batch element
    a_dram_bytes: float  # one pass over the matrix of one batch element
    b_dram_bytes: float
    c_dram_bytes: float
    whole_rows: float  # 1: a tile spans all of n
    beside_cycles: float  # of other units, while the array computes
    kept: float  # share of the pairs that are multiplied
    steps: float  # of the batch, each behind the one before


class Array(NamedTuple):
    """What the cost of a product depends on. Capacities are those of one of the buffers when there are
    two."""

    dataflow: float
    serial_cycles: float  # of every fold, when folds do not overlap
    tail_cycles: float  # once a step, when they do
    double_buffered: float
    capacity_bytes: float
    accumulator_bytes: float  # negative: accumulators share the scratchpad
    dram_bytes_per_cycle: float
    mac_pj: float
    scratchpad_pj_per_byte: float
    accumulator_pj_per_byte: float
    dram_pj_per_byte: float
    static_pj_per_cycle: float
    block_m: float  # what the array works on at a time: its sides, and as deep as its rows where it streams
    block_n: float
    block_k: float


class Side(NamedTuple):
    """One dimension cut into tiles; see `tiles`."""

    tiles: float
    visits: float
    busy: float
    last_busy: float


class Cost(NamedTuple):
    """Costs are compared field by field, in this order."""

    objective: float
    compute_cycles: float
    dram_bytes: float
    energy_pj: float
    cycles: float


@inlined
def _entry(table: Any, row: int) -> Side:
    return Side(table[row, 1], table[row, 2], table[row, 3], table[row, 4])


@inlined
def _least(table: Any, row: int, count: float) -> Side:
    """Return what no entry from `row` on with at least `count` tiles is below."""
    return Side(count, table[row, 5], table[row, 6], table[row, 7])


@inlined
def _compute_cycles(product: Product, array: Array, m: Side, n: Side, k: Side) -> float:
    if array.dataflow == WEIGHT_STATIONARY:
        folds = n.visits * k.visits
        streamed = m
    elif array.dataflow == INPUT_STATIONARY:
        folds = m.visits * k.visits
        streamed = n
    else:
        folds = m.visits * n.visits
        streamed = k
    idle = array.serial_cycles * streamed.tiles
    cycles = (product.batch * folds - 1) * (streamed.busy + idle) + streamed.last_busy + idle
    return np.ceil(product.kept * (cycles + array.tail_cycles * product.steps))


@inlined
def _traffic(product: Product, m: float, n: float, k: float) -> tuple[float, int]:
    """Return the DRAM bytes of one batch element at the best innermost loop, and that loop; arguments are
    counts.

    The tile of the operand that does not run along the innermost loop stays; where the result is left before
    it is complete, its partial sums go out and come back at the accumulator's width.
    """
    spilled = product.c_dram_bytes + 2 * (k - 1) * product.sums_bytes
    best = product.a_dram_bytes * n + product.b_dram_bytes * m + product.c_dram_bytes
    innermost = INNERMOST_K
    other = product.a_dram_bytes + product.b_dram_bytes * m + spilled
    if other < best:
        best = other
        innermost = INNERMOST_N
    other = product.a_dram_bytes * n + product.b_dram_bytes + spilled
    if other < best:
        best = other
        innermost = INNERMOST_M
    return best, innermost


@inlined
def _scratchpad_bytes(product: Product, m: Side, n: Side, dram_bytes: float) -> float:
    """Return bytes read or written in the scratchpad: by the array, by DRAM transfers, by a result that
    stays."""
    kept = product.c_bytes if product.c_dram_bytes == 0 else 0.0
    return product.batch * (product.a_bytes * n.visits + product.b_bytes * m.visits + kept) + dram_bytes


@inlined
def _accumulator_bytes(product: Product, k: Side) -> float:
    """Return bytes of accumulators read or written: the first visit along k writes, each other reads and
    writes."""
    return product.batch * product.sums_bytes * (2 * k.visits - 1)


@inlined
def _fill_cycles(product: Product, array: Array) -> float:
    """Return how long nothing is computed: until the first blocks of A and B are in, and as the last of C
    goes out."""
    if array.double_buffered == 0:
        return 0.0
    rows, depth = min(product.m, array.block_m), min(product.k, array.block_k)
    columns = product.n if product.whole_rows != 0 else min(product.n, array.block_n)
    operands = np.ceil(rows * depth * product.a_bits / 8) + np.ceil(depth * columns * product.b_bits / 8)
    moved = operands + np.ceil(rows * columns * product.c_bits / 8)
    return np.ceil(moved / array.dram_bytes_per_cycle)


@inlined
def _fits(product: Product, array: Array, m: float, n: float, k: float) -> bool:
    operands = np.ceil(m * k * product.a_bits / 8) + np.ceil(k * n * product.b_bits / 8)
    sums = np.ceil(m * n * product.sum_bits / 8)
    if array.accumulator_bytes < 0:
        return operands + sums <= array.capacity_bytes
    return operands <= array.capacity_bytes and sums <= array.accumulator_bytes


@inlined
def _longest_k(product: Product, array: Array, m: float, n: float) -> float:
    """Return a bound on the tile along k: where every longer one does not fit (byte rounding left aside)."""
    free = array.capacity_bytes * 8
    if array.accumulator_bytes < 0:
        free -= m * n * product.sum_bits
    width = m * product.a_bits + n * product.b_bits
    if width == 0:
        return product.k
    return min(product.k, np.floor(free / width))


@inlined
def _cycles(product: Product, array: Array, compute: float, dram: float, fill: float) -> float:
    busy = max(compute, product.beside_cycles)
    memory = np.ceil(dram / array.dram_bytes_per_cycle)
    if array.double_buffered:
        return max(busy + fill, memory)
    return busy + memory


@inlined
def _cost(product: Product, array: Array, objective: int, fill: float, m: Side, n: Side, k: Side) -> Cost:
    compute = _compute_cycles(product, array, m, n, k)
    dram = product.batch * _traffic(product, m.tiles, n.tiles, k.tiles)[0]
    cycles = _cycles(product, array, compute, dram, fill)
    energy = (
        product.kept * product.batch * product.m * product.n * product.k * array.mac_pj
        + _scratchpad_bytes(product, m, n, dram) * array.scratchpad_pj_per_byte
        + _accumulator_bytes(product, k) * array.accumulator_pj_per_byte
        + dram * array.dram_pj_per_byte
        + cycles * array.static_pj_per_cycle
    )
    value = cycles
    if objective == ENERGY:
        value = energy
    elif objective == ENERGY_DELAY:
        value = energy * cycles
    elif objective == TRAFFIC:
        value = dram
    return Cost(value, compute, dram, energy, cycles)


@inlined
def _before(one: Cost, other: Cost) -> bool:
    if one.objective != other.objective:
        return one.objective < other.objective
    if one.compute_cycles != other.compute_cycles:
        return one.compute_cycles < other.compute_cycles
    if one.dram_bytes != other.dram_bytes:
        return one.dram_bytes < other.dram_bytes
    if one.energy_pj != other.energy_pj:
        return one.energy_pj < other.energy_pj
    return one.cycles < other.cycles


@inlined
def _promises(
    product: Product, array: Array, objective: int, fill: float, m: Side, n: Side, k: Side, best: Cost
) -> bool:
    """Return whether these numbers, which no mapping of a branch is below, cost less than the best
    mapping."""
    if objective in (LATENCY, TRAFFIC):  # nearly always decided here, without the energy
        compute = _compute_cycles(product, array, m, n, k)
        dram = product.batch * _traffic(product, m.tiles, n.tiles, k.tiles)[0]
        if objective == LATENCY:
            cycles = _cycles(product, array, compute, dram, fill)
            if cycles != best.cycles:
                return cycles < best.cycles
        elif dram != best.dram_bytes:
            return dram < best.dram_bytes
        if compute != best.compute_cycles:
            return compute < best.compute_cycles
        if dram != best.dram_bytes:
            return dram < best.dram_bytes
    return _before(_cost(product, array, objective, fill, m, n, k), best)


@compiled
def _first_within(table: Any, limit: float) -> int:
    """Return the first row whose tile is at most `limit` (tiles descend)."""
    low, high = 0, table.shape[0]
    while low < high:
        middle = (low + high) >> 1
        if table[middle, 0] <= limit:
            high = middle
        else:
            low = middle + 1
    return low


@compiled
def _first_fitting_m(product: Product, array: Array, table: Any, n: float) -> int:
    low, high = 0, table.shape[0]
    while low < high:
        middle = (low + high) >> 1
        if _fits(product, array, table[middle, 0], n, 1.0):
            high = middle
        else:
            low = middle + 1
    return low


@compiled
def _first_fitting_n(product: Product, array: Array, table: Any, m: float) -> int:
    low, high = 0, table.shape[0]
    while low < high:
        middle = (low + high) >> 1
        if _fits(product, array, m, table[middle, 0], 1.0):
            high = middle
        else:
            low = middle + 1
    return low


@compiled
def search(product: Product, array: Array, objective: int, ms: Any, ns: Any, ks: Any, rows: Any) -> Cost:
    """Return the least cost over the tables `ms`, `ns`, `ks`, infinite where nothing fits, and leave the rows
    that attain it in `rows`: of equal costs those of the largest tiles along m, then n, then k."""
    best = Cost(np.inf, np.inf, np.inf, np.inf, np.inf)
    any_n, any_k = _least(ns, 0, 1.0), _least(ks, 0, 1.0)
    fill = _fill_cycles(product, array)
    whole_rows = product.whole_rows != 0
    narrowest = product.n if whole_rows else 1.0
    for i in range(_first_fitting_m(product, array, ms, narrowest), ms.shape[0]):
        m_tile = ms[i, 0]
        if not _promises(product, array, objective, fill, _least(ms, i, ms[i, 1]), any_n, any_k, best):
            break
        m = _entry(ms, i)
        first_n = 0 if whole_rows else _first_fitting_n(product, array, ns, m_tile)
        fewest_k = _least(ks, 0, np.ceil(product.k / _longest_k(product, array, m_tile, narrowest)))
        stop_n = 1 if whole_rows else ns.shape[0]
        for first in range(first_n, stop_n, GROUP):
            n = _least(ns, first, ns[first, 1])
            if not _promises(product, array, objective, fill, m, n, fewest_k, best):
                break
            last = min(first + GROUP, stop_n)
            group_k = _least(ks, 0, np.ceil(product.k / _longest_k(product, array, m_tile, ns[last - 1, 0])))
            if not _promises(product, array, objective, fill, m, n, group_k, best):
                continue
            for j in range(first, last):
                n = _entry(ns, j)
                first_k = _first_within(ks, _longest_k(product, array, m_tile, ns[j, 0]))
                for l in range(first_k, ks.shape[0]):  # noqa: E741 - the third index
                    if not _promises(product, array, objective, fill, m, n, _least(ks, l, ks[l, 1]), best):
                        break
                    if not _fits(product, array, m_tile, ns[j, 0], ks[l, 0]):
                        continue
                    cost = _cost(product, array, objective, fill, m, n, _entry(ks, l))
                    if _before(cost, best):
                        best = cost
                        rows[0], rows[1], rows[2] = i, j, l
    return best


@inlined
def _product(p: Any) -> Product:
    return Product(
        p[0], p[1], p[2], p[3], p[4], p[5], p[6], p[7], p[8], p[9], p[10], p[11], p[12], p[13], p[14], p[15],
        p[16], p[17], p[18],
    )  # fmt: skip


@inlined
def _array(a: Any) -> Array:
    return Array(
        a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7], a[8], a[9], a[10], a[11], a[12], a[13], a[14]
    )  # fmt: skip


@compiled
def search_all(
    products: Any,
    arrays: Any,
    entries: Any,
    begins: Any,
    tables: Any,
    objective: int,
    costs: Any,
    tiles: Any,
) -> None:
    """Map every product on every array.

    Parameters
    ----------
    products : float64 [products, 18], rows as in `Product`.
    arrays : float64 [arrays, products, 15], rows as in `Array`.
    entries, begins : as `tiles.tile_tables` returns them.
    tables : int64 [arrays, products, 3], the tables of m, n and k.
    costs : float64 [arrays, products, 5], out: rows as in `Cost`, infinite where nothing fits.
    tiles : float64 [arrays, products, 4], out: tiles along m, n and k, and the innermost loop. Among
        mappings of equal cost, the largest.
    """
    rows = np.zeros(3, np.int64)
    for d in range(arrays.shape[0]):
        for p in range(products.shape[0]):
            product = _product(products[p])
            array = _array(arrays[d, p])
            ms = entries[begins[tables[d, p, 0]] : begins[tables[d, p, 0] + 1]]
            ns = entries[begins[tables[d, p, 1]] : begins[tables[d, p, 1] + 1]]
            ks = entries[begins[tables[d, p, 2]] : begins[tables[d, p, 2] + 1]]
            best = search(product, array, objective, ms, ns, ks, rows)
            if best.cycles == np.inf:
                continue
            cost, tile = costs[d, p], tiles[d, p]
            cost[0], cost[1], cost[2] = best.objective, best.compute_cycles, best.dram_bytes
            cost[3], cost[4] = best.energy_pj, best.cycles
            tile[0], tile[1], tile[2] = ms[rows[0], 0], ns[rows[1], 0], ks[rows[2], 0]
            tile[3] = _traffic(product, ms[rows[0], 1], ns[rows[1], 1], ks[rows[2], 1])[1]
