"""Diffusion transformer (DiT): noise predictor over the latent patches of an image.

Peebles and Xie, Scalable Diffusion Models with Transformers, arXiv 2212.09748. A latent image is cut
into patches; every block is modulated by the time step and the class through shifts, scales and
gates (adaLN-Zero). Shapes: B batch, C channels, S side of the latent, T patches, W width.
"""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional

#: Pixels of the image per element of the latent, on a side (arXiv 2212.09748, section 4).
PIXELS_PER_LATENT = 8


def modulated(x: torch.Tensor, shift: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """x [B, T, W] scaled and shifted by [B, W]."""
    return x * (1 + scale.unsqueeze(1)) + shift.unsqueeze(1)


class StepEmbedding(nn.Module):
    """Time steps [B] -> [B, W]: sines and cosines of 256 wavelengths, then two layers."""

    rates: torch.Tensor

    def __init__(self, width: int, wavelengths: int = 256) -> None:
        super().__init__()
        half = wavelengths // 2
        rates = torch.exp(-math.log(10_000) * torch.arange(half, dtype=torch.float32) / half)
        self.register_buffer("rates", rates, persistent=False)
        self.layers = nn.Sequential(nn.Linear(wavelengths, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, steps: torch.Tensor) -> torch.Tensor:
        angles = steps.unsqueeze(1) * self.rates
        embedded: torch.Tensor = self.layers(torch.cat([torch.cos(angles), torch.sin(angles)], dim=-1))
        return embedded


class Attention(nn.Module):
    """Self-attention over the patches, full, with biases."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, tokens, width = x.shape
        qkv = self.qkv(x).view(batch, tokens, 3, self.heads, width // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        mixed = functional.scaled_dot_product_attention(q, k, v)
        return self.out(mixed.transpose(1, 2).reshape(batch, tokens, width))


class Block(nn.Module):
    """One layer: attention and a four times wider MLP, both modulated and gated by the condition."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(width, elementwise_affine=False, eps=1e-6)
        self.attention: nn.Module = Attention(width, heads)
        self.mlp_norm = nn.LayerNorm(width, elementwise_affine=False, eps=1e-6)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(approximate="tanh"), nn.Linear(4 * width, width)
        )
        self.modulation = nn.Sequential(nn.SiLU(), nn.Linear(width, 6 * width))

    def forward(self, x: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        """x [B, T, W], condition [B, W] -> [B, T, W]."""
        shift_a, scale_a, gate_a, shift_m, scale_m, gate_m = self.modulation(condition).chunk(6, dim=1)
        mixed = self.attention(modulated(self.attention_norm(x), shift_a, scale_a))
        x = x + gate_a.unsqueeze(1) * mixed
        return x + gate_m.unsqueeze(1) * self.mlp(modulated(self.mlp_norm(x), shift_m, scale_m))


class DiT(nn.Module):
    """``forward(latent [B, C, S, S], steps [B], labels [B]) -> [B, 2C, S, S]``: noise and its variance.

    Parameters
    ----------
    image_pixels : side of the image; the latent's is an eighth of it.
    patch : side of a patch of the latent.
    classes : labels; one more stands for "no label" (classifier-free guidance).
    """

    def __init__(
        self, image_pixels: int, patch: int, channels: int, width: int, layers: int, heads: int, classes: int
    ) -> None:
        super().__init__()
        self.side = image_pixels // PIXELS_PER_LATENT
        self.patch, self.channels, self.classes = patch, channels, classes
        self.patches = nn.Conv2d(channels, width, kernel_size=patch, stride=patch)
        self.register_buffer("positions", grid_positions(self.side // patch, width), persistent=False)
        self.step = StepEmbedding(width)
        self.label = nn.Embedding(classes + 1, width)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width, elementwise_affine=False, eps=1e-6)
        self.modulation = nn.Sequential(nn.SiLU(), nn.Linear(width, 2 * width))
        self.out = nn.Linear(width, patch * patch * 2 * channels)

    def forward(self, latent: torch.Tensor, steps: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        x = self.patches(latent).flatten(2).transpose(1, 2) + self.positions
        condition = self.step(steps) + self.label(labels)
        for block in self.blocks:
            x = block(x, condition)
        shift, scale = self.modulation(condition).chunk(2, dim=1)
        return self._image(self.out(modulated(self.norm(x), shift, scale)))

    def _image(self, x: torch.Tensor) -> torch.Tensor:
        """Patches [B, T, patch * patch * 2C] back in their places: [B, 2C, S, S]."""
        across = self.side // self.patch
        x = x.view(-1, across, across, self.patch, self.patch, 2 * self.channels)
        return x.permute(0, 5, 1, 3, 2, 4).reshape(-1, 2 * self.channels, self.side, self.side)


def grid_positions(across: int, width: int) -> torch.Tensor:
    """Fixed position embeddings [1, across * across, width]: sines and cosines of column, then row."""
    rates = 1.0 / 10_000 ** (torch.arange(width // 4, dtype=torch.float32) / (width // 4))
    line = torch.arange(across, dtype=torch.float32)
    column, row = line.repeat(across), line.repeat_interleave(across)
    angles = [axis.unsqueeze(1) * rates for axis in (column, row)]
    return torch.cat([wave for a in angles for wave in (torch.sin(a), torch.cos(a))], dim=1).unsqueeze(0)
