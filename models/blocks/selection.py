"""Selecting rows by score: the indices of the best, and the rows that indices name.

A selector in hardware compares integers (`arch/units/topk.py`), so scores may be compared in fixed point.
Shapes: L any leading axes, R rows of which some are chosen.
"""

from __future__ import annotations

from math import prod

import torch

#: The integer formats that a selector compares, by bits.
LEVELS = {8: torch.int8, 16: torch.int16}
#: Bits of a fixed-point score before its point, sign left out: scores beyond +-16 are not told apart
#: (assumption: products of normed rows, divided by the root of their width, stay below it).
WHOLE_BITS = 4


def best(scores: torch.Tensor, count: int, bits: int | None = None) -> torch.Tensor:
    """Indices [*L, count] of the `count` largest of scores [*L, R], the largest first.

    With `bits`, 8 or 16, in fixed point of so many.
    """
    return (scores if bits is None else fixed_point(scores, bits)).topk(count, dim=-1).indices


def best_before(
    scores: torch.Tensor, count: int, diagonal: int, bits: int | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """The same in a triangle of scores [*L, M, R]: row m chooses among columns up to m + `diagonal`.

    Indices [*L, M, count], and whether each is one of those columns: a row that has fewer gets others too.
    """
    if bits is None:
        positive = scores - (scores.amin(dim=-1, keepdim=True) - 1)
    else:
        positive = fixed_point(scores, bits - 1).to(LEVELS[bits]) + 2 ** (bits - 2)
    values, indices = positive.tril(diagonal).topk(count, dim=-1)
    return indices, values > 0


def fixed_point(scores: torch.Tensor, bits: int) -> torch.Tensor:
    """Scores as signed integers of `bits`, rounded; the greatest stands for all beyond it, on both sides."""
    limit = 2 ** (bits - 1) - 1
    scaled = (scores * 2.0 ** (bits - 1 - WHOLE_BITS)).round().clamp(-limit, limit)
    return scaled.to(LEVELS[8 if bits <= 8 else 16])


def rows_at(rows: torch.Tensor, index: torch.Tensor, lead: int) -> torch.Tensor:
    """rows [*L, R, *rest] at index [*L, *I] -> [*L, *I, *rest], L being `lead` axes: copies of whole rows."""
    entries, count = prod(rows.shape[:lead]), rows.shape[lead]
    if entries > 1:
        first = torch.arange(entries, device=index.device) * count
        index = index + first.view(*rows.shape[:lead], *[1] * (index.dim() - lead))
    return rows.flatten(0, lead)[index.flatten()].view(*index.shape, *rows.shape[lead + 1 :])
