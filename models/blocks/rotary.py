"""Rotary positions: pairs of a head's numbers turned by an angle that grows with the token's position.

Su et al., RoFormer, arXiv 2104.09864, equation 34, in the half-split order of pairs: number i turns with
number i + c/2. Shapes: N tokens, c width of a head.
"""

from __future__ import annotations

import torch

ROTARY_BASE = 10_000.0  # arXiv 2104.09864, section 3.2.2


def frequencies(head_width: int, base: float, like: torch.Tensor) -> torch.Tensor:
    """Radians a token of each pair, [c/2]: ``base ** (-2 i / c)``; dtype and device are those of `like`."""
    pairs = torch.arange(head_width // 2, dtype=like.dtype, device=like.device)
    return base ** (pairs * (-2 / head_width))


def angles(tokens: int, rates: torch.Tensor, first: int = 0) -> torch.Tensor:
    """Angles [N, c/2] of tokens at positions `first`, `first` + 1, ..."""
    positions = torch.arange(first, first + tokens, dtype=rates.dtype, device=rates.device)
    return positions.unsqueeze(1) * rates


def turned(x: torch.Tensor, angle: torch.Tensor) -> torch.Tensor:
    """x [..., N, c] with each pair turned by angle [..., N, c/2]."""
    both = torch.cat([angle, angle], dim=-1)
    half = x.shape[-1] // 2
    return x * both.cos() + torch.cat([-x[..., half:], x[..., :half]], dim=-1) * both.sin()


def turned_part(x: torch.Tensor, angle: torch.Tensor) -> torch.Tensor:
    """x [..., N, c] with its first pairs turned by angle [..., N, p], p <= c/2; the numbers behind stay."""
    share = 2 * angle.shape[-1]
    if share == x.shape[-1]:
        return turned(x, angle)
    return torch.cat([turned(x[..., :share], angle), x[..., share:]], dim=-1)
