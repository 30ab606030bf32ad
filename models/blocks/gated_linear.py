"""Gated linear attention with a decay for each channel of the keys, in chunks.

Yang et al., Gated Linear Attention Transformers with Hardware-Efficient Training, arXiv 2312.06635, section
3: ``S_t = diag(g_t) S_{t-1} + k_t v_tᵀ``, read as ``o_t = S_tᵀ q_t``. With ``b_t = g_1 ... g_t`` inside a
chunk, ``o_t = sum_s (q_t b_t) . (k_s / b_s) v_s`` within it, plus ``(q_t b_t)ᵀ S`` of the state before it
(section 4). Normalised, the sum is divided by the same sum with 1 in place of v: its weights then sum to 1.

Shapes: B batch, H heads, N tokens, c width of keys, d width of values, n chunks of Q tokens. ``1 / b`` of a
chunk must be a number: with gates of at least exp(-1) a chunk of 64 stays below the largest of fp32.
"""

from __future__ import annotations

import torch
from torch.nn import functional

from siliform.kernels import linear_recurrence
from siliform.models.blocks.chunks import ahead, in_pieces

#: Added to the normaliser, which is positive for positive features.
TINY = 1e-6  # as in fast-transformers (LinearAttention, eps)


def gated_linear_attention(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, log_gate: torch.Tensor, chunk: int, normalised: bool
) -> torch.Tensor:
    """q, k, log_gate [B, H, N, c], v [B, H, N, d] -> [B, H, N, d], in chunks of `chunk` tokens."""
    tokens = q.shape[2]
    size = min(chunk, tokens)
    q, k, v, log_gate = (in_pieces(part, size, axis=-2) for part in (q, k, v, log_gate))
    total = log_gate.cumsum(-2)
    q = q * total.exp()
    scores = q @ (k * (-total).exp()).transpose(-1, -2)
    scores = scores.masked_fill(ahead(scores), 0)
    y, weight = scores @ v, scores.sum(-1, keepdim=True)
    if q.shape[2] > 1:
        left = k[:, :, :-1] * (total[:, :, :-1, -1:] - total[:, :, :-1]).exp()
        kept = total[:, :, :-1, -1].exp()
        y = y + q @ _before(kept.unsqueeze(-1), left.transpose(-1, -2) @ v[:, :, :-1])
        weight = weight + q @ _before(kept.unsqueeze(-1), left.sum(-2).unsqueeze(-1))
    y = y / (weight + TINY) if normalised else y
    return y.flatten(2, 3)[:, :, :tokens]


def gated_steps(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, log_gate: torch.Tensor, normalised: bool
) -> torch.Tensor:
    """The recurrence token by token, for comparison: as `gated_linear_attention`."""
    state = torch.zeros_like(k[:, :, 0].unsqueeze(-1) * v[:, :, 0].unsqueeze(-2))
    weights, made = torch.zeros_like(k[:, :, 0]), []
    for t in range(q.shape[2]):
        gate = log_gate[:, :, t].exp()
        state = gate.unsqueeze(-1) * state + k[:, :, t].unsqueeze(-1) * v[:, :, t].unsqueeze(-2)
        weights = gate * weights + k[:, :, t]
        y = (q[:, :, t].unsqueeze(-1) * state).sum(-2)
        total = (q[:, :, t] * weights).sum(-1, keepdim=True) + TINY
        made.append(y / total if normalised else y)
    return torch.stack(made, dim=2)


def _before(kept: torch.Tensor, made: torch.Tensor) -> torch.Tensor:
    """States before each chunk [B, H, n, c, d] of what n - 1 chunks leave; `kept` [B, H, n - 1, c, 1]."""
    states = linear_recurrence(kept.expand_as(made), made, axis=2)
    return functional.pad(states, (0, 0, 0, 0, 1, 0))
