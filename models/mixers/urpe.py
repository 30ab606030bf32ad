"""Universal relative positions: softmax attention whose weights are multiplied by a Toeplitz matrix.

Luo et al., Your Transformer May Not be as Powerful as You Expect, NeurIPS 2022, arXiv 2205.13401, equation 9:
``A = softmax(Q Kᵀ / sqrt(c)) * C`` with ``C[i, j]`` trained for each head and distance i - j. Rows of A need
not sum to one, so that positions can be told apart where all tokens are alike, which no relative bias inside
the softmax can do (their theorem 2). Built here without such a bias beside C. The weights, as many as pairs
of tokens, are written out, as in the authors' form. Shapes: B batch, N tokens, H heads, c their width.
"""

from __future__ import annotations

import torch
from torch import nn

from siliform.models.mixers.softmax import HeadMixer


class URPEMixer(HeadMixer):
    """x [B, N, W] -> [B, N, W] of N = `sequence` tokens, without a causal mask."""

    def __init__(self, width: int, heads: int, sequence: int) -> None:
        super().__init__(width, heads)
        # At distance d = i - j the coefficient of a head stands at d + N - 1.
        self.coefficients = nn.Parameter(torch.ones(heads, 2 * sequence - 1))

    def mixed(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        weights = (q @ k.flip(-2).transpose(-1, -2) * self.head_width**-0.5).softmax(dim=-1)
        # With the keys backwards, row i of C is a window of the coefficients that starts at i: no copy.
        toeplitz = self.coefficients.unfold(-1, k.shape[-2], 1)
        return (weights * toeplitz) @ v.flip(-2)


def explicit_form(mixer: URPEMixer, x: torch.Tensor) -> torch.Tensor:
    """The equation as it is written, with C entry by entry: [B, H, N, c] before the output projection."""
    q, k, v = mixer.projected(x)
    place = torch.arange(x.shape[1])
    entries = mixer.coefficients[:, place.unsqueeze(1) - place + x.shape[1] - 1]
    return ((q @ k.transpose(-1, -2) * mixer.head_width**-0.5).softmax(dim=-1) * entries) @ v
