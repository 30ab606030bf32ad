"""Which scale a tensor gets: of its greatest magnitude, of a percentile, or of the least squared error.

What shares a scale is said by the format: ``int8@tensor``; of a matrix of rows, ``int8@channel0`` is a
scale for each row (an output channel of a weight [out, in]; a token of an activation [tokens, channels]),
``int8@channel1`` for each column, ``int8@block32`` for each 32 neighbours in a row.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import torch

from siliform.graph_ir.formats import Scaled, format_named
from siliform.graph_ir.formats.scaled import quantise
from siliform.models.quantise.levels import round_levels

How = Literal["minmax", "percentile", "mse"]

#: The ways of choosing a scale.
SCALES: tuple[str, ...] = get_args(How)

#: Share of the magnitudes that "percentile" keeps; the others are clipped (Wu et al., arXiv 2004.09602,
#: section 4.2: 99.9 to 99.999 % do best).
KEPT = 0.999

#: How many scales a search tries (assumption: more change no error by 1 %) ...
_TRIES = 16

#: ... from which share of the greatest magnitude's upwards, by bits: few levels clip more. The optima for a
#: normal distribution of 384 values are 0.58 with 3 bits, 0.75 with 4, 0.89 with 5, 0.99 with 8 (tried).
_LEAST_SHARE = {1: 0.2, 2: 0.2, 3: 0.35, 4: 0.45, 5: 0.6, 6: 0.7}
_LEAST_SHARE_WIDE = 0.8

#: Multiples of the mean magnitude for formats whose scale is a mean: ternary's optimum for a normal
#: distribution is 1.53 (tried), for a uniform one 4/3.
_MULTIPLES = np.linspace(0.8, 2.0, _TRIES)

#: Samples of an activation tensor that a search looks at (assumption: their histogram is settled).
_SAMPLES = 1 << 15


def tensor_scale(values: torch.Tensor, element: str, how: How = "mse") -> float:
    """One positive scale for all of `values` in the element format, from the data.

    "minmax" is the rule of `graph_ir.formats`: the greatest magnitude on the element's greatest value.
    "percentile" is that rule for the data clipped to the magnitude that `KEPT` of it does not exceed.
    "mse" tries shares of that and takes the one of least squared error, on every n-th value.
    """
    format = format_named(f"{element}@tensor")
    assert isinstance(format, Scaled)
    flat = values.detach().reshape(-1).float()
    size = flat.abs()
    if how == "percentile" and len(flat):
        size = size.clamp(max=float(np.quantile(size.numpy(), KEPT)))
    by_mean = format.kind in ("binary", "ternary")
    measure = (size.mean() if by_mean else size.max()).numpy() if len(flat) else np.zeros(())
    start = float(quantise(measure, format).scale)  # of one number, the rule gives its scale
    if how != "mse" or not flat.numel():
        return start
    sample = flat[:: max(1, flat.numel() // _SAMPLES)]
    errors = [_wrong(sample, start * float(share), element).sum().item() for share in _candidates(format)]
    return start * float(_candidates(format)[int(np.argmin(errors))])


def row_scales(values: np.ndarray, format: Scaled, how: How = "mse") -> np.ndarray:
    """Scales of a matrix [rows, n] in `format`, of the shape that `Scaled.scale_shape` gives.

    "percentile" clips what shares a scale to the magnitude that `KEPT` of it does not exceed. "mse" takes for
    every scale on its own the candidate of least squared error over what it scales.
    e8m0 scales are powers of two: the rule's, half of it and twice it are tried.
    """
    if how == "percentile":
        most = format.spread(_quantile(np.abs(values), format), values.shape)
        return quantise(np.clip(values, -most, most), format).scale
    start = quantise(values, format).scale
    if how == "minmax":
        return start
    wide = torch.from_numpy(values.astype(np.float32))
    best, chosen = np.full(start.shape, np.inf), start
    for share in _candidates(format):
        scale = np.asarray(format.scale.round(start * share))
        spread = torch.from_numpy(np.ascontiguousarray(format.spread(scale, values.shape)).astype(np.float32))
        error = _summed(_wrong(wide, spread, format.item.name), format)
        better = error < best
        best, chosen = np.where(better, error, best), np.where(better, scale, chosen)
    return np.asarray(chosen)


def _wrong(values: torch.Tensor, scale: torch.Tensor | float, element: str) -> torch.Tensor:
    """Squared errors of `values` in the element format with that scale."""
    return round_levels(values / scale, element).mul_(scale).sub_(values).square_()


def _candidates(format: Scaled) -> np.ndarray:
    """What the rule's scale is multiplied by."""
    if format.item.kind == "binary":
        return np.ones(1)  # the mean magnitude is the optimum
    if format.item.kind == "ternary":
        return _MULTIPLES
    if format.scale.name == "e8m0":
        return np.array([0.5, 1.0, 2.0])
    return np.linspace(_LEAST_SHARE.get(format.bits, _LEAST_SHARE_WIDE), 1.0, _TRIES)


def _summed(errors: torch.Tensor, format: Scaled) -> np.ndarray:
    """Sums of a matrix [rows, n] over what shares a scale, of the shape of the scales."""
    if format.granularity == "tensor":
        return np.asarray(errors.sum().numpy())
    if format.granularity == "channel":
        return errors.sum(dim=1 - format.size).numpy()
    return np.add.reduceat(errors.numpy(), np.arange(0, errors.shape[1], format.size), axis=1)


def _quantile(size: np.ndarray, format: Scaled) -> np.ndarray:
    """The magnitude that `KEPT` of what shares a scale does not exceed, of the shape of the scales."""
    if format.granularity == "tensor":
        return np.asarray(np.quantile(size, KEPT))
    if format.granularity == "channel":
        return np.asarray(np.quantile(size, KEPT, axis=1 - format.size))
    rows, length = size.shape
    filled = np.full((rows, -(-length // format.size) * format.size), np.nan)
    filled[:, :length] = size
    return np.asarray(np.nanquantile(filled.reshape(rows, -1, format.size), KEPT, axis=2))
