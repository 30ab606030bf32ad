"""What MiniLM's student learns from the last layer of its teacher.

Wang et al., MiniLM, arXiv 2002.10957: attention distributions, and relations among values,
both N x N per head, so that the student may be as narrow as it likes. Shapes: B batch, H heads, N tokens, c
width of a head, which differs between the two.
"""

from __future__ import annotations

import torch
from torch.nn import functional


def relations(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Logarithms of ``softmax(a bᵀ / sqrt(c))``: [B, H, N, c] and the same -> [B, H, N, N]."""
    return functional.log_softmax(a @ b.transpose(-1, -2) * a.shape[-1] ** -0.5, dim=-1)


def minilm_loss(
    teacher: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
    student: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
) -> torch.Tensor:
    """Divergence of the student's distributions from the teacher's, from q, k, v of both, mean over rows."""
    total = torch.zeros(())
    for left, right in ((0, 1), (2, 2)):
        taught, learnt = (relations(side[left], side[right]) for side in (teacher, student))
        total = total + (taught.exp() * (taught - learnt)).sum(-1).mean()
    return total
