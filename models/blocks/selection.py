"""Selecting rows by score: the indices of the best, and the rows that indices name.

Shapes: L any leading axes, R rows of which some are chosen.
"""

from __future__ import annotations

from math import prod

import torch

#: The integer formats that a hardware selector compares, by bits (`arch/units/topk.py`).
LEVELS = {8: torch.int8, 16: torch.int16}


def best(scores: torch.Tensor, count: int, bits: int | None = None) -> torch.Tensor:
    """Indices [*L, count] of the `count` largest of scores [*L, R], the largest first.

    With `bits`, 8 or 16, scores are compared as a selector of integers sees them: rounded to that many bits,
    the largest magnitude of each row on the largest level.
    """
    if bits is not None:
        scores = rounded(scores, bits)
    return scores.topk(count, dim=-1).indices


def rounded(scores: torch.Tensor, bits: int) -> torch.Tensor:
    """Scores [*L, R] as signed integers, symmetric about 0, in one scale a row."""
    largest = scores.abs().amax(-1, keepdim=True).clamp(min=torch.finfo(scores.dtype).tiny)
    return (scores * ((2 ** (bits - 1) - 1) / largest)).round().to(LEVELS[bits])


def rows_at(rows: torch.Tensor, index: torch.Tensor, lead: int) -> torch.Tensor:
    """rows [*L, R, *rest] at index [*L, *I] -> [*L, *I, *rest], L being `lead` axes: copies of whole rows."""
    entries, count = prod(rows.shape[:lead]), rows.shape[lead]
    if entries > 1:
        first = torch.arange(entries, device=index.device) * count
        index = index + first.view(*rows.shape[:lead], *[1] * (index.dim() - lead))
    return rows.flatten(0, lead)[index.flatten()].view(*index.shape, *rows.shape[lead + 1 :])
