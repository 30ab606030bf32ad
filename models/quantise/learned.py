"""Quantisers whose scales, and thresholds, are trained with the network: LSQ and elastic binarisation.

A rounding has no gradient and is passed straight through (Bengio et al., arXiv 1308.3432). With that,
scales have gradients of their own, which the papers write out and which follow here from the forms below:

- LSQ (Esser et al., Learned Step Size Quantization, arXiv 1902.08153): ``s round(clip(x / s, low, high))``
  with ``d/ds = round(x / s) - x / s`` inside and `low` or `high` outside, and ``d/dx = 1`` inside and 0
  outside;
- elastic binarisation (Liu et al., BiT, arXiv 2205.13016, section 3.1), scale a and threshold b: of data
  that is never negative ``a round(clip((x - b) / a, 0, 1))``, of other ``a sign(x - b)``, whose ``d/da`` is
  the sign.

A scale's gradient is multiplied by ``1 / sqrt(n high)``, n the values that share it, so that it moves as
fast as a weight does (LSQ, section 2.2). What shares a scale is said by a format, see
`siliform.models.quantise.scales`.
"""

from __future__ import annotations

from math import prod, sqrt
from typing import Literal

import torch
from torch import nn

from siliform.graph_ir.errors import UserError
from siliform.graph_ir.formats import Scaled, format_named

#: A scale is never less than this (the authors' code of BiT, utils_quant.py, eps).
_LEAST = 1e-5


def spread(scale: torch.Tensor, format: Scaled, shape: tuple[int, ...]) -> torch.Tensor:
    """Scales, of the shape `Scaled.scale_shape` gives, shaped to broadcast against a tensor of `shape`."""
    if format.granularity == "tensor":
        return scale
    if format.granularity == "channel":
        return scale.reshape([-1 if axis == format.size else 1 for axis in range(len(shape))])
    return scale.repeat_interleave(format.size, dim=-1)[..., : shape[-1]]


class LearnedStep(nn.Module):
    """LSQ: x of a fixed shape -> the same shape, on the levels of an integer format times learned scales.

    Parameters
    ----------
    format : an integer with scales, such as ``int4@tensor`` or ``int4@channel0``.
    sample : the weight, or an activation, that scales begin with: ``2 mean|x| / sqrt(high)`` (section 2.1).
    """

    def __init__(self, format: str, sample: torch.Tensor) -> None:
        super().__init__()
        self.format = _scaled(format)
        self.low, self.high = float(self.format.min), float(self.format.max)
        size = _means(sample.detach().abs(), self.format)
        self.scale = nn.Parameter((2 * size / sqrt(self.high)).clamp(min=_LEAST))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scale = _scaled_gradient(self.scale.clamp(min=_LEAST), x, self.high)
        step = spread(scale, self.format, tuple(x.shape))
        return _straight(torch.clamp(x / step, self.low, self.high), torch.round) * step


class ElasticBinary(nn.Module):
    """Elastic binarisation: x of a fixed shape -> the same shape, of two values each.

    Parameters
    ----------
    form : "signs" for ``a {-1, 1}``, "zero-one" for ``a {0, 1}`` of data that is never negative.
    sample : what scales begin with: the mean magnitude of what a sign stands for, which is its least
        squared error (XNOR-Net, ECCV 2016), or twice the mean, which is the greatest value of uniform data.
        Thresholds begin at 0.
    sharing : what shares a scale and a threshold: "tensor", "channel0", "block32" and so on.
    """

    def __init__(
        self, form: Literal["signs", "zero-one"], sample: torch.Tensor, sharing: str = "tensor"
    ) -> None:
        super().__init__()
        self.form = form
        format = format_named(f"{'binary' if form == 'signs' else 'binary01'}@{sharing}")
        assert isinstance(format, Scaled)
        self.format = format
        size = _means(sample.detach().abs(), format)
        self.scale = nn.Parameter((size if form == "signs" else 2 * size).clamp(min=_LEAST))
        self.threshold = nn.Parameter(torch.zeros_like(self.scale))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        shape = tuple(x.shape)
        scale = spread(_scaled_gradient(self.scale.clamp(min=_LEAST), x, 1.0), self.format, shape)
        moved = x - spread(self.threshold, self.format, shape)
        if self.form == "signs":
            inside = torch.clamp(moved / scale.detach(), -1, 1)
            return _straight(inside, lambda v: torch.where(v >= 0, 1.0, -1.0).to(v)) * scale
        return _straight(torch.clamp(moved / scale, 0, 1), torch.round) * scale


def _straight(x: torch.Tensor, rounding: object) -> torch.Tensor:
    """The rounding forwards and the identity backwards."""
    return x + (rounding(x) - x).detach()  # type: ignore[operator]


def _scaled_gradient(scale: torch.Tensor, x: torch.Tensor, high: float) -> torch.Tensor:
    """The scale itself, with a gradient ``1 / sqrt(n high)`` as large."""
    share = 1 / sqrt(x.numel() / scale.numel() * high)
    return scale * share + (scale - scale * share).detach()


def _means(size: torch.Tensor, format: Scaled) -> torch.Tensor:
    """Means over what shares a scale, of the shape of the scales."""
    shape = tuple(size.shape)
    if format.granularity == "tensor":
        return size.mean()
    if format.granularity == "channel":
        return size.movedim(format.size, 0).flatten(1).mean(1)
    known = format.scale_shape(shape)
    missing = known[-1] * format.size - shape[-1]
    filled = nn.functional.pad(size, (0, missing)).unflatten(-1, (known[-1], format.size))
    counts = torch.full(known[-1:], float(format.size), dtype=size.dtype, device=size.device)
    counts[-1] -= missing
    assert prod(known) == filled.shape[:-1].numel()
    return filled.sum(-1) / counts


def _scaled(name: str) -> Scaled:
    format = format_named(name)
    if not isinstance(format, Scaled) or format.kind != "integer":
        raise UserError(
            asked=f"a learned step size for {name}",
            found="no integer format with scales",
            where="models/quantise",
            next_step="use a format such as int4@tensor, int4@channel0 or int8@block32",
        )
    return format
