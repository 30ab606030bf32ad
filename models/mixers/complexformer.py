"""ComplexFormer's attention: queries and keys as complex numbers whose angles each head reads in its own way.

ComplexFormer: Disruptively Advancing Transformer Inference Ability via Head-Specific Complex
Vector Attention, arXiv 2505.10222, section 3. Pairs of a head's numbers are complex numbers in polar form,
r exp(i phi); the score of a query at m and a key at n adds over pairs j::

    r_q r_k cos(a (phi_q - phi_k) + b + (m - n) theta_j)

where a and b are trained for each head and theta are rotary frequencies. The paper leaves the adaptation of
the difference of angles open to any map of a head; it is built here as this affine one, which splits into a
term of the query and one of the key, so that scores remain products of c numbers. With a = 1 and b = 0 it is
rotary attention. Shapes: B batch, N tokens, H heads, c width of a head.
"""

from __future__ import annotations

import torch
from torch import nn

from siliform.models.blocks.rotary import ROTARY_BASE, angles, frequencies
from siliform.models.mixers.softmax import HeadMixer


class ComplexMixer(HeadMixer):
    """Self-attention, x [B, N, W] -> [B, N, W]."""

    def __init__(
        self, width: int, heads: int, causal: bool = False, rotary_base: float = ROTARY_BASE
    ) -> None:
        super().__init__(width, heads, causal=causal)
        self.rotary_base = rotary_base
        self.slope = nn.Parameter(torch.ones(heads, 1, 1))
        self.offset = nn.Parameter(torch.zeros(heads, 1, 1))

    def projected(self, x: torch.Tensor, first: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        q, k, v = super().projected(x, first)
        place = angles(x.shape[1], frequencies(self.head_width, self.rotary_base, x), first)
        return self._placed(q, place + self.offset), self._placed(k, place), v

    def _placed(self, x: torch.Tensor, place: torch.Tensor) -> torch.Tensor:
        """x [B, H, N, c] with the angle of each pair scaled and moved by `place` [(H,) N, c/2]."""
        length, angle = polar(x)
        angle = self.slope * angle + place
        return torch.cat([length * angle.cos(), length * angle.sin()], dim=-1)


def polar(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Lengths and angles [..., c/2] of the pairs (i, i + c/2) of x [..., c]."""
    half = x.shape[-1] // 2
    real, imaginary = x[..., :half], x[..., half:]
    return (real * real + imaginary * imaginary).sqrt(), torch.atan2(imaginary, real)


def explicit_scores(mixer: ComplexMixer, x: torch.Tensor) -> torch.Tensor:
    """The scores [B, H, N, N] as the equation writes them, pair of tokens by pair of tokens."""
    q, k, _ = HeadMixer.projected(mixer, x)
    (length_q, angle_q), (length_k, angle_k) = polar(q), polar(k)
    place = torch.arange(x.shape[1], dtype=x.dtype)
    apart = (place.unsqueeze(1) - place).unsqueeze(-1) * frequencies(mixer.head_width, mixer.rotary_base, x)
    slope, offset = mixer.slope.unsqueeze(-1), mixer.offset.unsqueeze(-1)
    between = slope * (angle_q.unsqueeze(3) - angle_k.unsqueeze(2)) + offset + apart
    return (length_q.unsqueeze(3) * length_k.unsqueeze(2) * between.cos()).sum(-1)
