"""cosFormer's attention: rectified queries and keys, weighted by the cosine of how far apart they are.

Qin et al., cosFormer: Rethinking Softmax in Attention, ICLR 2022 (arXiv 2202.08791), equations 9 to 12::

    s_ij = relu(q_i) . relu(k_j) cos(pi (i - j) / (2 N))

which splits into two products of features, since cos(a - b) = cos a cos b + sin a sin b. N is the length.
"""

from __future__ import annotations

from math import pi

import torch

from siliform.models.mixers.kernel import KernelMixer


class CosFormerMixer(KernelMixer):
    """Self-attention of 2 c features: x [B, N, W] -> [B, N, W]."""

    def features(self, q: torch.Tensor, k: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        tokens = q.shape[-2]
        turn = torch.arange(tokens, dtype=q.dtype, device=q.device).unsqueeze(-1) * (pi / (2 * tokens))
        cos, sin = torch.cos(turn), torch.sin(turn)

        def of(x: torch.Tensor) -> torch.Tensor:
            positive = torch.relu(x)
            return torch.cat([positive * cos, positive * sin], dim=-1)

        return of(q), of(k)
