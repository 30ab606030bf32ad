"""Many designs at once: every attention on every array; the rows that the search kernel reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from siliform.simulator.mapping.attention import AttentionProblem, SoftmaxCost
from siliform.simulator.mapping.attention_search import search_all_attention
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

    `softmax` is one cost per array and problem, or float64 [arrays, problems, 4] of its fields.
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
            [[(s.score_cycles, s.row_cycles, s.merge_cycles, s.hidden) for s in row] for row in softmax],
            float,
        )
    shape = (len(arrays), len(problems))
    outcomes, tilings = np.full((*shape, 10), np.inf), np.zeros((*shape, 3))
    rows = np.array([_problem_row(p) for p in problems], float)  # one type: compiled once
    ranges = [_ranges(p) for p in problems]
    begins = np.cumsum([0] + [r.shape[1] for r in ranges])
    chips = _chip_rows(arrays, len(problems))
    search_all_attention(
        rows,
        chips,
        np.asarray(softmax, float),
        np.concatenate(ranges, axis=1),
        begins,
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


def _problem_row(problem: AttentionProblem) -> list[float]:
    """Return the fields of `attention_search.Heads` that do not depend on the design."""
    held = (problem.q_bits, problem.k_bits, problem.v_bits)
    stays = (problem.q_resident, problem.k_resident, problem.v_resident, problem.o_resident)
    moved = [0.0 if kept else bits for bits, kept in zip((*held, problem.o_bits), stays, strict=True)]
    return [
        problem.groups, problem.rows, problem.heads, problem.pattern.keys, problem.width, problem.value_width,
        *moved, problem.probability_bits, problem.accumulator_bits, *held, problem.beside_dram_bytes,
    ]  # fmt: skip


def _chip_rows(arrays: ArrayPopulation, problems: int) -> Any:
    """Return float64 [arrays, problems, 15], the fields of `attention_search.Chip`."""
    as_search = array_rows(arrays, problems)
    sides = np.stack([np.asarray(arrays.rows), np.asarray(arrays.columns)], axis=1)
    pipelined = np.asarray(arrays.overlap) == OVERLAPS.index("double-buffered")
    per_problem = np.broadcast_to(sides[:, None], (len(arrays), problems, 2))
    overlapped = np.broadcast_to(pipelined[:, None, None], (len(arrays), problems, 1))
    return np.concatenate([per_problem, as_search[..., :3], overlapped, as_search[..., 3:]], axis=2)
