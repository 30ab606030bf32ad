"""RepQuant: quantise with many scales, deploy with one.

After a LayerNorm, channels differ by orders of magnitude and want scales of their own, which no integer
product has. They are found per channel and then moved into the LayerNorm's affine and into the weights that
read it, and one scale is left. After a softmax, a logarithm of base sqrt 2 has the resolution and one of base
2 the shifts; the former is the latter with a scale that depends on a code's parity.

Source: Li et al., "RepQuant", arXiv 2402.05628 (2024), after RepQ-ViT, ICCV 2023, sections 3.2 and 3.3.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np


@dataclass(frozen=True)
class ChannelScales:
    """How one channel's range lies on signed levels of `bits` bits: value = scale * (level - zero).

    Attributes
    ----------
    scale : float64 [channels], positive.
    zero : float64 [channels], whole numbers: the level of the value zero.
    """

    scale: np.ndarray
    zero: np.ndarray
    bits: int

    @classmethod
    def covering(cls, values: np.ndarray, bits: int, quantile: float = 0.0) -> ChannelScales:
        """From samples [n, channels]: each channel's range on all levels.

        `quantile` is the share of samples left out at either end.
        """
        low, high = np.quantile(np.asarray(values, np.float64), (quantile, 1 - quantile), axis=0)
        scale = np.maximum(high - low, 1e-8) / (2**bits - 1)  # 1e-8: a constant channel has some range
        return cls(scale, np.rint(-low / scale) - 2 ** (bits - 1), bits)

    def levels(self, values: np.ndarray) -> np.ndarray:
        """Levels of values [..., channels], from -2**(bits-1) to 2**(bits-1) - 1."""
        half = 2 ** (self.bits - 1)
        return np.clip(np.rint(values / self.scale) + self.zero, -half, half - 1)


@dataclass(frozen=True)
class Folded:
    """What takes the place of a LayerNorm's affine and of the linear layers that read it.

    Attributes
    ----------
    scale : the one scale that is left; its level of zero is 0, so it is a plain ``int<bits>@tensor``.
    gain, shift : the affine's, float64 [channels].
    weights, biases : of the readers, [out, channels] and [out].
    """

    scale: float
    gain: np.ndarray
    shift: np.ndarray
    weights: tuple[np.ndarray, ...]
    biases: tuple[np.ndarray, ...]


def fold(
    channels: ChannelScales,
    gain: np.ndarray,
    shift: np.ndarray,
    weights: tuple[np.ndarray, ...],
    biases: tuple[np.ndarray, ...],
) -> Folded:
    """Move scales per channel into the affine before and the weights behind.

    With r1 = scale / mean scale and r2 = zero - 0: the affine's output y becomes (y + scale * r2) / r1,
    which one scale quantises to the very levels that the channel's own gave y; the weights take r1 and the
    biases give back what was added. As functions of reals nothing changes.

    The mean of the scales is the paper's choice. Its zero point of the layer is a mean too; any whole
    number serves, and 0 makes the format symmetric.
    """
    layer = float(channels.scale.mean())
    ratio = channels.scale / layer
    moved = channels.scale * channels.zero
    return Folded(
        layer,
        gain / ratio,
        (shift + moved) / ratio,
        tuple(weight * ratio for weight in weights),
        tuple(bias - weight @ moved for weight, bias in zip(weights, biases, strict=True)),
    )


def log_root2(values: np.ndarray, scale: float, bits: int) -> np.ndarray:
    """Codes q of base sqrt 2: ``clamp(round(-2 log2(x / scale)), 0, 2**bits - 1)``; values are >= 0."""
    with np.errstate(divide="ignore"):
        return np.clip(np.rint(-2 * np.log2(values / scale)), 0, 2**bits - 1)


def to_log2(codes: np.ndarray, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """Codes of base sqrt 2 as (shifts, scales): the value is ``scales * 2**-shifts``.

    ``shifts = ceil(q / 2)``; where q is odd the scale is sqrt 2 greater, so a product shifts by whole
    bits and one bit of the code picks between two scales.
    """
    odd = codes % 2
    return np.ceil(codes / 2), scale * (odd * (sqrt(2) - 1) + 1)
