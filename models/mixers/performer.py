"""The Performer's attention (FAVOR+): positive random features whose inner product is exp(q . k) on average.

Choromanski et al., Rethinking Attention with Performers, ICLR 2021 (arXiv 2009.14794), section 2.3,
equation 7::

    phi(x) = exp(W x - |x|² / 2) / sqrt(m),   rows of W normal, those of a block orthogonal

of queries and keys over c^(1/4), so that the scores are those of softmax attention. As in the authors'
program the exponents are shifted by their largest, of each query and of all keys, which the quotient
cancels, and EPSILON is added. The features are drawn once. Shapes: m random features.
"""

from __future__ import annotations

import torch
from torch import nn

from siliform.models.mixers.kernel import KernelMixer

FEATURES = 256  # arXiv 2009.14794, section 4
EPSILON = 1e-4  # the authors' numerical stabilizer (google-research/performer, fast_attention)


def orthogonal_rows(count: int, width: int) -> torch.Tensor:
    """[count, width]: rows orthogonal within each block of `width`, as long as normal ones would be."""
    blocks = [nn.init.orthogonal_(torch.empty(width, width)) for _ in range(-(-count // width))]
    return torch.cat(blocks)[:count] * torch.randn(count, width).norm(dim=-1, keepdim=True)


class PerformerMixer(KernelMixer):
    """Self-attention of m features: x [B, N, W] -> [B, N, W]; all heads share the directions.

    Chunks are those of `KernelMixer`, an assumption as there.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        features: int = FEATURES,
        causal: bool = False,
        chunk: int = 64,
        bias: bool = False,
    ) -> None:
        super().__init__(width, heads, causal, chunk, bias)
        self.register_buffer("directions", orthogonal_rows(features, self.head_width))

    def features(self, q: torch.Tensor, k: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        (raised_q, largest_q), (raised_k, largest_k) = self._exponents(q, (-1,)), self._exponents(k, (-1, -2))
        return self._grown(raised_q - largest_q), self._grown(raised_k - largest_k)

    def _exponents(self, x: torch.Tensor, of: tuple[int, ...]) -> tuple[torch.Tensor, torch.Tensor]:
        x = x * self.head_width**-0.25
        projected = x @ self.get_buffer("directions").transpose(0, 1)
        return projected - x.square().sum(-1, keepdim=True) / 2, projected.amax(of, keepdim=True)

    def _grown(self, exponents: torch.Tensor) -> torch.Tensor:
        return (torch.exp(exponents) + EPSILON) * self.get_buffer("directions").shape[0] ** -0.5
