"""SOFT: attention by a Gaussian kernel, low-rank by landmarks and an iterated inverse, without softmax.

Lu et al., SOFT: Softmax-free Transformer with Linear Complexity, NeurIPS 2021 (arXiv 2110.11945), equations
5 to 8. Queries and keys are one projection; landmarks are made of it by a strided convolution without
overlap, a norm and GELU. With G(a, b) = exp(-|a - b|² / (2 sqrt(c)))::

    y = P A⁻¹ Pᵀ v,    P = G(q, landmarks) [N, m],    A = G(landmarks, landmarks) [m, m]

The inverse is 20 steps of Newton and Raphson, ``X <- 2 X - X A X``, from a small multiple of A; as in the
authors' program 0.01 is added to the diagonal of A. A stride that leaves m near 49, the paper's, is taken
from the length that a layer is made for. Tokens are those of a square map: N = S². Shapes: B batch, W width
of the stream, H heads, c width of a head, m landmarks.
"""

from __future__ import annotations

import torch
from torch import nn

from siliform.models.blocks.grids import side_of
from siliform.models.blocks.heads import merge_heads, split_heads

LANDMARK_SIDE = 7  # of a map of 49 landmarks, arXiv 2110.11945, section 4.1
STEPS = 20  # arXiv 2110.11945, section 3.3
RIDGE = 0.01  # the authors' program (fudan-zvg/SOFT, inverse.py)
CAUTION = 0.9  # of the largest first step that converges; ibid.


def gaussian(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """exp(-|a_i - b_j|² / 2): [..., n, c] and [..., m, c] -> [..., n, m]."""
    lengths = a.square().sum(-1).unsqueeze(-1) + b.square().sum(-1).unsqueeze(-2)
    return torch.exp(a @ b.transpose(-1, -2) - lengths / 2)


def inverse(a: torch.Tensor, steps: int) -> torch.Tensor:
    """About the inverse of a + RIDGE, a [..., m, m] symmetric and positive."""
    found = 2 * CAUTION / a.sum(-1, keepdim=True).amax(-2, keepdim=True).square() * a
    ridged = a + RIDGE * torch.eye(a.shape[-1], dtype=a.dtype, device=a.device)
    for _ in range(steps):
        found = 2 * found - found @ ridged @ found
    return found


class SoftMixer(nn.Module):
    """Self-attention: x [B, S², W] -> [B, S², W], S² tokens being `sequence`."""

    def __init__(
        self,
        width: int,
        heads: int,
        sequence: int = 1024,
        landmark_side: int = LANDMARK_SIDE,
        steps: int = STEPS,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.heads, self.steps, self.side = heads, steps, side_of(sequence)
        head_width = width // heads
        stride = max(self.side // landmark_side, 1)
        self.query = nn.Linear(width, width, bias=bias)
        self.value = nn.Linear(width, width, bias=bias)
        self.landmarks = nn.Conv2d(head_width, head_width, stride, stride, bias=False)
        self.landmark_norm = nn.Sequential(nn.LayerNorm(head_width), nn.GELU())
        self.out = nn.Linear(width, width, bias=bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, v = (split_heads(layer(x), self.heads) for layer in (self.query, self.value))
        q = q * q.shape[-1] ** -0.25
        landmarks = self.sampled(q)
        near = gaussian(q, landmarks)
        core = inverse(gaussian(landmarks, landmarks), self.steps)
        mixed = near @ (core @ (near.transpose(-1, -2) @ v))
        projected: torch.Tensor = self.out(merge_heads(mixed))
        return projected

    def sampled(self, q: torch.Tensor) -> torch.Tensor:
        """Landmarks [B, H, m, c] of q [B, H, N, c]."""
        image = q.transpose(-1, -2).reshape(-1, q.shape[-1], self.side, self.side)
        found: torch.Tensor = self.landmark_norm(self.landmarks(image).flatten(2).transpose(1, 2))
        return found.unflatten(0, (q.shape[0], self.heads))
