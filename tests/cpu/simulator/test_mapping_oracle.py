"""The mapper against a naive loop nest: every tile size, all six orders, explicit buffers, on small products.

The oracle shares no arithmetic with the mapper. It walks the tiles, keeps one tile of each operand, counts
the elements that move, and runs the folds through a timeline.
"""

from __future__ import annotations

import dataclasses
import itertools
import math

import numba
import numpy as np
import pytest

from siliform.arch.units import array as arch_array
from siliform.arch.units.array import tiled_array_cycles
from siliform.simulator.mapping.gemm import (
    DATAFLOWS,
    OBJECTIVES,
    OVERLAPS,
    ArrayResources,
    GemmProblem,
    NoMapping,
    best_mapping,
    block_sides,
    mapping_with_tiles,
)

ORDERS = np.array(
    list(itertools.permutations(range(3)))
)  # dimensions m, n, k from the outermost loop inwards


@numba.njit
def run_folds(x, y, z, first, dataflow, overlap, rows, columns, state, moved):
    """Run one tile of x by y by z.

    state: start and length of the last fold, or -1; moved: elements of A, B and sums accessed.
    """
    skew = rows + columns - 2
    if dataflow == 0:
        folded, fold_side, other, other_side, streamed = z, rows, y, columns, x
    elif dataflow == 1:
        folded, fold_side, other, other_side, streamed = x, rows, y, columns, z
    else:
        folded, fold_side, other, other_side, streamed = z, rows, x, columns, y
    for low in range(0, folded, fold_side):
        u = min(fold_side, folded - low)
        for begin in range(0, other, other_side):
            v = min(other_side, other - begin)
            if dataflow == 0:
                moved[0] += streamed * u
                moved[1] += u * v
                moved[2] += streamed * v * (1 if first and low == 0 else 2)
            elif dataflow == 1:
                moved[0] += u * streamed
                moved[1] += streamed * v
                moved[2] += u * v * (1 if first else 2)
            else:
                moved[0] += u * v
                moved[1] += u * streamed
                moved[2] += v * streamed * (1 if first and low == 0 else 2)
            if overlap == 0:  # load or drain of `rows` cycles, then stream, then the skew
                state[0] += rows + streamed + skew
            elif overlap == 2:
                state[0] += streamed
            elif state[1] < 0:  # first fold: its weights must be there; sums drain only at the end
                state[0] = 0 if dataflow == 1 else rows
                state[1] = streamed
            else:  # the stream before it is through, and its weights are there (the sums drained)
                state[0] += max(state[1], rows)
                state[1] = streamed


@numba.njit
def simulate(batch, size, tile, nest, dataflow, overlap, rows, columns):
    """Return elements moved (A in, B in, C out, sums out, sums in), accessed (A, B, sums), and compute
    cycles."""
    dram = np.zeros(5, np.int64)
    moved = np.zeros(3, np.int64)
    state = np.array([0, -1])
    counts = np.array([(size[d] + tile[d] - 1) // tile[d] for d in range(3)])
    at = np.zeros(3, np.int64)
    first, second, third = nest
    for _ in range(batch):
        a_held, b_held, c_held = (-1, -1), (-1, -1), (-1, -1)
        visits = np.zeros((counts[0], counts[1]), np.int64)
        for at[first] in range(counts[first]):  # noqa: B020 - fills `at`
            for at[second] in range(counts[second]):  # noqa: B020 - fills `at`
                for at[third] in range(counts[third]):  # noqa: B020 - fills `at`
                    m, n, k = at[0], at[1], at[2]
                    x, y, z = min(tile[0], size[0] - m * tile[0]), min(tile[1], size[1] - n * tile[1]), 0
                    z = min(tile[2], size[2] - k * tile[2])
                    if a_held != (m, k):
                        dram[0] += x * z
                        a_held = (m, k)
                    if b_held != (k, n):
                        dram[1] += z * y
                        b_held = (k, n)
                    if c_held != (m, n):
                        if visits[m, n] > 0:
                            dram[4] += x * y
                        c_held = (m, n)
                    run_folds(x, y, z, visits[m, n] == 0, dataflow, overlap, rows, columns, state, moved)
                    visits[m, n] += 1
                    leaves = next_differs(at, nest, counts)
                    if leaves:
                        dram[2 if visits[m, n] == counts[2] else 3] += x * y
    cycles = state[0]
    if overlap == 1:
        cycles += state[1] + rows + columns - 2 + (rows if dataflow == 1 else 0)
    return dram, moved, cycles


@numba.njit
def next_differs(at, order, counts):
    """Return whether the next tile of C is another one."""
    for level in (2, 1, 0):
        d = order[level]
        if counts[d] == 1:
            continue
        if at[d] + 1 < counts[d]:  # this loop steps, those inside start again
            if d != 2:
                return True
            restarts = order[level + 1 :]
            return bool(((restarts != 2) & (counts[restarts] > 1)).any())
    return True


def sides(problem):
    return np.array([problem.m * (problem.batch if problem.b_shared else 1), problem.n, problem.k])


def whole_bytes(elements, matrix, bits):
    """A matrix is packed: so many whole passes over it, each rounded up to bytes."""
    assert elements % matrix == 0
    return elements // matrix * math.ceil(matrix * bits / 8)


def oracle_cost(problem, resources, tile, order, objective):
    """Return (objective, compute, dram, energy) of one mapping, or None where it does not fit."""
    m, n, k = sides(problem)
    x, y, z = (int(t) for t in tile)
    away_a, away_b, away_c = not problem.a_resident, not problem.b_resident, not problem.c_resident
    a_tile = away_a * math.ceil(x * z * problem.a_bits / 8)
    b_tile = away_b * math.ceil(z * y * problem.b_bits / 8)
    sums = math.ceil(x * y * problem.accumulator_bits / 8)
    half = 2 if resources.double_buffered else 1
    if resources.accumulator_bytes is None:
        fits = a_tile + b_tile + sums <= resources.scratchpad_bytes // half
    else:
        fits = (
            a_tile + b_tile <= resources.scratchpad_bytes // half
            and sums <= resources.accumulator_bytes // half
        )
    if not fits or (problem.full_rows and y != n):
        return None
    batch = 1 if problem.b_shared else problem.batch
    dram, moved, compute = simulate(
        batch, sides(problem), np.array(tile), order, DATAFLOWS.index(resources.dataflow),
        OVERLAPS.index(resources.overlap), resources.rows, resources.columns,
    )  # fmt: skip
    a_in = whole_bytes(dram[0], m * k, problem.a_dram_bits or problem.a_bits)
    b_in = whole_bytes(dram[1], k * n, problem.b_dram_bits or problem.b_bits)
    c_out = whole_bytes(dram[2], m * n, problem.c_bits)
    spilled = whole_bytes(dram[3] + dram[4], m * n, problem.accumulator_bits)
    traffic = int(away_a * a_in + away_b * b_in + away_c * c_out + spilled)
    memory = math.ceil(traffic / resources.dram_bytes_per_cycle)
    busy = max(compute, problem.beside_cycles)
    if resources.double_buffered:
        turned = resources.dataflow == "input-stationary"
        p = min(m, resources.columns if turned else resources.rows)
        q = n if problem.full_rows else min(n, resources.rows if turned else resources.columns)
        r = min(k, resources.rows)
        fill = away_a * math.ceil(p * r * problem.a_bits / 8) + away_b * math.ceil(r * q * problem.b_bits / 8)
        fill += away_c * math.ceil(p * q * problem.c_bits / 8)
        cycles = max(busy + math.ceil(fill / resources.dram_bytes_per_cycle), memory)
    else:
        cycles = busy + memory
    accessed = whole_bytes(moved[0], m * k, problem.a_bits) + whole_bytes(moved[1], k * n, problem.b_bits)
    accessed += (0 if away_c else c_out) + traffic
    accumulated = whole_bytes(moved[2], m * n, problem.accumulator_bits)
    separate = resources.accumulator_bytes is not None
    energy = (
        problem.macs * resources.mac_pj
        + accessed * resources.scratchpad_pj_per_byte
        + accumulated * (resources.accumulator_pj_per_byte if separate else resources.scratchpad_pj_per_byte)
        + traffic * resources.dram_pj_per_byte
        + cycles * resources.static_pj_per_cycle
    )
    value = {"latency": cycles, "energy": energy, "edp": energy * cycles, "traffic": traffic}[objective]
    return float(value), int(compute), traffic, float(energy), int(accessed), int(accumulated), int(cycles)


def random_case(rng, largest):
    m, n, k = (int(v) for v in rng.integers(1, largest + 1, 3))
    if rng.integers(4) == 0:
        m = 1  # decoding
    bits = (1, 4, 8, 16, 4.25)
    problem = GemmProblem(
        m, n, k, batch=int(rng.integers(1, 3)),
        a_bits=bits[rng.integers(5)], b_bits=bits[rng.integers(5)], c_bits=bits[rng.integers(5)],
        accumulator_bits=(24, 32)[rng.integers(2)],
        a_resident=rng.random() < 0.2, b_resident=rng.random() < 0.2, c_resident=rng.random() < 0.2,
        b_shared=rng.random() < 0.3, full_rows=rng.random() < 0.15,
        a_dram_bits=3.5 if rng.random() < 0.2 else None, b_dram_bits=12 if rng.random() < 0.2 else None,
        beside_cycles=int(rng.integers(2 * m * n * k)) if rng.random() < 0.2 else 0,
    )  # fmt: skip
    everything = (m * k * problem.a_bits + k * n * problem.b_bits + m * n * problem.accumulator_bits) / 8
    resources = ArrayResources(
        rows=int(rng.integers(1, 9)), columns=int(rng.integers(1, 9)),
        dataflow=DATAFLOWS[rng.integers(3)], overlap=OVERLAPS[rng.integers(3)],
        scratchpad_bytes=int(np.exp(rng.uniform(np.log(8), np.log(10 + 3 * everything)))),
        accumulator_bytes=int(rng.integers(4, 4 * m * n * 2 + 8)) if rng.random() < 0.3 else None,
        double_buffered=bool(rng.integers(2)), dram_bytes_per_cycle=float(rng.choice([0.3, 1, 2.56, 7, 64])),
        mac_pj=0.2, scratchpad_pj_per_byte=float(rng.choice([0.0, 0.7])), accumulator_pj_per_byte=0.3,
        dram_pj_per_byte=float(rng.choice([0.0, 20.0])), static_pj_per_cycle=float(rng.choice([0.0, 1.5])),
    )  # fmt: skip
    if resources.dataflow != "input-stationary" and rng.random() < 0.3:
        resources = dataclasses.replace(resources, whole_columns=True)
    return problem, resources, OBJECTIVES[rng.integers(4)]


def whole(problem, resources, tile):
    """Whether no fold over the columns is shared by two tiles."""
    return not resources.whole_columns or tile[1] == problem.n or tile[1] % resources.columns == 0


def reported(mapping, objective):
    value = {
        "latency": mapping.cycles,
        "energy": mapping.energy_pj,
        "edp": mapping.energy_pj * mapping.cycles,
        "traffic": mapping.dram_bytes,
    }
    return (
        float(value[objective]), mapping.compute_cycles, mapping.dram_bytes, mapping.energy_pj,
        mapping.scratchpad_bytes, mapping.accumulator_bytes, mapping.cycles,
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(4))
def test_a_given_mapping_costs_what_the_loop_nest_counts(seed):
    rng = np.random.default_rng(seed)
    compared = 0
    while compared < 500:
        problem, resources, _ = random_case(rng, 24)
        tile = [int(rng.integers(1, s + 1)) for s in sides(problem)]
        if problem.full_rows:
            tile[1] = problem.n
        counted = [oracle_cost(problem, resources, tile, order, "latency") for order in ORDERS]
        if counted[0] is None:
            with pytest.raises(NoMapping):
                mapping_with_tiles(problem, resources, *tile)
            continue
        assert reported(mapping_with_tiles(problem, resources, *tile), "latency") == min(counted)
        compared += 1


@pytest.mark.parametrize("seed", range(4))
def test_brute_force_finds_nothing_better(seed):
    rng = np.random.default_rng(100 + seed)
    for _ in range(100):
        problem, resources, objective = random_case(rng, 6)
        tiles = itertools.product(*(range(1, s + 1) for s in sides(problem)))
        tiles = (tile for tile in tiles if whole(problem, resources, tile))
        counted = (oracle_cost(problem, resources, t, o, objective) for t in tiles for o in ORDERS)
        best = min((c for c in counted if c is not None), default=None)
        if best is None:
            with pytest.raises(NoMapping):
                best_mapping(problem, resources, objective)
            continue
        assert reported(best_mapping(problem, resources, objective), objective)[:4] == best[:4]


def test_brute_force_over_larger_products_finds_nothing_better():
    """All tiles of products up to 48 a side at once, by the array's own law and the traffic of three loop
    orders."""
    rng = np.random.default_rng(9)
    for _ in range(60):
        m, n, k = (int(v) for v in rng.integers(1, 49, 3))
        resources = ArrayResources(
            int(rng.integers(1, 40)), int(rng.integers(1, 40)), DATAFLOWS[rng.integers(3)],
            OVERLAPS[rng.integers(3)], int(np.exp(rng.uniform(4, 10))), float(rng.choice([0.7, 4, 50])),
            double_buffered=bool(rng.integers(2)),
        )  # fmt: skip
        x, y, z = np.meshgrid(*(np.arange(1, s + 1) for s in (m, n, k)), indexing="ij")
        tiles_m, tiles_n, tiles_k = (-(-s // t) for s, t in ((m, x), (n, y), (k, z)))
        compute = tiled_array_cycles(
            m, n, k, x, y, z, resources.rows, resources.columns,
            dataflow=resources.dataflow, overlap=resources.overlap, batch=3,
        )  # fmt: skip
        a, b, c, spilled = m * k, k * n, m * n, m * n * (1 + 8 * (tiles_k - 1))
        traffic = np.minimum(a * tiles_n + b * tiles_m + c, a + b * tiles_m + spilled)
        traffic = 3 * np.minimum(traffic, a * tiles_n + b + spilled)
        memory = np.ceil(traffic / resources.dram_bytes_per_cycle)
        cycles = compute + memory
        half = resources.scratchpad_bytes
        if resources.double_buffered:
            half //= 2
            sides_mnk = block_sides(resources.dataflow, resources.rows, resources.columns)
            p, q, r = (min(length, side) for length, side in zip((m, n, k), sides_mnk, strict=True))
            fill = np.ceil((p * r + r * q + p * q) / resources.dram_bytes_per_cycle)
            cycles = np.maximum(compute + fill, memory)
        fits = x * z + z * y + 4 * x * y <= half
        best = min(zip(cycles[fits], compute[fits], traffic[fits], strict=True))
        found = best_mapping(GemmProblem(m, n, k, batch=3), resources)
        assert (found.cycles, found.compute_cycles, found.dram_bytes) == best


def test_given_tiles_take_the_cycles_of_the_arrays_law():
    assert (arch_array.DATAFLOWS, arch_array.OVERLAPS) == (DATAFLOWS, OVERLAPS)
    rng = np.random.default_rng(10)
    for _ in range(300):
        m, n, k, batch = (int(v) for v in rng.integers(1, 300, 4))
        tile = [int(rng.integers(1, s + 1)) for s in (m, n, k)]
        rows, columns = (int(v) for v in rng.integers(1, 130, 2))
        names = DATAFLOWS[rng.integers(3)], OVERLAPS[rng.integers(3)]
        resources = ArrayResources(rows, columns, *names, 1 << 30, 8.0)
        law = tiled_array_cycles(
            m, n, k, *tile, rows, columns, dataflow=names[0], overlap=names[1], batch=batch
        )
        assert mapping_with_tiles(GemmProblem(m, n, k, batch=batch), resources, *tile).compute_cycles == law
