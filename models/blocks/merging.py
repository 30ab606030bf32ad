"""A block whose tokens stand for several of the input each, and its attention, which counts them so.

Bolya et al., ToMe, arXiv 2210.09461, section 3. Shapes: B batch, N tokens, W width, H heads, c = W / H.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional

from siliform.models.blocks.channels import MLP
from siliform.models.blocks.heads import merge_heads, split_heads
from siliform.models.blocks.transformer import Norm


class ProportionalAttention(nn.Module):
    """``softmax(q kᵀ / sqrt(c) + log size) v`` of x [B, N, W] and sizes [B, N, 1]: what copies would give.

    Returns what it mixed [B, N, W], and as `evidence` the "keys" [B, H, N, c], or "keys_and_class_attention":
    them and the attention of the first token [B, N], a mean over heads.
    """

    def __init__(self, width: int, heads: int, evidence: str = "keys") -> None:
        super().__init__()
        self.heads, self.evidence = heads, evidence
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.out = nn.Linear(width, width)

    def forward(self, x: torch.Tensor, size: torch.Tensor) -> tuple[torch.Tensor, Any]:
        q, k, v = (split_heads(layer(x), self.heads) for layer in (self.query, self.key, self.value))
        mixed = self.out(merge_heads(self.mixed(q, k, v, size)))
        if self.evidence == "keys":
            return mixed, k
        scores = q[:, :, :1] @ k.transpose(-1, -2) * q.shape[-1] ** -0.5 + _more(size)
        return mixed, (k, scores.softmax(dim=-1).mean(dim=1).squeeze(1))

    def mixed(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, size: torch.Tensor) -> torch.Tensor:
        """q, k, v [B, H, N, c] -> [B, H, N, c]."""
        return functional.scaled_dot_product_attention(q, k, v, _more(size))


def _more(size: torch.Tensor) -> torch.Tensor:
    """What the scores of tokens of these sizes [B, N, 1] are raised by, [B, 1, 1, N]."""
    return size.log().transpose(1, 2).unsqueeze(1)


class MergingBlock(nn.Module):
    """Attention, merging, MLP: x [B, N, W] and sizes [B, N, 1] -> the same of N' tokens.

    `reducer` is called as ``reducer(x, evidence, size)`` with the evidence that the mixer gives; without one
    the tokens stay as many.
    """

    def __init__(
        self,
        width: int,
        mixer: ProportionalAttention,
        inner: int,
        reducer: nn.Module | None,
        norm: Norm,
    ) -> None:
        super().__init__()
        self.mixer_norm, self.mixer = norm(width), mixer
        self.reducer = reducer
        self.channel_norm, self.channel = norm(width), MLP(width, inner)

    def forward(self, x: torch.Tensor, size: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        mixed, evidence = self.mixer(self.mixer_norm(x), size)
        x = x + mixed
        if self.reducer is not None:
            x, size = self.reducer(x, evidence, size)
        return x + self.channel(self.channel_norm(x)), size
