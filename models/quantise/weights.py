"""Weights in a narrow format."""

from __future__ import annotations

import numpy as np

from siliform.graph_ir.formats import Quantised, Scaled, format_named, quantise
from siliform.models.quantise.scales import How, row_scales


def weight_format(name: str) -> Scaled:
    """The scaled format of a weight [out, in]: as named, or one scale per output channel.

    A policy's weight formats mean the same (`graph_ir.passes.policy.Rule`).
    """
    known = format_named(name)
    if not isinstance(known, Scaled):
        known = format_named(f"{name}@channel0")
    assert isinstance(known, Scaled)
    return known


def quantise_weight(weight: np.ndarray, name: str, how: How = "mse") -> Quantised:
    """A weight [out, in] in the format `name`, with scales chosen as `how` says.

    Binary weights are centred first: a row is ``m * sign(W - mean W)`` with m the mean magnitude of the
    row as it was, which keeps half of the signs up and half down.
    Source: Xing et al., "BiPFT: Binary Pre-trained Foundation Transformer", AAAI 2024.
    """
    format = weight_format(name)
    wide = np.asarray(weight, np.float64)
    if format.item.name == "binary":
        magnitude = quantise(wide, format).scale
        return quantise(wide - wide.mean(axis=-1, keepdims=True), format, magnitude)
    return quantise(wide, format, row_scales(wide, format, how))
