"""Attention by features: what linear attentions share, their quadratic form, and a causal form in chunks.

With features phi of queries and keys whose inner product takes the place of the exponential of a score::

    y_i = sum_j (phi(q_i) . phi(k_j)) v_j / sum_j phi(q_i) . phi(k_j)
        = phi(q_i) (sum_j phi(k_j) v_jᵀ) / (phi(q_i) . sum_j phi(k_j))

(Katharopoulos et al., arXiv 2006.16236, equations 4 to 6). Where a token sees none behind it, the sums run
over j <= i: a state that grows from chunk to chunk, and the quadratic form inside each chunk (Hua et al.,
arXiv 2202.10447, section 3.3). Shapes: B batch, N tokens, W width of the stream, H heads, c width of a
head, f features.
"""

from __future__ import annotations

import torch
from torch import nn

from siliform.models.blocks.heads import merge_heads, split_heads
from siliform.models.blocks.linear_attention import TINY


def over_all(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """The second line above: features q and k [B, H, N, f], v [B, H, N, c] -> [B, H, N, c]."""
    total = q @ k.sum(-2).unsqueeze(-1)
    return q @ (k.transpose(-1, -2) @ v) / (total + TINY)


def over_chunks(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, chunk: int) -> torch.Tensor:
    """As `over_all` with j <= i; N is a multiple of `chunk`."""
    q, k, v = (x.unflatten(2, (-1, chunk)) for x in (q, k, v))
    within = (q @ k.transpose(-1, -2)).tril()
    added, counted = k.transpose(-1, -2) @ v, k.sum(-2).unsqueeze(-1)
    state, count = added.cumsum(2) - added, counted.cumsum(2) - counted
    total = q @ count + within.sum(-1, keepdim=True)
    return ((q @ state + within @ v) / (total + TINY)).flatten(2, 3)


def over_pairs(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, causal: bool) -> torch.Tensor:
    """The first line above, for comparison."""
    similarity = q @ k.transpose(-1, -2)
    similarity = similarity.tril() if causal else similarity
    return similarity @ v / (similarity.sum(-1, keepdim=True) + TINY)


class KernelMixer(nn.Module):
    """Self-attention by the features of a subclass: x [B, N, W] -> [B, N, W].

    Parameters
    ----------
    width, heads : W and H; c = width / heads.
    causal : whether a token sees none behind it.
    chunk : tokens of a chunk of the causal form, a divisor of N (assumption: 64, near the width of a head,
        where products within chunks and with states cost about the same; the function is the same for each).
    bias : of the projections.
    """

    def __init__(
        self, width: int, heads: int, causal: bool = False, chunk: int = 64, bias: bool = False
    ) -> None:
        super().__init__()
        self.heads, self.head_width = heads, width // heads
        self.causal, self.chunk = causal, chunk
        self.query = nn.Linear(width, width, bias=bias)
        self.key = nn.Linear(width, width, bias=bias)
        self.value = nn.Linear(width, width, bias=bias)
        self.out = nn.Linear(width, width, bias=bias)

    def features(self, q: torch.Tensor, k: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Queries and keys [B, H, N, c] -> their features [B, H, N, f], inner products not negative."""
        raise NotImplementedError

    def projected(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Features of queries and of keys, and values."""
        q, k, v = (split_heads(layer(x), self.heads) for layer in (self.query, self.key, self.value))
        return (*self.features(q, k), v)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = self.projected(x)
        mixed = over_chunks(q, k, v, self.chunk) if self.causal else over_all(q, k, v)
        projected: torch.Tensor = self.out(merge_heads(mixed))
        return projected

    def explicit(self, x: torch.Tensor) -> torch.Tensor:
        """What `forward` gives, by all pairs of tokens."""
        projected: torch.Tensor = self.out(merge_heads(over_pairs(*self.projected(x), self.causal)))
        return projected
