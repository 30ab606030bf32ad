"""matrix_recurrence: the recurrence h = A h + b of matrices, as between the chunks of a delta rule.

Its steps follow each other: a step's products wait for those of the step before, so that only the products
of one step can run beside each other (`Space.sequential`). The sum with b is where a product's accumulators
begin, and costs no operation of its own.
"""

from __future__ import annotations

from math import prod

import numpy as np

from siliform.graph_ir.ops.common import float_of, narrow, promoted, wide
from siliform.graph_ir.opspec import OpSpec
from siliform.graph_ir.space import Space
from siliform.graph_ir.types import TensorType


def _reference(a: np.ndarray, b: np.ndarray, initial: np.ndarray | None = None) -> np.ndarray:
    """a [..., L, C, C], b [..., L, C, V] -> h with h[t] = a[t] @ h[t-1] + b[t]; h[-1] is `initial` or 0."""
    transitions, drive = wide(a), wide(b)
    made = np.empty_like(drive)
    state = None if initial is None else wide(initial)
    for step in range(drive.shape[-3]):
        pushed = drive[..., step, :, :]
        state = pushed if state is None else transitions[..., step, :, :] @ state + pushed
        made[..., step, :, :] = state
    return narrow(made, b)


def _shape(a: TensorType, b: TensorType, initial: TensorType | None = None) -> TensorType:
    if a.rank < 3 or b.rank < 3:
        raise ValueError(f"a has shape {a.shape} and b {b.shape}; both need three axes or more")
    if a.shape != (*b.shape[:-1], b.shape[-2]):
        raise ValueError(f"a has shape {a.shape}; with b {b.shape} it is {(*b.shape[:-1], b.shape[-2])}")
    wanted = (*b.shape[:-3], *b.shape[-2:])
    if initial is not None and initial.shape != wanted:
        raise ValueError(f"the initial state has shape {initial.shape}, one step of b {wanted}")
    return TensorType(b.shape, float_of(promoted(a, b)))


def _spaces(a: TensorType, b: TensorType, initial: TensorType | None = None) -> list[Space]:
    *lead, steps, rows, columns = b.shape
    if initial is None:
        if steps == 1:
            return [Space.over("i -> i", {}, i=b.elements)]
        steps -= 1  # the first state is its drive
    return [
        Space.over(
            "r t i k, r t k j -> r t i j",
            {"mac": 1},
            sequential="t",
            r=prod(lead),
            t=steps,
            i=rows,
            k=rows,
            j=columns,
        )
    ]


matrix_recurrence = OpSpec(
    "matrix_recurrence",
    "scan",
    _reference,
    _shape,
    _spaces,
    source="Yang et al., arXiv 2406.06484, equation 8; Blelloch, Prefix Sums and Their Applications, 1990",
)
