"""The delta rule in chunks, and token by token.

Yang et al., Parallelizing Linear Transformers with the Delta Rule over Sequence Length, arXiv 2406.06484: a
state ``S [c, d]`` corrects what it holds at a key, ``S_t = (I - beta_t k_t k_tᵀ) S_{t-1} + beta_t k_t
v_tᵀ``, and is read as ``o_t = S_tᵀ q_t`` (section 2.2). In a chunk of Q tokens the product of those factors
has the WY form (section 3.2, equations 8 to 11): with ``T = (I + tril(diag(beta) K Kᵀ, -1))⁻¹ diag(beta)``,
``W = T K`` and ``U = T V``, a chunk takes S to ``(I - Kᵀ W) S + Kᵀ U`` and reads ``Q S + tril(Q Kᵀ) (U - W
S)``.

Only the states of chunks follow each other: `matrix_recurrence` of the transitions ``I - Kᵀ W``. Shapes: B
batch, H heads, N tokens, c width of keys, d width of values, n chunks of Q tokens.
"""

from __future__ import annotations

import torch
from torch.nn import functional

from siliform.kernels import matrix_recurrence
from siliform.models.blocks.chunks import ahead, in_pieces


def delta_rule(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, beta: torch.Tensor, chunk: int
) -> torch.Tensor:
    """q, k [B, H, N, c], v [B, H, N, d], beta [B, H, N] -> [B, H, N, d], in chunks of `chunk` tokens."""
    tokens = q.shape[2]
    size = min(chunk, tokens)
    # What is filled up has a beta of 0, which leaves the state as it is.
    q, k, v, beta = (in_pieces(part, size, axis=-2) for part in (q, k, v, beta.unsqueeze(-1)))
    scaled = k * beta
    alike = scaled @ k.transpose(-1, -2)
    inverse = unit_lower_inverse(alike.masked_fill(ahead(alike, itself=True), 0))
    w, u = inverse @ scaled, inverse @ (v * beta)
    scores = q @ k.transpose(-1, -2)
    scores = scores.masked_fill(ahead(scores), 0)
    if q.shape[2] == 1:
        return (scores @ u)[:, :, 0, :tokens]
    turned = k[:, :, :-1].transpose(-1, -2)
    same = torch.eye(k.shape[-1], dtype=k.dtype, device=k.device)
    states = matrix_recurrence(same - turned @ w[:, :, :-1], turned @ u[:, :, :-1])
    before = functional.pad(states, (0, 0, 0, 0, 1, 0))
    y = q @ before + scores @ (u - w @ before)
    return y.flatten(2, 3)[:, :, :tokens]


def delta_steps(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, beta: torch.Tensor) -> torch.Tensor:
    """The rule token by token, for comparison: as `delta_rule`."""
    state = torch.zeros_like(k[:, :, 0].unsqueeze(-1) * v[:, :, 0].unsqueeze(-2))
    made = []
    for t in range(q.shape[2]):
        held = (k[:, :, t].unsqueeze(-1) * state).sum(-2)
        change = beta[:, :, t].unsqueeze(-1) * (v[:, :, t] - held)
        state = state + k[:, :, t].unsqueeze(-1) * change.unsqueeze(-2)
        made.append((q[:, :, t].unsqueeze(-1) * state).sum(-2))
    return torch.stack(made, dim=2)


def unit_lower_inverse(strict: torch.Tensor) -> torch.Tensor:
    """``(I + strict)⁻¹`` of strictly lower triangular matrices [..., Q, Q], by products alone.

    By halves: two neighbours A and D of the inverses of blocks on the diagonal make that of their block,
    twice as large, with ``-D C A`` below them, C being what `strict` has there. So Q³ / 3 products of numbers
    in log2 Q steps, where forward substitution has Q steps that wait for each other; powers of `strict` would
    do as well in exact numbers, but cancel where keys repeat.
    """
    size = strict.shape[-1]
    whole = 1 << (size - 1).bit_length()
    if whole > size:  # rows and columns of the unit matrix, whose inverses are themselves
        strict = functional.pad(strict, (0, whole - size, 0, whole - size))
    inverse = torch.ones_like(strict[..., 0]).unflatten(-1, (whole, 1, 1))  # blocks [..., m, h, h]
    while inverse.shape[-1] < whole:
        half = inverse.shape[-1]
        first, second = inverse.unflatten(-3, (-1, 2)).unbind(-3)
        rows = strict.unflatten(-2, (-1, 2, half))[..., 1, :, :].unflatten(-1, (-1, 2, half))[..., 0, :]
        below = -rows.diagonal(dim1=-4, dim2=-2).movedim(-1, -3)
        if half > 1:  # a block of one row is inverted by 1
            below = second @ below @ first
        upper = functional.pad(first, (0, half))
        inverse = torch.cat([upper, torch.cat([below, second], dim=-1)], dim=-2)
    return inverse[..., 0, :size, :size]
