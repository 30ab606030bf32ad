"""Scales and shifts moved from activations into the layers about them; the function of reals stays.

- `fold_norm`: scales per channel behind a LayerNorm go into its affine and into the linear layers behind
  (RepQuant, arXiv 2402.05628, section 3.2);
- `absorb_shift`: a number added to a layer's input comes off its bias (AdaLog, ECCV 2024, section 3.3);
- `smooth`: magnitudes of activations go into weights, where they do less harm (SmoothQuant, arXiv
  2211.10438).

All change the modules that they are given, in place.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from siliform.graph_ir.errors import UserError
from siliform.models.quantise.repquant import ChannelScales, fold

#: How much of an activation's magnitude goes into weights (arXiv 2211.10438, section 4: 0.5 for most models).
MIGRATION = 0.5

_LEAST = 1e-5  # assumption: a channel below this is zero, and is left alone


@torch.no_grad()
def fold_norm(norm: nn.LayerNorm, readers: Sequence[nn.Linear], channels: ChannelScales) -> float:
    """Fold scales per channel behind `norm` into its affine and `readers`; the one scale that is left.

    `readers` are all that reads the norm's result; each has a bias.
    """
    gain, shift = (part.double().numpy() for part in _affine(norm))
    made = fold(
        channels,
        gain,
        shift,
        tuple(reader.weight.double().numpy() for reader in readers),
        tuple(_bias(reader).double().numpy() for reader in readers),
    )
    _set(norm.weight, made.gain)
    _set(norm.bias, made.shift)
    for reader, weight, bias in zip(readers, made.weights, made.biases, strict=True):
        _set(reader.weight, weight)
        _set(_bias(reader), bias)
    return made.scale


@torch.no_grad()
def absorb_shift(reader: nn.Linear, shift: float) -> None:
    """Take off the bias what `shift`, added to every input of `reader`, adds to its result."""
    bias = _bias(reader)
    bias -= shift * reader.weight.double().sum(1).to(bias)


def smoothing_scales(
    activation: torch.Tensor, weights: Sequence[torch.Tensor], migration: float = MIGRATION
) -> torch.Tensor:
    """``max|x_j|^m / max|w_j|^(1 - m)`` of each input channel j, float64 [in] (arXiv 2211.10438, equation 4).

    Parameters
    ----------
    activation : greatest magnitude of each channel, [in].
    weights : of every layer that reads it, [out, in] each.
    """
    known = activation.double().clamp(min=_LEAST)
    greatest = torch.stack([weight.detach().double().abs().amax(0) for weight in weights]).amax(0)
    return known**migration / greatest.clamp(min=_LEAST) ** (1 - migration)


@torch.no_grad()
def smooth(
    norm: nn.LayerNorm | nn.RMSNorm,
    readers: Sequence[nn.Linear],
    activation: torch.Tensor,
    migration: float = MIGRATION,
) -> torch.Tensor:
    """Divide what `norm` gives by `smoothing_scales` and multiply the readers' weights; the scales, [in].

    `readers` are all that reads the norm's result.
    """
    scales = smoothing_scales(activation, [reader.weight for reader in readers], migration)
    for part in (norm.weight, getattr(norm, "bias", None)):
        if part is not None:
            part /= scales.to(part)
    for reader in readers:
        reader.weight *= scales.to(reader.weight)
    return scales


def _affine(norm: nn.LayerNorm) -> tuple[torch.Tensor, torch.Tensor]:
    if norm.weight is None or norm.bias is None:
        raise UserError(
            asked="scales folded into a LayerNorm",
            found="a LayerNorm without weights of its own",
            where="models/quantise",
            next_step="make it with elementwise_affine=True",
        )
    return norm.weight, norm.bias


def _bias(reader: nn.Linear) -> torch.Tensor:
    if reader.bias is None:
        raise UserError(
            asked="a shift taken off the bias of a linear layer",
            found=f"a layer {reader.in_features} -> {reader.out_features} without a bias",
            where="models/quantise",
            next_step="make it with bias=True; a bias of zeros changes nothing",
        )
    bias: torch.Tensor = reader.bias
    return bias


def _set(parameter: torch.Tensor, values: np.ndarray) -> None:
    parameter.copy_(torch.from_numpy(values).to(parameter))
