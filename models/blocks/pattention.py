"""Parameters as tokens: a linear layer replaced by attention to trained keys and values.

Wang et al., TokenFormer: Rethinking Transformer Scaling with Tokenized Model Parameters, arXiv 2410.23168,
equations 4 and 5::

    y = GELU(A sqrt(n) / |A|) V        A = x Kᵀ, |A| the length of its row

The length of a row does not change, and GELU of zero is zero, so that keys of zeros can be added to a trained
layer without changing what it computes as long as sqrt(n) stays what it was. Shapes: n parameter tokens, I
inputs, O outputs.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional


class Pattention(nn.Module):
    """x [..., I] -> [..., O] through `tokens` trained pairs of a key [I] and a value [O]."""

    def __init__(self, inputs: int, outputs: int, tokens: int) -> None:
        super().__init__()
        self.keys = nn.Parameter(torch.randn(tokens, inputs) * inputs**-0.5)
        self.values = nn.Parameter(torch.randn(outputs, tokens) * tokens**-0.5)
        self.scale = tokens**0.5

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scores = functional.linear(x, self.keys)
        length = torch.linalg.vector_norm(scores, dim=-1, keepdim=True)
        return functional.linear(functional.gelu(scores * (self.scale / length)), self.values)

    def grown(self, tokens: int) -> Pattention:
        """The same layer with `tokens` more, whose keys are zeros (section 3.3)."""
        outputs, held = self.values.shape
        larger = Pattention(self.keys.shape[1], outputs, held + tokens).to(self.keys)
        with torch.no_grad():
            larger.keys.zero_()
            larger.keys[:held] = self.keys
            larger.values[:, :held] = self.values
        larger.scale = self.scale
        return larger
