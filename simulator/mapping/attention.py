"""The best mapping of a fused attention: scores and probabilities never leave the chip.

The map space, per group of query heads that share one key-value head (groups run one after the other):

- the query rows of all heads of the group, cut into tiles; the keys, cut into tiles. A key tile that spans
  all keys holds whole rows of scores; shorter ones need the online softmax, which rescales what is gathered
  at each further key tile (Milakov and Gimelshein, arXiv 1805.02867; Dao et al., arXiv 2205.14135). Weights
  that seek no largest score, such as sigmoids, add up in place;
- tile sizes: for every number of tiles the most even tiles, and those rounded up to whole rows or columns of
  the array. Of 569 random problems of up to 40 keys on arrays of up to 6 x 6, where sizes between matter
  most, nine in ten had their optimum over all integers among these, the worst was 17 % above it;
- keys and values of the group read once and kept for all query tiles, or read again for each.

All in one buffer: a tile of queries, of keys and values (or all of the group's), of probabilities; in
accumulators the scores, the gathered outputs and, online, a maximum and a sum per row, where there are any.

Where a pattern lets queries see ranges of keys, pairs of tiles in which no query sees a key are skipped,
exactly. A pair that is seen in part is computed whole. Patterns that only a mask tells ("declared") are
computed whole.

The fill, which nothing can hide with a double-buffered scratchpad, is as in `gemm` one block of the array: so
many queries and outputs as it has rows, so many keys and values as it has columns, whatever the tiles.

Both products of a pair follow the array's law; the softmax takes given cycles per score, per row, and per
row and further key tile. It runs beside the array (all but one tile's, which has no product to run beside)
or between the products.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from siliform.graph_ir.ops.attention import Pattern
from siliform.simulator.mapping.gemm import (
    ArrayResources,
    GemmMapping,
    GemmProblem,
    NoMapping,
    best_mapping,
    matrix_bytes,
    transfer_cycles,
)


@dataclass(frozen=True)
class AttentionProblem:
    """softmax(Q K^T) V for `groups` key-value heads (batch times key-value heads).

    Parameters
    ----------
    pattern : queries, keys and which of them see each other, for each head.
    heads : query heads that share a key-value head.
    width, value_width : of queries and keys, and of values and outputs.
    q_bits, k_bits, v_bits, o_bits : bits of one element; the output's are those written.
    probability_bits, accumulator_bits : on chip.
    q_resident, k_resident, v_resident, o_resident : the tensor stays on chip in space counted elsewhere.
    beside_dram_bytes : moved besides, over all groups, such as a mask.
    kept : share of the pairs that the array multiplies, where it skips zeros.
    score_word, value_word : elements of a sum that the array takes at a time: of the widths of queries and
        keys, and of keys' probabilities.
    running : numbers of a row that go on from key tile to key tile: softmax's maximum and sum.
    rescales : whether a further key tile rescales what is gathered.
    """

    pattern: Pattern
    groups: int
    width: int
    value_width: int
    heads: int = 1
    q_bits: float = 8
    k_bits: float = 8
    v_bits: float = 8
    o_bits: float = 8
    probability_bits: float = 8
    accumulator_bits: float = 32
    q_resident: bool = False
    k_resident: bool = False
    v_resident: bool = False
    o_resident: bool = False
    beside_dram_bytes: int = 0
    kept: float = 1.0
    score_word: int = 1
    value_word: int = 1
    running: int = 2
    rescales: bool = True

    def __post_init__(self) -> None:
        sizes = ("groups", "width", "value_width", "heads", "q_bits", "k_bits", "v_bits", "o_bits", "kept")
        for name in sizes:
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} of an attention must be positive, not {getattr(self, name)}")

    @property
    def rows(self) -> int:
        """Query rows of a group."""
        return self.pattern.queries * self.heads


@dataclass(frozen=True)
class SoftmaxCost:
    """Cycles of the units that do the softmax, spread over their lanes, and energy that tiles decide.

    Parameters
    ----------
    score_cycles : per score that is computed.
    row_cycles : per query row.
    merge_cycles : per query row and key tile after its first: the new maximum and sum, the rescaled outputs,
        where there are any.
    merge_pj : energy of that.
    hidden : whether it runs beside the array.
    """

    score_cycles: float = 0.0
    row_cycles: float = 0.0
    merge_cycles: float = 0.0
    merge_pj: float = 0.0
    hidden: bool = True


@dataclass(frozen=True)
class AttentionMapping:
    """A fused attention on an array. `computed_scores` counts all groups, and masked scores of computed
    pairs; `merges` all rows times the key tiles behind their first."""

    row_tile: int
    key_tile: int
    row_tiles: int
    key_tiles: int
    keys_kept: bool
    computed_scores: int
    array_cycles: int
    softmax_cycles: int
    compute_cycles: int
    memory_cycles: int
    cycles: int
    dram_bytes: int
    scratchpad_bytes: int
    accumulator_bytes: int
    energy_pj: float
    merges: int

    @property
    def online(self) -> bool:
        """Whether rows of scores are taken in parts."""
        return self.key_tiles > 1


@dataclass(frozen=True)
class UnfusedAttention:
    """Scores to DRAM, softmax over them, probabilities back: three kernels one after the other."""

    scores: GemmMapping
    values: GemmMapping
    softmax_cycles: int
    softmax_dram_bytes: int
    cycles: int
    dram_bytes: int
    energy_pj: float


def best_attention(
    problem: AttentionProblem,
    resources: ArrayResources,
    softmax: SoftmaxCost,
    objective: str = "latency",
) -> AttentionMapping:
    """Return the fused mapping with the least latency, energy, energy-delay product ("edp") or DRAM traffic.

    Ties go to fewer compute cycles, then fewer DRAM bytes, less energy, fewer cycles, and larger tiles.

    Raises
    ------
    NoMapping : not even one row and one key at a time fit.
    """
    from siliform.simulator.mapping.attention_population import search_attentions
    from siliform.simulator.mapping.population import ArrayPopulation

    population = ArrayPopulation.of((resources,))
    outcomes, tilings = search_attentions((problem,), population, [[softmax]], objective)
    row_tile, key_tile, kept = (int(x) for x in tilings[0, 0])
    if row_tile == 0:
        raise _no_mapping(problem, resources)
    _, busy, dram, energy, cycles, array, vector, scores, scratched, accumulated, merges = outcomes[0, 0]
    return AttentionMapping(
        row_tile=row_tile,
        key_tile=key_tile,
        row_tiles=-(-problem.rows // row_tile),
        key_tiles=-(-problem.pattern.keys // key_tile),
        keys_kept=bool(kept),
        computed_scores=int(scores),
        array_cycles=int(array),
        softmax_cycles=int(vector),
        compute_cycles=int(busy),
        memory_cycles=transfer_cycles(int(dram), resources.dram_bytes_per_cycle),
        cycles=int(cycles),
        dram_bytes=int(dram),
        scratchpad_bytes=int(scratched),
        accumulator_bytes=int(accumulated),
        energy_pj=float(energy),
        merges=int(merges),
    )


def unfused_attention(
    problem: AttentionProblem,
    resources: ArrayResources,
    softmax: SoftmaxCost,
    objective: str = "latency",
    score_bits: float = 32,
) -> UnfusedAttention:
    """Return the best mappings of the two products with scores (of `score_bits`) and probabilities in DRAM.

    All pairs are computed, whatever the pattern. The softmax streams: its cycles and its transfers overlap
    with a double-buffered scratchpad.

    Raises
    ------
    NoMapping : one of the products does not fit.
    """
    products = _products_apart(problem, score_bits)
    first, second = (best_mapping(product, resources, objective) for product in products)
    busy, moved = _softmax_apart(problem, softmax, score_bits)
    memory = transfer_cycles(moved, resources.dram_bytes_per_cycle)
    between = max(busy, memory) if resources.double_buffered else busy + memory
    # Each byte passes the scratchpad twice: in, and to the lanes.
    energy = moved * (resources.dram_pj_per_byte + 2 * resources.scratchpad_pj_per_byte)
    return UnfusedAttention(
        scores=first,
        values=second,
        softmax_cycles=busy,
        softmax_dram_bytes=moved,
        cycles=first.cycles + between + second.cycles,
        dram_bytes=first.dram_bytes + moved + second.dram_bytes,
        energy_pj=first.energy_pj + energy + between * resources.static_pj_per_cycle + second.energy_pj,
    )


def _products_apart(problem: AttentionProblem, score_bits: float) -> tuple[GemmProblem, GemmProblem]:
    """Return the two products of an attention that sends its scores through DRAM."""
    scores = GemmProblem(
        problem.rows,
        problem.pattern.keys,
        problem.width,
        batch=problem.groups,
        a_bits=problem.q_bits,
        b_bits=problem.k_bits,
        c_bits=score_bits,
        accumulator_bits=problem.accumulator_bits,
        a_resident=problem.q_resident,
        b_resident=problem.k_resident,
    )
    values = GemmProblem(
        problem.rows,
        problem.value_width,
        problem.pattern.keys,
        batch=problem.groups,
        a_bits=problem.probability_bits,
        b_bits=problem.v_bits,
        c_bits=problem.o_bits,
        accumulator_bits=problem.accumulator_bits,
        b_resident=problem.v_resident,
        c_resident=problem.o_resident,
    )
    return scores.in_words(problem.score_word), values.in_words(problem.value_word)


def _softmax_apart(problem: AttentionProblem, softmax: SoftmaxCost, score_bits: float) -> tuple[int, int]:
    """Return the cycles of a softmax from DRAM to DRAM on its units, and the bytes that it moves."""
    elements = problem.rows * problem.pattern.keys
    bytes_each = matrix_bytes(elements, score_bits) + matrix_bytes(elements, problem.probability_bits)
    each = elements * softmax.score_cycles + problem.rows * softmax.row_cycles
    return math.ceil(problem.groups * each), problem.groups * bytes_each + problem.beside_dram_bytes


def smallest_footprint_bytes(problem: AttentionProblem) -> tuple[int, int]:
    """Return the bytes of one buffer with one row and one key at a time: operands, and accumulators."""
    bits = (
        (problem.width * problem.q_bits, problem.q_resident),
        (problem.width * problem.k_bits, problem.k_resident),
        (problem.value_width * problem.v_bits, problem.v_resident),
        (problem.probability_bits, False),
    )
    operands = sum(matrix_bytes(1, held) for held, resident in bits if not resident)
    running = problem.running if problem.pattern.keys > 1 else 0
    return operands, matrix_bytes(1 + problem.value_width + running, problem.accumulator_bits)


def _no_mapping(problem: AttentionProblem, resources: ArrayResources) -> NoMapping:
    operands, sums = smallest_footprint_bytes(problem)
    memory, needed, capacity = "scratchpad", operands, resources.scratchpad_bytes
    if resources.accumulator_bytes is None:
        needed += sums
    elif sums * resources.buffers > resources.accumulator_bytes:
        memory, needed, capacity = "accumulator memory", sums, resources.accumulator_bytes
    return NoMapping(
        asked=f"fuse an attention of {problem.rows} query rows over {problem.pattern.keys} keys",
        tile=(1, 1, problem.width),
        memory=memory,
        needed_bytes=needed,
        capacity_bytes=capacity,
        buffers=resources.buffers,
    )
