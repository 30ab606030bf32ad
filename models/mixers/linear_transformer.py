"""The Linear Transformer's attention: features ``elu(x) + 1``.

Katharopoulos et al., Transformers are RNNs, ICML 2020 (arXiv 2006.16236), equation 7. Causal, it is built
in chunks rather than token by token; both are the same sums in another order.
"""

from __future__ import annotations

import torch

from siliform.models.blocks.linear_attention import features
from siliform.models.mixers.kernel import KernelMixer


class LinearTransformerMixer(KernelMixer):
    """Self-attention of as many features as a head is wide: x [B, N, W] -> [B, N, W]."""

    def features(self, q: torch.Tensor, k: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return features(q), features(k)
