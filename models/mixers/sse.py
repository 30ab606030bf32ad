"""Sparse state expansion: linear attention with many states, of which a token writes and reads a few.

Pan et al., Scaling Linear Attention with Sparse State Expansion, arXiv 2507.16577: keys are a
classification of tokens (a softmax over the state's rows), the state is expanded into n partitions that
share all projections, and a router sends a token to its top-k partitions, which alone decay, are written
and are read, weighted by the router. The form here is the paper's for long sequences: tokens are sorted by
partition, so that all partitions are one sequence of k N tokens in which a state begins anew with each
partition, and work does not grow with n. The decay is one number per head, as in state-space duality.
Shapes: B batch, N tokens, W width of the stream, H heads of width c.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from siliform.models.blocks.ssd import ssd

GATE_SOFTNESS = 16.0  # arXiv 2312.06635, section 4.4: sigmoid to the power of 1/16


class SparseStateMixer(nn.Module):
    """x [B, N, W] -> [B, N, W], causal.

    Parameters
    ----------
    width, heads : W and H.
    partitions, selected : n and k; 4 and 1 are the defaults of `SSEGLA`, the form with gated linear attention
        that forks of flash-linear-attention have.
    chunk : tokens of a chunk (assumption: 64, near the width of a head, where products within chunks and
        with states cost about the same; the function is the same for every chunk).
    """

    def __init__(
        self, width: int, heads: int, partitions: int = 4, selected: int = 1, chunk: int = 64
    ) -> None:
        super().__init__()
        self.heads, self.selected, self.chunk = heads, selected, chunk
        self.query = nn.Linear(width, width, bias=False)
        self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, width, bias=False)
        self.gate = nn.Linear(width, heads)
        self.router = nn.Linear(width, partitions, bias=False)
        self.out = nn.Linear(width, width, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v, decay = self.parts(x)
        share, partition = self.routed(x)
        batch, tokens, _ = x.shape
        entries = tokens * self.selected
        place = torch.arange(entries, device=x.device)
        segments = partition.reshape(batch, entries)
        order = (segments * entries + place).argsort(-1)  # by partition, then by time
        rows = torch.arange(batch, device=x.device).unsqueeze(-1)
        token = (order // self.selected + rows * tokens).flatten()
        q, k, v, decay = (
            part.flatten(0, 1).index_select(0, token).unflatten(0, (batch, entries))
            for part in (q, k, v, decay)
        )
        entry = (order + rows * entries).flatten()
        weight = share.flatten().index_select(0, entry).view(batch, entries, 1, 1)
        segments = segments.flatten().index_select(0, entry).view(batch, entries)
        y = ssd(v * weight, decay, k, q, self.chunk, segments) * weight
        back = (order.argsort(-1) + rows * entries).flatten()
        y = y.flatten(0, 1).index_select(0, back).view(batch, tokens, self.selected, -1).sum(2)
        projected: torch.Tensor = self.out(y)
        return projected

    def parts(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Queries, keys and values [B, N, H, c], log decays [B, N, H]."""
        q, k, v = (layer(x).unflatten(-1, (self.heads, -1)) for layer in (self.query, self.key, self.value))
        return q, k.softmax(-1), v, functional.logsigmoid(self.gate(x)) / GATE_SOFTNESS

    def routed(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """A token's shares of its partitions, and which they are: [B, N, k] each."""
        share, partition = self.router(x).softmax(-1).topk(self.selected, dim=-1)
        return share, partition

    def explicit(self, x: torch.Tensor) -> torch.Tensor:
        """What `forward` gives, token by token on one state for each partition."""
        q, k, v, decay = self.parts(x)
        share, partition = self.routed(x)
        shares = torch.zeros(*x.shape[:2], self.router.out_features, dtype=x.dtype, device=x.device)
        shares = shares.scatter(-1, partition, share)[..., None, None, None]  # [B, N, n, 1, 1, 1]
        state = torch.zeros_like(shares[:, 0] * (k[:, 0].unsqueeze(-1) * v[:, 0].unsqueeze(-2)).unsqueeze(1))
        made = []
        for t in range(x.shape[1]):
            pushed = (k[:, t].unsqueeze(-1) * v[:, t].unsqueeze(-2)).unsqueeze(1)
            kept = torch.where(shares[:, t] > 0, decay[:, t].exp()[:, None, :, None, None], 1.0)
            state = kept * state + shares[:, t] * pushed
            read = (shares[:, t] * state).sum(1)
            made.append((q[:, t].unsqueeze(-1) * read).sum(-2).flatten(1))
        projected: torch.Tensor = self.out(torch.stack(made, dim=1))
        return projected
