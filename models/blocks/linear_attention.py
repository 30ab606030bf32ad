"""Linear attention: a kernel in place of softmax, so that its sum over keys is taken once for all queries.

Katharopoulos et al., Transformers are RNNs: Fast Autoregressive Transformers with Linear Attention, ICML
2020 (arXiv 2006.16236), equations 4 to 7, in its form without a causal mask. With the feature map
``phi(x) = elu(x) + 1``, which is positive::

    y_i = sum_j (phi(q_i) . phi(k_j)) v_j / sum_j phi(q_i) . phi(k_j)
        = phi(q_i) (sum_j phi(k_j) v_jᵀ) / (phi(q_i) . sum_j phi(k_j))

The second line needs N c² multiplications where the first needs N² c. Shapes: B batch, N tokens, W width
of the stream, H heads, c width of a head.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from siliform.models.blocks.heads import Product, ProjectedAttention

#: Added to the normaliser, which is positive, so that it stays so where a feature rounds to zero.
TINY = 1e-6  # the authors' default (fast-transformers, LinearAttention, eps)


def features(x: torch.Tensor) -> torch.Tensor:
    """``elu(x) + 1``, equation 7: positive, so that similarities are."""
    return functional.elu(x) + 1


def quadratic_form(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """The first line of the identity above, for comparison: q, k, v [B, H, N, c] -> [B, H, N, c]."""
    similarity = features(q) @ features(k).transpose(-1, -2)
    return similarity @ v / (similarity.sum(-1, keepdim=True) + TINY)


class LinearMix(nn.Module):
    """The second line: q, k, v [B, H, N, c] -> [B, H, N, c].

    The two products are modules; the normaliser, a sum per query, stays beside them in wide numbers.
    """

    def __init__(self) -> None:
        super().__init__()
        self.context = Product()
        self.read = Product()

    def forward(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        q, k = features(q), features(k)
        mixed = self.read(q, self.context(k.transpose(-1, -2), v))
        total = (q * k.sum(-2, keepdim=True)).sum(-1, keepdim=True)
        normalised: torch.Tensor = mixed / (total + TINY)
        return normalised


class LinearAttention(ProjectedAttention):
    """Self-attention with biases: x [B, N, W] -> [B, N, W]."""

    def __init__(self, width: int, heads: int, head_width: int) -> None:
        super().__init__(width, heads, head_width, LinearMix())
