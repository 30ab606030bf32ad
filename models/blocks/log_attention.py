"""Softmax attention with probabilities in codes of a logarithm: its second product is made of shifts.

- base two (``log2_4``): ``q = clamp(round(-log2(p)), 0, 15)`` means ``2**-q`` (Li et al., RepQ-ViT, ICCV
  2023, equation 6, and RepQuant, arXiv 2402.05628). RepQuant calibrates in base sqrt 2 and re-parameterises
  to base two: a code's parity selects one of two scales, by `siliform.models.quantise.repquant.to_log2`;
- base ``2**(q0 / 37)`` (``adalog<q0>_4``): a shift and a factor from a table of 16 (Wu et al., AdaLog, ECCV
  2024).

A graph gets the codes from the policy in the attribute `bits`; the module itself rounds only where it is
told to. Shapes: B batch, N tokens, W width of the stream, H heads, c width of a head.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional

from siliform.models.blocks.channels import MLP
from siliform.models.blocks.heads import ProjectedAttention
from siliform.models.quantise.adalog import GELU_SHIFT
from siliform.models.quantise.reparameterise import absorb_shift


def ask(module: nn.Module, bits: str) -> None:
    """Give a module a quantisation policy of its own, which a trace by `build_graph` assigns."""
    module.__dict__["bits"] = bits


class LogMix(nn.Module):
    """``codes(softmax(q kᵀ / sqrt(c))) v`` of q, k, v [B, H, N, c].

    Parameters
    ----------
    logarithm : format of the probabilities, such as ``log2_4``.
    operands : element format of q, k and v.

    `codes`, where given, rounds probabilities to the values of their codes.
    """

    def __init__(self, logarithm: str, operands: str) -> None:
        super().__init__()
        self.bits = f"{logarithm}*{operands}"
        self.codes: Callable[[torch.Tensor], torch.Tensor] | None = None

    def forward(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        if self.codes is None:
            return functional.scaled_dot_product_attention(q, k, v)
        scores = q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5
        return self.codes(scores.softmax(-1)) @ v


class LogAttention(ProjectedAttention):
    """Self-attention with biases: x [B, N, W] -> [B, N, W]."""

    def __init__(self, width: int, heads: int, logarithm: str, operands: str) -> None:
        super().__init__(width, heads, width // heads, LogMix(logarithm, operands))


class ShiftedGELU(nn.Module):
    """``gelu(x) + 0.17``, which is never negative, as a logarithm needs it."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.gelu(x) + GELU_SHIFT


class LogMLP(MLP):
    """An MLP whose second layer reads codes of a logarithm: x [B, N, W] -> [B, N, W].

    The GELU's result is shifted above zero, and the second layer's bias takes the shift off again (AdaLog,
    section 3.3). `of` makes one from an MLP with the same function.

    Parameters
    ----------
    logarithm : format of what the second layer reads, such as ``adalog20_4``.
    weights : element format of its weights.
    """

    def __init__(self, width: int, inner: int, logarithm: str, weights: str) -> None:
        super().__init__(width, inner, ShiftedGELU)
        ask(self.down, f"{logarithm}*{weights}")

    @classmethod
    def of(cls, mlp: MLP, logarithm: str, weights: str) -> LogMLP:
        """The same function of real numbers."""
        made = cls(mlp.up.in_features, mlp.up.out_features, logarithm, weights).to(mlp.up.weight)
        made.load_state_dict(mlp.state_dict())
        absorb_shift(made.down, GELU_SHIFT)
        return made
