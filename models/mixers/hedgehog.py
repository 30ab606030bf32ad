"""Hedgehog's attention: features learned to mimic softmax, spiky and monotonic as its weights are.

Zhang et al., The Hedgehog & the Porcupine, ICLR 2024 (arXiv 2402.04347), section 4.2: one linear layer a
head, for queries and for keys, and the softmax of its results and of their negatives over the features, the
stable form of the authors' program.
"""

from __future__ import annotations

import torch

from siliform.models.blocks.heads import HeadLinear
from siliform.models.mixers.kernel import KernelMixer


class HedgehogMixer(KernelMixer):
    """Self-attention of 2 c features: x [B, N, W] -> [B, N, W]; chunks by `KernelMixer`'s assumption."""

    def __init__(
        self, width: int, heads: int, causal: bool = False, chunk: int = 64, bias: bool = False
    ) -> None:
        super().__init__(width, heads, causal, chunk, bias)
        self.query_map = HeadLinear(heads, self.head_width, self.head_width)
        self.key_map = HeadLinear(heads, self.head_width, self.head_width)

    def features(self, q: torch.Tensor, k: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return _spiky(self.query_map(q)), _spiky(self.key_map(k))


def _spiky(x: torch.Tensor) -> torch.Tensor:
    """[..., c] -> [..., 2 c]: two rows of positive numbers, each of sum one."""
    return torch.cat([torch.softmax(x, dim=-1), torch.softmax(-x, dim=-1)], dim=-1)
