"""Dynamic spectrum mixer (DSM): tokens meet in the frequencies of a cosine transform, weighted by the image.

Dynamic Spectrum Mixer for Visual Recognition, arXiv 2309.06721. A square map goes through a
two-dimensional cosine transform, its frequencies are multiplied by weights that an MLP makes of the mean
token, one for each band and channel, and go back::

    y = IDCT(DCT(x) * w[band(u, v)]) P        w = sigmoid(MLP(mean of x))

so that the work between tokens is O(N log N). Bands are built as equal steps of u + v, the order in which
JPEG scans its coefficients, and the weights as numbers between 0 and 1. Shapes: B batch, N tokens, W width,
S side of the map of N = S² tokens, K bands.
"""

from __future__ import annotations

import torch
from torch import nn

from siliform.kernels import dct
from siliform.models.blocks.channels import MLP
from siliform.models.blocks.grids import side_of


class DynamicSpectrumMixer(nn.Module):
    """x [B, N, W] -> [B, N, W], N a square number. It has no heads.

    Parameters
    ----------
    width, heads : W; heads are those of other mixers.
    bands : K (assumption: 8, as many as a block of JPEG has frequencies along a side).
    reduction : W over the width inside the MLP (assumption: 4, so that its share of the work stays small).
    """

    def __init__(self, width: int, heads: int, bands: int = 8, reduction: int = 4) -> None:
        super().__init__()
        self.bands = bands
        self.generate = MLP(width, width // reduction)
        self.generate.down = nn.Linear(width // reduction, bands * width)
        self.out = nn.Linear(width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        side = side_of(x.shape[1])
        weights = self.weights(x)[:, bands_of(side, self.bands, x.device)]  # [B, N, W]
        spectrum = dct(dct(x.unflatten(1, (side, side)), axis=1), axis=2).flatten(1, 2) * weights
        mixed = dct(dct(spectrum.unflatten(1, (side, side)), axis=1, inverse=True), axis=2, inverse=True)
        projected: torch.Tensor = self.out(mixed.flatten(1, 2))
        return projected

    def weights(self, x: torch.Tensor) -> torch.Tensor:
        """[B, K, W] of the mean token."""
        return torch.sigmoid(self.generate(x.mean(1))).unflatten(1, (self.bands, -1))


def bands_of(side: int, bands: int, device: torch.device | str = "cpu") -> torch.Tensor:
    """The band of each frequency (u, v) of a square map, row by row, [N]: ``(u + v) bands / (2 S - 1)``."""
    line = torch.arange(side, device=device)
    return ((line.unsqueeze(1) + line) * bands // (2 * side - 1)).flatten()
