"""Scaled formats: an element format and scales shared by a tensor, by an axis, or by a block.

Names are ``<element>@<granularity>[:<scale format>]``::

    int8@tensor                 one fp32 scale for the tensor
    int4@channel0               one fp32 scale per index of axis 0
    fp4_e2m1@block32:e8m0       one power-of-two scale per 32 neighbours of the last axis (MXFP4)

The scale format is fp32 where the name gives none. How a scale comes from the data:

- integers, floats, log2 and binary01: the greatest magnitude, absmax, lands on the element's
  greatest value: ``scale = absmax / element.max`` (so int8 uses -127 to 127);
- with e8m0 scales: ``2**(floor(log2(absmax)) - emax)``, where ``2**emax`` is the element's greatest
  power of two (OCP Microscaling Formats Specification 1.0, section 6.3);
- binary: the mean magnitude, which minimises the squared error of a sign (Rastegari et al.,
  XNOR-Net, ECCV 2016, section 3.1; the per-row rule of BiPFT, AAAI 2024);
- ternary: the mean magnitude (Ma et al., BitNet b1.58, 2024, equation 3).

A group of zeros has the scale 1 (the least e8m0 scale, where scales are e8m0).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import frexp, prod
from typing import Literal

import numpy as np

from siliform.graph_ir.errors import UserError
from siliform.graph_ir.formats.base import Format, Kind, Quantised
from siliform.graph_ir.formats.levels import Binary01

Granularity = Literal["tensor", "channel", "block"]

_GRANULARITY = re.compile(r"(tensor|channel|block)(\d*)")


@dataclass(frozen=True, eq=False, repr=False)
class Scaled(Format):
    """Elements beside scales.

    `encode`, `decode`, `round`, `min`, `max` and `step` speak of levels: values already divided by
    their scale. `size` is the axis of a channel, the length of a block, and 0 for a tensor.
    """

    item: Format
    granularity: Granularity
    size: int
    scale: Format

    def __post_init__(self) -> None:
        if self.item.element is not self.item or self.scale.element is not self.scale:
            raise ValueError(
                f"a scaled format of {self.item} with scales in {self.scale}: both must be plain"
            )
        if self.scale.name != "e8m0" and self.scale.kind != "float":
            raise ValueError(f"scales in {self.scale}; they need a float format or e8m0")
        if (self.granularity == "block" and self.size < 1) or self.size < 0:
            raise ValueError(f"{self.granularity} of size {self.size}")

    @property
    def name(self) -> str:
        where = self.granularity if self.granularity == "tensor" else f"{self.granularity}{self.size}"
        return f"{self.item.name}@{where}" + ("" if self.scale.name == "fp32" else f":{self.scale.name}")

    @property
    def element(self) -> Format:
        return self.item

    @property
    def bits(self) -> int:
        return self.item.bits

    @property
    def kind(self) -> Kind:
        return self.item.kind

    @property
    def min(self) -> float:
        return self.item.min

    @property
    def max(self) -> float:
        return self.item.max

    @property
    def step(self) -> float:
        return self.item.step

    def encode(self, values: np.ndarray) -> np.ndarray:
        return self.item.encode(values)

    def decode(self, codes: np.ndarray) -> np.ndarray:
        return self.item.decode(codes)

    def tensor_bits(self, shape: tuple[int, ...]) -> int:
        return prod(shape) * self.item.bits + prod(self.scale_shape(shape)) * self.scale.bits

    def scale_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Shape of the scales of a tensor; a ragged last block has a scale of its own."""
        self._check(shape)
        if self.granularity == "tensor":
            return ()
        if self.granularity == "channel":
            return (shape[self.size],)
        return (*shape[:-1], -(-shape[-1] // self.size))

    def spread(self, scale: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """The scales, shaped to broadcast against a tensor of `shape`."""
        if self.granularity == "tensor":
            return np.asarray(scale).reshape(())
        if self.granularity == "channel":
            return np.asarray(scale).reshape([-1 if i == self.size else 1 for i in range(len(shape))])
        return np.repeat(scale, self.size, axis=-1)[..., : shape[-1]]

    def _check(self, shape: tuple[int, ...]) -> None:
        needed = {"tensor": 0, "channel": self.size + 1, "block": 1}[self.granularity]
        if len(shape) < needed:
            raise UserError(
                asked=f"a tensor of shape {list(shape)} in {self.name}",
                found=f"{len(shape)} axes, {self.granularity} scales need {needed} or more",
                where=f"the number format {self.name}",
                next_step="choose an axis that the tensor has, or scales per tensor",
            )


def scaled(element: Format, suffix: str, scale: Format) -> Scaled:
    """The scaled format of an element from the text behind its ``@``; ValueError where it is not one."""
    match = _GRANULARITY.fullmatch(suffix)
    if match is None or (match[1] == "tensor") != (match[2] == ""):
        raise ValueError(f"{suffix!r} is none of tensor, channel<axis>, block<length>")
    granularity: Granularity = match[1]  # type: ignore[assignment]
    return Scaled(element, granularity, int(match[2] or 0), scale)


def quantise(values: np.ndarray, format: Format, scale: np.ndarray | None = None) -> Quantised:
    """Real `values` in a scaled format.

    Parameters
    ----------
    values : floats or integers, finite.
    scale : of the shape `Scaled.scale_shape` gives, or a single number for all of it; rounded to
        the scale format. None takes it from the data.

    Levels are the quotients of values and scales, taken in float64 and rounded once to the element
    format: for float32 values and scales that is the element nearest to the exact quotient.

    Raises
    ------
    UserError : where a value is NaN or infinite.
    ValueError : where `format` is not scaled, or a scale is not positive.
    """
    if not isinstance(format, Scaled):
        raise ValueError(f"{format.name} has no scales; use its encode, or a format such as int8@tensor")
    wide = np.asarray(values).astype(np.float64)
    _refuse_non_finite(wide, format)
    shape = format.scale_shape(wide.shape)
    chosen = (
        _scale_of(wide, format) if scale is None else np.broadcast_to(np.asarray(scale, np.float64), shape)
    )
    if not (chosen > 0).all():
        raise ValueError(f"scales must be positive; the least given is {chosen.min()}")
    stored = np.asarray(np.maximum(format.scale.round(chosen), _least(format.scale)))
    levels = format.item.round(wide / format.spread(stored, wide.shape))
    return Quantised(levels.astype(np.int64 if format.is_integer_like else np.float64), stored, format)


def dequantise(quantised: Quantised) -> np.ndarray:
    """Levels times scales, rounded once to float32."""
    return real(quantised).astype(np.float32)


def real(quantised: Quantised) -> np.ndarray:
    """Levels times scales in float64: exact for levels and scales of together 53 bits or fewer."""
    format = quantised.format
    assert isinstance(format, Scaled)
    return quantised.levels * format.spread(quantised.scale, quantised.shape)


def concatenate(parts: Sequence[Quantised], axis: int) -> Quantised:
    """Tensors of one scaled format behind one another along `axis`, levels and scales untouched.

    ValueError where that has no form without requantising: scales per tensor that differ, channel
    scales of another axis that differ, or blocks along `axis`.
    """
    format = parts[0].format
    assert isinstance(format, Scaled)
    place = axis % parts[0].ndim
    levels = np.concatenate([part.levels for part in parts], axis=place)
    if format.granularity == "channel" and format.size == place:
        return Quantised(levels, np.concatenate([part.scale for part in parts]), format)
    if format.granularity == "block" and place != parts[0].ndim - 1:
        return Quantised(levels, np.concatenate([part.scale for part in parts], axis=place), format)
    if format.granularity == "block" or any((part.scale != parts[0].scale).any() for part in parts):
        raise ValueError(
            f"{format.name} tensors one behind another along axis {place} have no scales in common; "
            f"use {format.item.name}@channel{place}, whose scales follow the axis"
        )
    return Quantised(levels, parts[0].scale, format)


def greatest_power(element: Format) -> int:
    """emax: the exponent of the element's greatest power of two."""
    return frexp(float(element.max))[1] - 1


def _scale_of(values: np.ndarray, format: Scaled) -> np.ndarray:
    size, count = _grouped(np.abs(values), format)
    if format.item.kind in ("binary", "ternary") and not isinstance(format.item, Binary01):
        mean = size.sum(axis=-1) / np.maximum(count, 1)
        return np.where(mean > 0, mean, 1.0)
    absmax = size.max(axis=-1, initial=0.0)
    if format.scale.name == "e8m0":
        exponent = np.frexp(absmax)[1] - 1 - greatest_power(format.item)
        return np.where(absmax > 0, np.ldexp(1.0, np.maximum(exponent, -127)), format.scale.min)
    return np.where(absmax > 0, absmax / format.item.max, 1.0)


def _grouped(size: np.ndarray, format: Scaled) -> tuple[np.ndarray, np.ndarray]:
    """Magnitudes with the members of a group along the last axis (filled up with 0), and their counts."""
    if format.granularity == "tensor":
        return size.reshape(-1), np.asarray(size.size)
    if format.granularity == "channel":
        rows = np.moveaxis(size, format.size, 0).reshape(size.shape[format.size], -1)
        return rows, np.asarray(rows.shape[1])
    *lead, length = size.shape
    blocks = -(-length // format.size)
    filled = np.zeros((*lead, blocks * format.size))
    filled[..., :length] = size
    count = np.full(blocks, format.size)
    if blocks:
        count[-1] = length - (blocks - 1) * format.size
    return filled.reshape(*lead, blocks, format.size), count


def _least(scale: Format) -> float:
    return scale.step if scale.name != "e8m0" else scale.min


def _refuse_non_finite(values: np.ndarray, format: Scaled) -> None:
    bad = values.size - int(np.isfinite(values).sum())
    if bad:
        raise UserError(
            asked=f"{values.size} values quantised to {format.name}",
            found=f"{bad} of them are NaN or infinite, so they have no scale",
            where=f"the number format {format.name}",
            next_step="remove them where they arise, or keep the tensor in a float format",
        )
