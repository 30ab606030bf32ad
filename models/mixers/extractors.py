"""Extractors: attention replaced by causal sums of tokens, weighted by where they stand.

Chen, Attention Is Not All You Need Anymore, arXiv 2308.07661. A token's output is an extraction from the
tokens up to it, adjusted by the token itself::

    y_t = (x_1 A_1 + ... + x_t A_t) * (x_t B + b)

The super high-performance extractor (SHE) has a matrix A_i for each position, the higher-performance one
(HE) a diagonal of it, the worthwhile one (WE) a number, and the minimalist one (ME) a number and no
adjustment. Built with weights by a token's position in the sequence, so that sums run along with the
tokens; where a paper's reader takes positions to be distances from t, each t would have its own sum.
Shapes: B batch, N tokens, W width.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn

#: The four forms, by the weight of a position.
Form = Literal["matrix", "diagonal", "number", "bare"]


class ExtractorMixer(nn.Module):
    """x [B, N, W] -> [B, N, W], N at most `sequence`.

    `form` is "matrix" (SHE), "diagonal" (HE), "number" (WE) or "bare" (ME). There are no heads; `heads` is
    taken so that it is made as every mixer is.
    """

    def __init__(self, width: int, heads: int, sequence: int, form: Form = "matrix") -> None:
        super().__init__()
        shapes = {"matrix": (width, width), "diagonal": (width,), "number": (1,), "bare": (1,)}
        scale = width**-0.5 if form == "matrix" else 1.0
        self.weights = nn.Parameter(torch.randn(sequence, *shapes[form]) * scale)
        self.adjust = None if form == "bare" else nn.Linear(width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weights = self.weights[: x.shape[1]]
        matrices = weights.dim() == 3
        weighted = (x.transpose(0, 1) @ weights).transpose(0, 1) if matrices else x * weights
        extracted = weighted.cumsum(dim=1)
        return extracted if self.adjust is None else extracted * self.adjust(x)
