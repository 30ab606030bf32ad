"""Kernelised attention with relative positions: sums over keys as Toeplitz products by Fourier transform.

Luo et al., Stable, Fast and Accurate: Kernelized Attention with Relative Positional Encoding, NeurIPS 2021
(arXiv 2106.12566), equations 8 to 11. With b of each distance and head, and positive random features of
queries and keys of length one (its normalised form)::

    y_i = phi(q_i) sum_j e^{b(j - i)} phi(k_j) v_jᵀ / (phi(q_i) . sum_j e^{b(j - i)} phi(k_j))

The sums over j are products of one Toeplitz matrix with the columns of phi(k_j) v_jᵀ and of phi(k_j): (c +
1) f of them, each O(N log N) as a circulant product of twice the length. Shapes: B batch, N tokens, H
heads, c width of a head, f features.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from siliform.models.blocks.heads import merge_heads, split_heads
from siliform.models.blocks.linear_attention import TINY
from siliform.models.mixers.performer import orthogonal_rows

FEATURES = 32  # "assumption": half a head of 64, of the tens that arXiv 2106.12566 works with


def toeplitz_product(row: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """``y_i = sum_j row[j - i + N - 1] x_j``: row [H, 2 N - 1], x [B, H, N, columns] -> as x."""
    tokens = x.shape[-2]
    # First column of the circulant matrix of twice the length: distances 0 to 1 - N, a gap, N - 1 to 1.
    turned = row.flip(-1)
    column = torch.cat([turned[:, tokens - 1 :], row[:, :1], turned[:, : tokens - 1]], dim=-1)
    spectrum = torch.fft.rfft(column, dim=-1).unsqueeze(-1) * torch.fft.rfft(x, n=2 * tokens, dim=-2)
    return torch.fft.irfft(spectrum, n=2 * tokens, dim=-2)[..., :tokens, :]


class KernelRPEMixer(nn.Module):
    """Self-attention: x [B, N, W] -> [B, N, W], N at most `sequence`."""

    def __init__(
        self, width: int, heads: int, sequence: int = 1024, features: int = FEATURES, bias: bool = False
    ) -> None:
        super().__init__()
        self.heads, self.sequence = heads, sequence
        self.query = nn.Linear(width, width, bias=bias)
        self.key = nn.Linear(width, width, bias=bias)
        self.value = nn.Linear(width, width, bias=bias)
        self.out = nn.Linear(width, width, bias=bias)
        self.distance = nn.Parameter(torch.zeros(heads, 2 * sequence - 1))
        self.register_buffer("directions", orthogonal_rows(features, width // heads))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = self.projected(x)
        columns = torch.cat([(k.unsqueeze(-1) * v.unsqueeze(-2)).flatten(-2), k], dim=-1)
        summed = toeplitz_product(self.decays(x.shape[1]), columns)
        features, head_width = k.shape[-1], v.shape[-1]
        contexts, counts = summed.split([features * head_width, features], dim=-1)
        mixed = (q.unsqueeze(-2) @ contexts.unflatten(-1, (features, head_width))).squeeze(-2)
        total = (q * counts).sum(-1, keepdim=True)
        projected: torch.Tensor = self.out(merge_heads(mixed / (total + TINY)))
        return projected

    def explicit(self, x: torch.Tensor) -> torch.Tensor:
        """What `forward` gives, by all pairs of tokens."""
        q, k, v = self.projected(x)
        tokens = torch.arange(x.shape[1])
        decay = self.decays(x.shape[1])[:, tokens[None, :] - tokens[:, None] + x.shape[1] - 1]
        similarity = q @ k.transpose(-1, -2) * decay
        mixed = similarity @ v / (similarity.sum(-1, keepdim=True) + TINY)
        projected: torch.Tensor = self.out(merge_heads(mixed))
        return projected

    def decays(self, tokens: int) -> torch.Tensor:
        """e^b of the distances j - i from 1 - N to N - 1, [H, 2 N - 1]."""
        unseen = self.sequence - tokens
        return torch.exp(self.distance[:, unseen : self.distance.shape[-1] - unseen])

    def projected(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Features of queries and keys [B, H, N, f], values [B, H, N, c]."""
        q, k, v = (split_heads(layer(x), self.heads) for layer in (self.query, self.key, self.value))
        return self._grown(q), self._grown(k), v

    def _grown(self, x: torch.Tensor) -> torch.Tensor:
        """exp(W x - 1/2) / sqrt(f) of x at length one."""
        directions = self.get_buffer("directions")
        projected = functional.normalize(x, dim=-1) @ directions.transpose(0, 1)
        return torch.exp(projected - 0.5) * directions.shape[0] ** -0.5
