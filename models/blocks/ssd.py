"""State-space duality: a gated linear recurrence as products of chunks, and as the matrix that it is.

Dao and Gu, Transformers are SSMs: Generalized Models and Efficient Algorithms Through Structured State Space
Duality, arXiv 2405.21060. A head's state ``h [S, P]`` follows ``h_t = a_t h_{t-1} + b_t x_tᵀ`` with one decay
``a_t`` for the whole head and is read as ``y_t = h_tᵀ c_t``. So ``y = M x`` with the semiseparable matrix
``M[i, j] = (c_i . b_j) a_{j+1} ... a_i`` for j <= i (section 3, equation 7), which chunks of Q tokens turn
into products (section 6): within a chunk by its block of M, between chunks by states, which alone follow each
other.

Shapes: B batch, N tokens, H heads, P width of a head, G groups of heads that share b and c, S states, n
chunks of Q tokens.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn import functional

from siliform.kernels import linear_recurrence
from siliform.models.blocks.chunks import filled_up


def ssd(
    x: torch.Tensor,
    log_decay: torch.Tensor,
    b: torch.Tensor,
    c: torch.Tensor,
    chunk: int,
    segments: torch.Tensor | None = None,
) -> torch.Tensor:
    """Outputs y [B, N, H, P] of the recurrence, in chunks of `chunk` tokens; a short last one is filled up.

    Parameters
    ----------
    x : drives [B, N, H, P].
    log_decay : log a_t <= 0, [B, N, H].
    b, c : [B, N, G, S].
    segments : number of the segment that a token belongs to, [B, N], ascending: a segment's state begins at
        zero. None for one segment.
    """
    tokens = x.shape[1]
    size = min(chunk, tokens)
    parts = _Chunks.of(x, log_decay, b, c, segments, size)
    y = parts.within()
    if parts.count > 1:
        y = y + parts.across()
    return y.permute(0, 1, 4, 2, 3, 5).flatten(3, 4).flatten(1, 2)[:, :tokens]


def ssd_matrix(log_decay: torch.Tensor, b: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
    """The matrix M [B, H, N, N] of the recurrence, for comparison: ``y = M x``."""
    shared = log_decay.shape[-1] // b.shape[-2]
    total = log_decay.cumsum(1).transpose(1, 2)
    passed = (total.unsqueeze(-1) - total.unsqueeze(-2)).exp().tril()
    scores = torch.einsum("bigs,bjgs->bgij", c, b).repeat_interleave(shared, dim=1)
    return scores * passed


def ssd_steps(x: torch.Tensor, log_decay: torch.Tensor, b: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
    """The recurrence token by token, for comparison: as `ssd`."""
    shared = log_decay.shape[-1] // b.shape[-2]
    b, c = b.repeat_interleave(shared, dim=2), c.repeat_interleave(shared, dim=2)
    state = torch.zeros_like(b[:, 0].unsqueeze(-1) * x[:, 0].unsqueeze(-2))
    made = []
    for t in range(x.shape[1]):
        decay = log_decay[:, t].exp()[..., None, None]
        state = decay * state + b[:, t].unsqueeze(-1) * x[:, t].unsqueeze(-2)
        made.append((c[:, t].unsqueeze(-1) * state).sum(-2))
    return torch.stack(made, dim=1)


@dataclass(frozen=True)
class _Chunks:
    """Operands by chunk.

    x [B, n, G, H/G, Q, P], total [B, n, G, H/G, Q], b and c [B, n, G, Q, S], segments [B, n, Q].
    `total` is the sum of the log decays in the chunk up to each token, itself included.
    """

    x: torch.Tensor
    total: torch.Tensor
    b: torch.Tensor
    c: torch.Tensor
    segments: torch.Tensor | None

    @classmethod
    def of(
        cls,
        x: torch.Tensor,
        log_decay: torch.Tensor,
        b: torch.Tensor,
        c: torch.Tensor,
        segments: torch.Tensor | None,
        size: int,
    ) -> _Chunks:
        groups = b.shape[2]
        filled = -x.shape[1] % size
        x, b, c = (filled_up(part, size, axis=-3) for part in (x, b, c))
        log_decay = filled_up(log_decay, size, axis=-2)
        if segments is not None and filled:
            segments = functional.pad(segments, (0, filled), value=-1)
        batch, tokens, heads, _ = x.shape
        by = (batch, tokens // size, size)
        x = x.reshape(*by, groups, heads // groups, -1).permute(0, 1, 3, 4, 2, 5)
        total = log_decay.reshape(*by, groups, heads // groups).permute(0, 1, 3, 4, 2).cumsum(-1)
        b, c = (part.reshape(*by, groups, -1).transpose(2, 3) for part in (b, c))
        return cls(x, total, b, c, None if segments is None else segments.reshape(by))

    @property
    def count(self) -> int:
        """Chunks."""
        return self.x.shape[1]

    def within(self) -> torch.Tensor:
        """What tokens read of their own chunk: [B, n, G, H/G, Q, P]."""
        size = self.x.shape[-2]
        behind = torch.ones(size, size, dtype=torch.bool, device=self.x.device).tril()
        passed = self.total.unsqueeze(-1) - self.total.unsqueeze(-2)
        if self.segments is None:
            kept = behind
        else:
            same = self.segments.unsqueeze(-1) == self.segments.unsqueeze(-2)
            kept = (same & behind)[:, :, None, None]
        passed = passed.masked_fill(~kept, float("-inf")).exp()
        scores = self.c @ self.b.transpose(-1, -2)
        return (scores.unsqueeze(3) * passed) @ self.x

    def across(self) -> torch.Tensor:
        """What tokens read of the state before their chunk: [B, n, G, H/G, Q, P].

        The last chunk's own state is nobody's, so it is not made.
        """
        x, total, b = self.x[:, :-1], self.total[:, :-1], self.b[:, :-1]
        left = (total[..., -1:] - total).exp()  # of a token's drive at the end of its chunk
        kept, read = total[..., -1].exp(), self.total.exp()
        if self.segments is not None:
            last = self.segments[..., -1:]
            left = left * (self.segments == last)[:, :-1, None, None]
            before = functional.pad(last[:, :-1], (0, 0, 1, 0), value=-1)  # whose state a chunk finds
            kept = kept * (last == before)[:, :-1, None, None, 0]
            read = read * (self.segments == before)[:, :, None, None]
        made = b.transpose(-1, -2).unsqueeze(3) @ (x * left.unsqueeze(-1))  # [B, n - 1, G, H/G, S, P]
        states = linear_recurrence(kept[..., None, None].expand_as(made), made, axis=1)
        before = functional.pad(states, (0, 0, 0, 0, 0, 0, 0, 0, 1, 0))
        return (self.c.unsqueeze(3) @ before) * read.unsqueeze(-1)
