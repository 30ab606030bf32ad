"""Locality-sensitive hashing attention: sort by bucket, attend within chunks of the sorted sequence.

Kitaev et al., Reformer: The Efficient Transformer, ICLR 2020 (arXiv 2001.04451), section 2, without a causal
mask. Queries serve as keys, which are queries of length one. A round hashes them by the nearest of the axes
of a random rotation and their opposites, sorts tokens by bucket and place, cuts the sorted sequence into
chunks, and lets a chunk see itself and the chunk before it, as far as buckets are the same; a token sees
itself only where it sees no other. Rounds are joined by the sums of their exponentials. A pair that meets in
several rounds counts in each, as in the authors' code. Where there are more than `SPLIT` buckets, a bucket is
a pair of hashes by two smaller rotations, as there. O(N log N) for the sorting; one chunk of one bucket is
full attention of shared queries and keys. Shapes: B batch, N tokens, W width, H heads, c = W / H, R rounds, m
tokens a chunk, n chunks, u buckets.
"""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional

from siliform.models.blocks.chunks import check_multiple
from siliform.models.blocks.heads import merge_heads, split_heads
from siliform.models.blocks.selection import rows_at

#: Buckets from which on they are hashed by two rotations (trax, LSHSelfAttention, which factors above 128).
SPLIT = 128
#: What is taken off a token's score with itself (arXiv 2001.04451, section 2: "-1e5").
SELF = 1e5


class ReformerMixer(nn.Module):
    """x [B, N, W] -> [B, N, W], N a multiple of m.

    Parameters
    ----------
    width, heads : W and H.
    sequence : N, which sizes the rotations.
    rounds : R; 4 of arXiv 2001.04451, section 5, where 8 come near full attention.
    chunk : m; 64 is the default of the released port (transformers, `ReformerConfig.lsh_attn_chunk_length`).
    buckets : u, an even number or 1; ``2 N / m``, so that a chunk holds two buckets, where None (section 2).
    """

    def __init__(
        self,
        width: int,
        heads: int,
        sequence: int = 1024,
        rounds: int = 4,
        chunk: int = 64,
        buckets: int | None = None,
    ) -> None:
        super().__init__()
        self.heads, self.rounds, self.chunk = heads, rounds, chunk
        self.buckets = buckets or max(2 * sequence // chunk, 2)
        self.query = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.factors = _factors(self.buckets)
        for number, factor in enumerate(self.factors):
            axes = torch.randn(rounds, width // heads, max(factor // 2, 1))
            self.register_buffer(f"rotation{number}", axes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        check_multiple(
            x.shape[1], self.chunk, f"LSH attention of {x.shape[1]} tokens in chunks of {self.chunk}"
        )
        q, v = (split_heads(layer(x), self.heads) for layer in (self.query, self.value))
        mixed, sums = self._rounds(q, v, self.hashes(q))
        shares = sums.softmax(dim=2).unsqueeze(-1)
        projected: torch.Tensor = self.out(merge_heads((mixed * shares).sum(dim=2)))
        return projected

    def hashes(self, q: torch.Tensor) -> torch.Tensor:
        """The bucket of each token in each round: q [B, H, N, c] -> [B, H, R, N] below u."""
        bucket = torch.zeros((), dtype=torch.int64, device=q.device)
        for number, factor in enumerate(self.factors):
            if factor == 1:
                continue
            turned = q.unsqueeze(2) @ getattr(self, f"rotation{number}")
            bucket = bucket * factor + torch.cat([turned, -turned], dim=-1).argmax(dim=-1)
        return bucket.expand(*q.shape[:2], self.rounds, q.shape[2])

    def _rounds(
        self, q: torch.Tensor, v: torch.Tensor, bucket: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """What each round gives each token [B, H, R, N, c], and the logarithm of its sum [B, H, R, N]."""
        tokens = q.shape[2]
        place = torch.arange(tokens, device=q.device)
        order = (bucket * tokens + place).argsort(dim=-1)
        undo = torch.zeros_like(order).scatter(-1, order, place.expand_as(order))
        rows = rows_at(torch.cat([q, v], dim=-1), order, lead=2)
        queries, values = self._cut(rows).chunk(2, dim=-1)
        bucket = self._cut(bucket.gather(-1, order))
        keys = functional.normalize(queries, dim=-1)
        scores = queries @ _with_last(keys).transpose(-1, -2) * q.shape[-1] ** -0.5
        same = bucket.unsqueeze(-1) == _with_last(bucket).unsqueeze(-2)
        own = torch.eye(self.chunk, scores.shape[-1], dtype=scores.dtype, device=q.device).roll(
            scores.shape[-1] - self.chunk, dims=-1
        )
        scores = torch.where(same, scores - SELF * own, float("-inf"))
        sums = scores.logsumexp(dim=-1, keepdim=True)
        mixed = torch.cat([(scores - sums).exp() @ _with_last(values), sums], dim=-1).flatten(3, 4)
        mixed = rows_at(mixed, undo, lead=3)
        return mixed[..., :-1], mixed[..., -1]

    def _cut(self, x: torch.Tensor) -> torch.Tensor:
        """[B, H, R, N, ...] -> [B, H, R, n, m, ...]."""
        return x.unflatten(3, (-1, self.chunk))


def _factors(buckets: int) -> tuple[int, ...]:
    """Buckets as one factor, or as two even ones of about the same size."""
    if buckets <= SPLIT:
        return (buckets,)
    first = 1 << round(math.log2(buckets) / 2)
    return first, buckets // first


def _with_last(x: torch.Tensor) -> torch.Tensor:
    """Chunks [B, H, R, n, m, ...] behind their predecessors, the last one before the first."""
    if x.shape[3] == 1:
        return x
    return torch.cat([x.roll(1, dims=3), x], dim=4)
