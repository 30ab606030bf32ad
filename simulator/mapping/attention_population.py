"""Many designs at once: every attention on every array; the rows that the search kernel reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from siliform.simulator.mapping.attention import AttentionProblem, SoftmaxCost
from siliform.simulator.mapping.attention_search import search_all_attention
from siliform.simulator.mapping.attention_tiles import size_tables
from siliform.simulator.mapping.gemm import OBJECTIVES, OVERLAPS
from siliform.simulator.mapping.population import ArrayPopulation, PopulationCosts, array_rows


def best_attentions(
    problems: Sequence[AttentionProblem],
    arrays: ArrayPopulation,
    softmax: Sequence[Sequence[SoftmaxCost]] | np.ndarray,
    objective: str = "latency",
) -> PopulationCosts:
    """Return the cost of the best fused mapping of each attention on each array; as
    `attention.best_attention`.

    `softmax` is one cost per array and problem, or float64 [arrays, problems, 5] of its fields.
    """
    outcomes, _ = search_attentions(problems, arrays, softmax, objective)
    return PopulationCosts(outcomes[..., 4], outcomes[..., 1], outcomes[..., 2], outcomes[..., 3])


def search_attentions(
    problems: Sequence[AttentionProblem],
    arrays: ArrayPopulation,
    softmax: Sequence[Sequence[SoftmaxCost]] | np.ndarray,
    objective: str,
) -> tuple[np.ndarray, np.ndarray]:
    """Return outcomes and tilings as `attention_search.search_all_attention` writes them."""
    if objective not in OBJECTIVES:
        raise ValueError(f"objective {objective!r} is none of {', '.join(OBJECTIVES)}")
    if not isinstance(softmax, np.ndarray):
        softmax = np.array(
            [
                [(s.score_cycles, s.row_cycles, s.merge_cycles, s.merge_pj, s.hidden) for s in row]
                for row in softmax
            ],
            float,
        )
    shape = (len(arrays), len(problems))
    outcomes, tilings = np.full((*shape, 11), np.inf), np.zeros((*shape, 3))
    rows = np.array([_problem_row(p) for p in problems], float)  # one type: compiled once
    ranges = [_ranges(p) for p in problems]
    positions = [_positions(r, p.pattern.keys) for r, p in zip(ranges, problems, strict=True)]
    begins = np.array([np.cumsum([0] + [part.shape[1] for part in parts]) for parts in (ranges, positions)])
    search_all_attention(
        rows,
        _chip_rows(arrays, len(problems)),
        np.asarray(softmax, float),
        np.concatenate(ranges, axis=1),
        np.concatenate(positions, axis=1),
        begins,
        *_size_tables(problems, arrays),
        OBJECTIVES.index(objective),
        outcomes,
        tilings,
    )
    return outcomes, tilings


def _ranges(problem: AttentionProblem) -> np.ndarray:
    """Return int64 [2, queries], the first key and the end of those that each query sees; [2, 0] if all."""
    if not problem.pattern.is_range:
        return np.zeros((2, 0), np.int64)
    return np.array(problem.pattern.ranges(), np.int64)


def _positions(ranges: np.ndarray, keys: int) -> np.ndarray:
    """Return int64 [2, keys + 1], `low_at` and `end_beyond` of `attention_costs.Seen`; [2, 0] if all."""
    if ranges.shape[1] == 0:
        return ranges
    key = np.arange(keys + 1)
    return np.array([np.searchsorted(ranges[0], key, "left"), np.searchsorted(ranges[1], key, "right")])


def _size_tables(
    problems: Sequence[AttentionProblem], arrays: ArrayPopulation
) -> tuple[Any, Any, np.ndarray]:
    """Return the tile sizes of every distinct length on every distinct array, where each table begins, and
    which tables, int64 [arrays, problems, 2], the rows and keys of each problem take."""
    lengths = np.array([(p.rows, p.pattern.keys) for p in problems])
    rows, columns = np.asarray(arrays.rows, np.int64), np.asarray(arrays.columns, np.int64)
    distinct, length_of = np.unique(lengths, return_inverse=True)
    wide = columns.max() + 1
    shapes, shape_of = np.unique(rows * wide + columns, return_inverse=True)
    sizes, begins = size_tables(
        np.repeat(distinct, shapes.size),
        np.tile(shapes // wide, distinct.size),
        np.tile(shapes % wide, distinct.size),
    )
    return sizes, begins, length_of.reshape(lengths.shape) * shapes.size + shape_of[:, None, None]


def _problem_row(problem: AttentionProblem) -> list[float]:
    """Return the fields of `attention_costs.Heads` but those of the softmax."""
    held = (problem.q_bits, problem.k_bits, problem.v_bits)
    stays = (problem.q_resident, problem.k_resident, problem.v_resident, problem.o_resident)
    moved = [0.0 if kept else bits for bits, kept in zip((*held, problem.o_bits), stays, strict=True)]
    return [
        problem.groups, problem.rows, problem.heads, problem.pattern.keys, problem.width, problem.value_width,
        *moved, problem.probability_bits, problem.accumulator_bits, *held, problem.beside_dram_bytes,
        problem.kept, problem.score_word, problem.value_word, problem.running, problem.rescales,
    ]  # fmt: skip


def _chip_rows(arrays: ArrayPopulation, problems: int) -> Any:
    """Return float64 [arrays, problems, 15], the fields of `attention_costs.Chip`."""
    as_search = array_rows(arrays, problems)
    sides = np.stack([np.asarray(arrays.rows), np.asarray(arrays.columns)], axis=1)
    pipelined = np.asarray(arrays.overlap) == OVERLAPS.index("double-buffered")
    per_problem = np.broadcast_to(sides[:, None], (len(arrays), problems, 2))
    overlapped = np.broadcast_to(pipelined[:, None, None], (len(arrays), problems, 1))
    return np.concatenate([per_problem, as_search[..., :3], overlapped, as_search[..., 3:]], axis=2)
