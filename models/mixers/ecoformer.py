"""EcoFormer's attention: queries and keys are one binary code, and sums over tokens need no multiplier.

Liu et al., EcoFormer: Energy-Saving Attention with Linear Complexity, NeurIPS 2022 (arXiv 2209.09004), with
25 anchors and codes of 16 bits. It is built in its form for inference, as the two ops `hash_codes` and
`hash_attention`; `siliform.models.blocks.hash_attention` has the trained form and the identities.
"""

from __future__ import annotations

from math import exp

import torch
from torch import nn

from siliform.models.blocks.hash_attention import ANCHORS, BITS, HashedAttention
from siliform.models.blocks.heads import split_heads


class EcoFormerMixer(HashedAttention):
    """Self-attention: x [B, N, W] -> [B, N, W], heads of width W / heads, each with anchors of its own.

    Before anything is trained, anchors and weights are normal, the kernel has a variance of c (so that it is
    exp(-1) where a token and an anchor are as far apart as two independent ones) and that mean.
    """

    def __init__(self, width: int, heads: int, anchors: int = ANCHORS, bits: int = BITS) -> None:
        head_width = width // heads
        super().__init__(width, heads, head_width, anchors, bits)
        nn.init.normal_(self.get_buffer("anchors"))
        nn.init.normal_(self.get_buffer("weight"))
        nn.init.constant_(self.get_buffer("rate"), 0.5 / head_width)
        nn.init.constant_(self.get_buffer("means"), exp(-1))

    def explicit(self, x: torch.Tensor) -> torch.Tensor:
        """What `forward` gives, by the similarity of all pairs of codes, ``b_q . b_k + bits + 1``."""
        q, v = (split_heads(part(x), self.heads) for part in (self.query, self.value))
        apart = (q.unsqueeze(-2) - self.get_buffer("anchors").unsqueeze(-3)).square().sum(-1)
        kernel = torch.exp(-self.get_buffer("rate").view(-1, 1, 1) * apart)
        score = (kernel - self.get_buffer("means").unsqueeze(-2)) @ self.get_buffer("weight").transpose(
            -1, -2
        )
        codes = torch.where(score >= 0, 1.0, -1.0).to(x.dtype)
        similarity = codes @ codes.transpose(-1, -2) + codes.shape[-1] + 1
        mixed = similarity @ v / similarity.sum(-1, keepdim=True)
        read: torch.Tensor = self.out(mixed.transpose(1, 2).flatten(2))
        return read
