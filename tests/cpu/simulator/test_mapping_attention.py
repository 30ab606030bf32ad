"""Fused attention against a naive walk over its tiles, with explicit buffers, on small problems."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from siliform.graph_ir.ops.attention import Pattern
from siliform.simulator.mapping.attention import (
    AttentionProblem,
    SoftmaxCost,
    best_attention,
    unfused_attention,
)
from siliform.simulator.mapping.attention_population import best_attentions
from siliform.simulator.mapping.attention_tiles import size_tables
from siliform.simulator.mapping.gemm import DATAFLOWS, OBJECTIVES, OVERLAPS, ArrayResources, NoMapping
from siliform.simulator.mapping.population import ArrayPopulation


def pattern(name, queries, keys, window=0, block=0, density=1.0):
    return Pattern(name, window, block, density, queries, keys)


def pieces(length, tile):
    return [min(tile, length - low) for low in range(0, length, tile)]


def folds(resources, m, n, k, word):
    """Extents (along m, n, k) of the folds of one tile, in order, and which of the three is streamed."""
    rows, columns = resources.rows, resources.columns
    if resources.dataflow == "weight-stationary":
        return [(m, y, z) for z in pieces(k, rows * word) for y in pieces(n, columns)], 0
    if resources.dataflow == "input-stationary":
        return [(x, n, z) for z in pieces(k, rows * word) for x in pieces(m, columns)], 1
    return [(x, y, k) for x in pieces(m, rows) for y in pieces(n, columns)], 2


class Walk:
    """Counts what an array does, fold by fold."""

    def __init__(self, resources):
        self.resources = resources
        self.streams = []
        self.scratchpad_bits = 0
        self.sum_accesses = 0
        self.macs = 0

    def product(self, m, n, k, a_bits, b_bits, fresh, word):
        """One tile of a product; `fresh` sums are written, others read and written; k goes in by words."""
        extents, streamed = folds(self.resources, m, n, k, word)
        seen = set() if fresh else None
        for index, extent in enumerate(extents):
            x, y, z = extent
            self.streams.append(-(-k // word) if streamed == 2 else extent[streamed])
            self.scratchpad_bits += x * z * a_bits + z * y * b_bits
            self.macs += x * y * z
            along_k = index // (len(extents) // -(-k // (self.resources.rows * word))) if streamed != 2 else 0
            first = seen is not None and along_k == 0
            self.sum_accesses += x * y * (1 if first else 2)

    def cycles(self):
        rows, skew = self.resources.rows, self.resources.rows + self.resources.columns - 2
        if self.resources.overhead_cycles is not None:
            skew = self.resources.overhead_cycles - rows
        if self.resources.overlap == "none":
            return sum(s + rows + skew for s in self.streams)
        if self.resources.overlap == "bound":
            return sum(self.streams)
        return rows + sum(max(s, rows) for s in self.streams[:-1]) + self.streams[-1] + skew


def fits(problem, resources, rows, keys, kept):
    total = problem.pattern.keys
    held = total if kept else keys
    operands = math.ceil(rows * keys * problem.probability_bits / 8)
    for elements, bits, stays in (
        (rows * problem.width, problem.q_bits, problem.q_resident),
        (held * problem.width, problem.k_bits, problem.k_resident),
        (held * problem.value_width, problem.v_bits, problem.v_resident),
    ):
        operands += 0 if stays else math.ceil(elements * bits / 8)
    running = problem.running if keys < total else 0
    sums = math.ceil(rows * (keys + problem.value_width + running) * problem.accumulator_bits / 8)
    half = 2 if resources.double_buffered else 1
    if resources.accumulator_bytes is None:
        return operands + sums <= resources.scratchpad_bytes // half
    return operands <= resources.scratchpad_bytes // half and sums <= resources.accumulator_bytes // half


def walked(problem, resources, softmax, rows, keys, kept, objective):
    """Return (objective, compute cycles, DRAM bytes, energy) of one tiling, or None where it does not fit."""
    if not fits(problem, resources, rows, keys, kept):
        return None
    allowed = problem.pattern.allowed()
    total, width, value_width = problem.pattern.keys, problem.width, problem.value_width
    walk, scores, merges, keys_read = Walk(resources), 0, 0, 0
    for _ in range(problem.groups):
        for low in range(0, problem.rows, rows):
            x = min(rows, problem.rows - low)
            positions = [r // problem.heads for r in range(low, low + x)]
            met = 0
            for begin in range(0, total, keys):
                y = min(keys, total - begin)
                if allowed is not None and not allowed[positions, begin : begin + y].any():
                    continue
                walk.product(x, y, width, problem.q_bits, problem.k_bits, True, problem.score_word)
                walk.sum_accesses += x * y  # the softmax reads the scores
                walk.scratchpad_bits += x * y * problem.probability_bits  # and writes probabilities
                bits = problem.probability_bits, problem.v_bits
                walk.product(x, value_width, y, *bits, met == 0, problem.value_word)
                if met:
                    merges += x
                    walk.sum_accesses += 2 * x * value_width if problem.rescales else 0
                met += 1
                scores += x * y
                keys_read += y
            walk.sum_accesses += x * value_width  # taken out
    keys_read = keys_read if not kept else problem.groups * total
    per_group = keys_read // problem.groups
    dram = problem.beside_dram_bytes
    for elements, bits, stays in (
        (problem.rows * width, problem.q_bits, problem.q_resident),
        (problem.rows * value_width, problem.o_bits, problem.o_resident),
        (per_group * width, problem.k_bits, problem.k_resident),
        (per_group * value_width, problem.v_bits, problem.v_resident),
    ):
        dram += 0 if stays else problem.groups * math.ceil(elements * bits / 8)
    array = walk.cycles()
    vector = math.ceil(
        scores * softmax.score_cycles
        + problem.groups * problem.rows * softmax.row_cycles
        + merges * softmax.merge_cycles
    )
    busy = array + vector
    if softmax.hidden:
        tile = math.ceil(rows * keys * softmax.score_cycles + rows * softmax.row_cycles)
        busy = min(busy, max(array, vector) + tile)
    memory = math.ceil(dram / resources.dram_bytes_per_cycle)
    cycles = busy + memory
    if resources.double_buffered:
        fill = 0
        first, seen = min(problem.rows, resources.rows), min(total, resources.columns)
        for elements, bits, stays in (
            (first * width, problem.q_bits, problem.q_resident),
            (seen * width, problem.k_bits, problem.k_resident),
            (seen * value_width, problem.v_bits, problem.v_resident),
            (first * value_width, problem.o_bits, problem.o_resident),
        ):
            fill += 0 if stays else math.ceil(elements * bits / 8)
        cycles = max(busy + math.ceil(fill / resources.dram_bytes_per_cycle), memory)
    separate = resources.accumulator_bytes is not None
    per_sum = resources.accumulator_pj_per_byte if separate else resources.scratchpad_pj_per_byte
    energy = (
        walk.macs * resources.mac_pj
        + merges * softmax.merge_pj
        + (math.ceil(walk.scratchpad_bits / 8) + dram) * resources.scratchpad_pj_per_byte
        + math.ceil(walk.sum_accesses * problem.accumulator_bits / 8) * per_sum
        + dram * resources.dram_pj_per_byte
        + cycles * resources.static_pj_per_cycle
    )
    value = {"latency": cycles, "energy": energy, "edp": energy * cycles, "traffic": dram}[objective]
    return float(value), array, vector, busy, dram, energy


def random_case(rng, largest):
    queries, keys = sorted(int(v) for v in rng.integers(1, largest + 1, 2))
    name = ("full", "causal", "causal", "window", "block")[rng.integers(5)]
    window = int(rng.integers(1, keys + 1)) if name == "window" or rng.random() < 0.3 else 0
    shape = pattern(name, queries, keys, window, int(rng.integers(1, 5)), float(rng.random()))
    bits = (4, 8, 16)
    problem = AttentionProblem(
        shape, int(rng.integers(1, 3)), int(rng.integers(1, 9)), int(rng.integers(1, 9)),
        heads=int(rng.integers(1, 4)),
        q_bits=bits[rng.integers(3)], k_bits=bits[rng.integers(3)], v_bits=bits[rng.integers(3)],
        o_bits=bits[rng.integers(3)], probability_bits=bits[rng.integers(3)],
        q_resident=rng.random() < 0.2, k_resident=rng.random() < 0.2, v_resident=rng.random() < 0.2,
        o_resident=rng.random() < 0.2, beside_dram_bytes=int(rng.integers(50)),
        score_word=int(rng.choice([1, 1, 3])), value_word=int(rng.choice([1, 1, 4])),
        running=int(rng.integers(3)), rescales=bool(rng.integers(2)),
    )  # fmt: skip
    resources = ArrayResources(
        rows=int(rng.integers(1, 7)), columns=int(rng.integers(1, 7)), dataflow=DATAFLOWS[rng.integers(3)],
        overlap=OVERLAPS[rng.integers(3)], scratchpad_bytes=int(np.exp(rng.uniform(4, 8))),
        accumulator_bytes=int(np.exp(rng.uniform(4, 8))) if rng.random() < 0.3 else None,
        double_buffered=bool(rng.integers(2)), dram_bytes_per_cycle=float(rng.choice([0.5, 2.56, 16])),
        mac_pj=0.25, scratchpad_pj_per_byte=0.5, accumulator_pj_per_byte=0.125, dram_pj_per_byte=16.0,
        static_pj_per_cycle=float(rng.integers(3)),
        overhead_cycles=int(rng.integers(1, 20)) if rng.random() < 0.3 else None,
    )  # fmt: skip
    softmax = SoftmaxCost(
        float(rng.choice([0.0, 0.25, 2.0])),
        float(rng.choice([0.0, 1.5])),
        0.5,
        float(rng.choice([0.0, 4.0])),
        bool(rng.integers(2)),
    )
    return problem, resources, softmax, OBJECTIVES[rng.integers(4)]


def tile_sizes(length, rows, columns):
    """The map space, as defined: for every number of tiles the most even ones, and those rounded up."""
    even = {-(-length // count) for count in range(1, length + 1)}
    rounded = {min(length, -(-tile // side) * side) for tile in even for side in (rows, columns)}
    return sorted(even | rounded, reverse=True)


def test_the_tiles_tried_are_those_of_the_map_space():
    rng = np.random.default_rng(11)
    lengths, rows, columns = (rng.integers(1, most, 300) for most in (300, 70, 70))
    sizes, begins = size_tables(lengths, rows, columns)
    for index in range(300):
        found = sizes[begins[index] : begins[index + 1]]
        assert found.tolist() == tile_sizes(*(int(v[index]) for v in (lengths, rows, columns)))


def tilings(problem, resources):
    for rows in tile_sizes(problem.rows, resources.rows, resources.columns):
        for keys in tile_sizes(problem.pattern.keys, resources.rows, resources.columns):
            yield from ((int(rows), int(keys), kept) for kept in (True, False))


@pytest.mark.parametrize("seed", range(4))
def test_a_walk_over_all_tilings_finds_nothing_better(seed):
    rng = np.random.default_rng(seed)
    fused = 0
    for _ in range(60):
        problem, resources, softmax, objective = random_case(rng, 14)
        costs = (walked(problem, resources, softmax, *t, objective) for t in tilings(problem, resources))
        best = min((c for c in costs if c is not None), key=lambda c: (c[0], c[3], c[4], c[5]), default=None)
        if best is None:
            with pytest.raises(NoMapping):
                best_attention(problem, resources, softmax, objective)
            continue
        found = best_attention(problem, resources, softmax, objective)
        chosen = (found.row_tile, found.key_tile, found.keys_kept)
        again = walked(problem, resources, softmax, *chosen, objective)
        value = {
            "latency": found.cycles,
            "energy": found.energy_pj,
            "edp": found.energy_pj * found.cycles,
            "traffic": found.dram_bytes,
        }
        assert (float(value[objective]), found.compute_cycles, found.dram_bytes) == (
            best[0],
            best[3],
            best[4],
        )
        assert again == (
            float(value[objective]), found.array_cycles, found.softmax_cycles, found.compute_cycles,
            found.dram_bytes, found.energy_pj,
        )  # fmt: skip
        fused += 1
    assert fused > 30


def chip(**changes):
    resources = ArrayResources(
        32, 32, "weight-stationary", "double-buffered", 1 << 20, 64.0, mac_pj=0.2, scratchpad_pj_per_byte=0.5,
        dram_pj_per_byte=20.0, static_pj_per_cycle=10.0,
    )  # fmt: skip
    return dataclasses.replace(resources, **changes)


SOFTMAX = SoftmaxCost(1 / 16, 0.5, 4.0)


def test_scores_stay_on_chip_and_the_rest_moves_once():
    problem = AttentionProblem(pattern("full", 128, 128), 12, 64, 64)
    found = best_attention(problem, chip(), SOFTMAX, "energy")
    assert found.dram_bytes == 12 * 4 * 128 * 64
    assert not found.online
    apart = unfused_attention(problem, chip(), SOFTMAX, "energy")
    assert apart.dram_bytes >= found.dram_bytes + 12 * 2 * 128 * 128 * (4 + 1)
    assert apart.cycles > found.cycles
    assert apart.energy_pj > found.energy_pj


def test_long_rows_take_the_online_softmax():
    problem = AttentionProblem(pattern("full", 16_384, 16_384), 1, 64, 64)
    found = best_attention(problem, chip(scratchpad_bytes=1 << 17), SOFTMAX, "energy")
    assert found.online
    assert not found.keys_kept
    passes = found.row_tiles
    assert found.dram_bytes == 2 * 16_384 * 64 * (1 + passes)


def test_weights_without_a_maximum_add_up_in_place():
    """By hand, two key tiles of 8 and all rows at once: every output is written once, added to once for each
    further fold of keys, and read at the end; softmax reads and writes each once more, to rescale it."""
    softmax = AttentionProblem(pattern("full", 8, 16), 3, 8, 8)
    sigmoid = dataclasses.replace(softmax, running=0, rescales=False)
    sides = {"rows": 8, "columns": 8, "double_buffered": False}
    queries = keys = values = probabilities = 8 * 8
    room = queries + keys + values + probabilities
    for problem, running in ((softmax, 2), (sigmoid, 0)):
        tight = chip(**sides, scratchpad_bytes=room, accumulator_bytes=4 * 8 * (8 + 8 + running))
        found = best_attention(problem, tight, SOFTMAX)
        assert (found.row_tile, found.key_tile) == (8, 8)
        scores = 2 * 8 * 8 * 2  # two tiles, written and read
        outputs = 8 * 8 * (1 + 2 + 1 + (2 if running else 0))
        assert found.accumulator_bytes == 3 * 4 * (scores + outputs)
    # The last one's memory has no room for a maximum and a sum of each row.
    assert best_attention(softmax, tight, SOFTMAX).row_tile < 8


def test_more_scratchpad_never_costs_more():
    problem = AttentionProblem(pattern("causal", 512, 512), 4, 64, 64, heads=2)
    for objective in OBJECTIVES:
        previous = math.inf
        for size in (1 << p for p in range(10, 22)):
            found = best_attention(problem, chip(scratchpad_bytes=size), SOFTMAX, objective)
            cost = {
                "latency": found.cycles,
                "energy": found.energy_pj,
                "edp": found.energy_pj * found.cycles,
                "traffic": found.dram_bytes,
            }
            assert cost[objective] <= previous
            previous = cost[objective]
    compulsory = 4 * 64 * (2 * 1024 + 2 * 512)
    assert found.dram_bytes == compulsory


def test_a_causal_mask_skips_nearly_half_of_the_pairs():
    whole = AttentionProblem(pattern("full", 1024, 1024), 1, 64, 64)
    masked = dataclasses.replace(whole, pattern=pattern("causal", 1024, 1024))
    full, half = (best_attention(p, chip(), SOFTMAX) for p in (whole, masked))
    assert full.computed_scores == 1024 * 1024
    assert masked.pattern.kept() < half.computed_scores < 0.55 * full.computed_scores
    assert half.cycles < 0.6 * full.cycles


def test_grouped_heads_share_keys_and_values():
    shared = AttentionProblem(pattern("causal", 1, 4096), 8, 128, 128, heads=4)
    apart = AttentionProblem(pattern("causal", 1, 4096), 32, 128, 128)
    assert best_attention(shared, chip(), SOFTMAX).dram_bytes == 8 * 128 * 2 * (4 + 4096)
    assert best_attention(apart, chip(), SOFTMAX).dram_bytes == 32 * 128 * 2 * (1 + 4096)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_a_population_costs_what_its_members_cost_alone(objective):
    rng = np.random.default_rng(7)
    cases = [random_case(rng, 60) for _ in range(40)]
    problems = [case[0] for case in cases[:4]]
    members = [case[1] for case in cases]
    costs = [[cases[(a + p) % 40][2] for p in range(4)] for a in range(40)]
    together = best_attentions(problems, ArrayPopulation.of(members), costs, objective)
    for a, resources in enumerate(members):
        for p, problem in enumerate(problems):
            try:
                alone = best_attention(problem, resources, costs[a][p], objective)
            except NoMapping:
                assert np.isinf(together.cycles[a, p])
                continue
            assert together.cycles[a, p] == alone.cycles
            assert together.dram_bytes[a, p] == alone.dram_bytes
            assert together.compute_cycles[a, p] == alone.compute_cycles
            assert together.energy_pj[a, p] == alone.energy_pj


def test_no_room_for_one_row_and_one_key_says_what_it_takes():
    problem = AttentionProblem(pattern("full", 8, 8), 1, 64, 64)
    with pytest.raises(NoMapping) as caught:
        best_attention(problem, chip(scratchpad_bytes=600), SOFTMAX)
    assert str(caught.value) == (
        "asked: fuse an attention of 8 query rows over 8 keys\n"
        "found: tiles of 1 x 1 x 64 need 461 bytes in each of 2 buffers of the scratchpad, "
        "which has 600 bytes\n"
        "where: the scratchpad of the array\n"
        "next:  give the scratchpad at least 922 bytes"
    )
    best_attention(problem, chip(scratchpad_bytes=922), SOFTMAX)


def test_impossible_attentions_are_refused():
    with pytest.raises(ValueError, match="width of an attention must be positive, not 0"):
        AttentionProblem(pattern("full", 8, 8), 1, 0, 64)
    with pytest.raises(ValueError, match="objective 'area' is none of latency, energy, edp, traffic"):
        best_attention(AttentionProblem(pattern("full", 8, 8), 1, 4, 4), chip(), SOFTMAX, "area")
