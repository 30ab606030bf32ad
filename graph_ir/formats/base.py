"""What every number format offers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from math import prod
from typing import Literal

import numpy as np

Kind = Literal["float", "integer", "binary", "ternary", "log2", "boolean"]


class Format(ABC):
    """A number format: a name, a width, and an exact meaning for every code.

    Codes are the stored bit patterns, held in the smallest NumPy unsigned integer that is wide
    enough. `decode` is exact; `encode` rounds as the format says and saturates, never wraps.
    Formats are compared by name.
    """

    @property
    @abstractmethod
    def name(self) -> str:
        """Canonical name; `format_named(f.name) == f`."""

    @property
    @abstractmethod
    def bits(self) -> int:
        """Stored bits of one element, scales left out."""

    @property
    @abstractmethod
    def kind(self) -> Kind:
        """Family of the element."""

    @abstractmethod
    def encode(self, values: np.ndarray) -> np.ndarray:
        """Round real `values` to codes (unsigned integers), shape kept."""

    @abstractmethod
    def decode(self, codes: np.ndarray) -> np.ndarray:
        """The exact real values of `codes`, as float64 (int64 for integers), shape kept."""

    def round(self, values: np.ndarray) -> np.ndarray:
        """The nearest representable values: ``decode(encode(values))`` in the dtype of `values`."""
        return self.decode(self.encode(values)).astype(values.dtype)

    def tensor_bits(self, shape: tuple[int, ...]) -> int:
        """Stored bits of a tensor, scales included."""
        return prod(shape) * self.bits

    @property
    def element(self) -> Format:
        """The format of one element: itself, unless scaled."""
        return self

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Format) and other.name == self.name

    def __hash__(self) -> int:
        return hash(self.name)

    def __repr__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Quantised:
    """A tensor in a scaled format at run time: exact codes beside their scales.

    Attributes
    ----------
    levels : the element's exact values before scaling (int64 for integer-like elements, float64
        for floats and powers of two), shape of the tensor.
    scale : float64, broadcastable against `levels` after `Scaled.spread`.
    format : the scaled format.
    """

    levels: np.ndarray
    scale: np.ndarray
    format: Format

    @property
    def shape(self) -> tuple[int, ...]:
        return self.levels.shape
