"""Softmax attention over two sets of keys that are mixed apart and joined exactly.

A fused attention returns weighted means and not the sums of exponentials that joining two means needs. A null
key, of score 0, carries the sum out: with value 1 in a column of its own, where all other values are 0, the
column is ``1 / (Z + 1)`` for the sum Z of the exponentials of the other scores, and the rest ``Z / (Z + 1)``
times their mean. Shapes: L leading axes, m queries, s keys, c width.
"""

from __future__ import annotations

import torch
from torch.nn import functional


def with_null(k: torch.Tensor, v: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Keys [*L, s, c] and values [*L, s, d] -> [*L, 1 + s, c] and [*L, 1 + s, d + 1], the null key first."""
    return functional.pad(k, (0, 0, 1, 0)), torch.cat([_null_value(v), functional.pad(v, (0, 1))], dim=-2)


def _null_value(v: torch.Tensor) -> torch.Tensor:
    last = torch.arange(v.shape[-1] + 1, device=v.device) == v.shape[-1]
    return last.to(v.dtype).expand(*v.shape[:-2], 1, -1)


def joined(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """What attention to both sets gives, [*L, m, d], of what each gave with its null key, [*L, m, d + 1]."""
    a_left, b_left = a[..., -1:], b[..., -1:]
    total = a_left + b_left - 2 * a_left * b_left
    return (a[..., :-1] * b_left + b[..., :-1] * a_left) / total
