"""InLine attention: linear attention that stays injective, with a residual of each token's neighbours.

Han et al., Bridging the Divide: Reconsidering Softmax and Linear Attention, NeurIPS 2024 (arXiv
2412.06590), equations 5 to 7. Weights are normalised by subtraction, so that they sum to one without a
quotient::

    a_ij = s (q_i . k_j - q_i . mean(k)) / N + 1 / N,    s = 1 / sqrt(c)

with the identity as features, as in the authors' program. What each token's 3 x 3 neighbours add has
weights from the mean of all tokens, a small network of each head. Tokens are those of a square map: N = S².
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from siliform.models.blocks.grids import side_of
from siliform.models.blocks.heads import merge_heads, split_heads

#: Neighbours of a token, itself included (arXiv 2412.06590, section 4.2).
SIDE = 3


class InLineMixer(nn.Module):
    """Self-attention: x [B, S², W] -> [B, S², W]."""

    def __init__(self, width: int, heads: int, bias: bool = False) -> None:
        super().__init__()
        self.heads, self.scale = heads, (width // heads) ** -0.5
        self.query = nn.Linear(width, width, bias=bias)
        self.key = nn.Linear(width, width, bias=bias)
        self.value = nn.Linear(width, width, bias=bias)
        self.residual = nn.Sequential(
            nn.Conv1d(width, width, 1, groups=heads),
            nn.GELU(),
            nn.Conv1d(width, width * SIDE**2, 1, groups=heads),
        )
        self.out = nn.Linear(width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = self.projected(x)
        q = q * self.scale
        value, near = v.mean(-2, keepdim=True), 1 - q @ k.mean(-2, keepdim=True).transpose(-1, -2)
        mixed = q @ (k.transpose(-1, -2) @ v / x.shape[1]) + near * value
        projected: torch.Tensor = self.out(merge_heads(mixed) + self.neighbours(x, v))
        return projected

    def explicit(self, x: torch.Tensor) -> torch.Tensor:
        """What `forward` gives, by the weights of all pairs of tokens."""
        projected: torch.Tensor = self.out(
            merge_heads(self.weights(x) @ self.projected(x)[2]) + self.neighbours(x, self.projected(x)[2])
        )
        return projected

    def weights(self, x: torch.Tensor) -> torch.Tensor:
        """[B, H, N, N]; each row sums to one."""
        q, k, _ = self.projected(x)
        scores = q @ k.transpose(-1, -2) * self.scale
        return (scores - scores.mean(-1, keepdim=True) + 1) / x.shape[1]

    def neighbours(self, x: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        """The residual [B, N, W] of values v [B, H, N, c]."""
        batch, tokens, width = x.shape
        side = side_of(tokens)
        kernel = self.residual(x.mean(1).unsqueeze(-1)).view(batch * width, 1, SIDE, SIDE)
        image = merge_heads(v).transpose(1, 2).reshape(1, batch * width, side, side)
        near = functional.conv2d(image, kernel, padding=SIDE // 2, groups=batch * width)
        return near.view(batch, width, tokens).transpose(1, 2)

    def projected(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Queries, keys and values [B, H, N, c]."""
        q, k, v = (split_heads(layer(x), self.heads) for layer in (self.query, self.key, self.value))
        return q, k, v
