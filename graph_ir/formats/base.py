"""What every number format offers, and how a scaled tensor is held at run time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from math import prod
from typing import Literal

import numpy as np

from siliform.graph_ir.errors import UserError

Kind = Literal["float", "integer", "binary", "ternary", "log2", "boolean"]

#: Families whose every value is an integer; their levels are held in int64.
INTEGER_KINDS = ("integer", "binary", "ternary", "boolean")


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

    @property
    @abstractmethod
    def min(self) -> float:
        """The least finite value."""

    @property
    @abstractmethod
    def max(self) -> float:
        """The greatest finite value."""

    @property
    @abstractmethod
    def step(self) -> float:
        """A power of two of which every finite value is a whole multiple."""

    @abstractmethod
    def encode(self, values: np.ndarray) -> np.ndarray:
        """Round real `values` to codes (unsigned integers), shape kept.

        UserError where a value is NaN and the format has none.
        """

    @abstractmethod
    def decode(self, codes: np.ndarray) -> np.ndarray:
        """The exact real values of `codes`, as float64 (int64 for integers), shape kept.

        UserError where a code means nothing in this format.
        """

    def round(self, values: np.ndarray) -> np.ndarray:
        """The nearest representable values: ``decode(encode(values))`` in the dtype of `values`."""
        values = np.asarray(values)
        return self.decode(self.encode(values)).astype(values.dtype)

    @property
    def has_nan(self) -> bool:
        """Whether some code means "not a number"."""
        return False

    @property
    def has_infinity(self) -> bool:
        """Whether some code means infinity."""
        return False

    @property
    def code_dtype(self) -> np.dtype:
        """The NumPy unsigned integer that holds one code."""
        return np.dtype(f"u{next(size for size in (1, 2, 4, 8) if 8 * size >= self.bits)}")

    def codes(self) -> np.ndarray:
        """Every code that has a meaning, in ascending order; ValueError above 16 bits."""
        if self.bits > 16:
            raise ValueError(f"{self.name} has 2**{self.bits} codes, too many to list")
        return np.arange(2**self.bits).astype(self.code_dtype)

    def tensor_bits(self, shape: tuple[int, ...]) -> int:
        """Stored bits of a tensor, scales included."""
        return prod(shape) * self.bits

    def packed_bytes(self, elements: int) -> int:
        """Whole bytes of so many codes laid bit behind bit (`packing.pack`)."""
        return -(-elements * self.bits // 8)

    @property
    def element(self) -> Format:
        """The format of one element: itself, unless scaled."""
        return self

    @property
    def is_integer_like(self) -> bool:
        """Whether every element, before scaling, is an integer."""
        return self.kind in INTEGER_KINDS

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
    scale : float64, of the shape `Scaled.scale_shape` gives; `Scaled.spread` makes it broadcast
        against `levels`. Every scale is a value of the scale format.
    format : the scaled format.
    """

    levels: np.ndarray
    scale: np.ndarray
    format: Format

    @property
    def shape(self) -> tuple[int, ...]:
        return self.levels.shape

    @property
    def ndim(self) -> int:
        return self.levels.ndim

    def dequantise(self) -> np.ndarray:
        """The real values, levels times scales, rounded once to float32."""
        from siliform.graph_ir.formats.scaled import dequantise

        return dequantise(self)


def refuse_nan(values: np.ndarray, format: Format) -> None:
    """UserError where `values` hold a NaN, for a format that has no code for it."""
    if values.dtype.kind == "f" and np.isnan(values).any():
        raise UserError(
            asked=f"{values.size} values in the number format {format.name}",
            found=f"{int(np.isnan(values).sum())} of them are NaN, which {format.name} cannot hold",
            where=f"the number format {format.name}",
            next_step="remove the NaN where it arises, or keep the tensor in a float format that has it",
        )


def as_real(values: np.ndarray) -> np.ndarray:
    """`values` as an array of float32, float64 or integers, the dtypes that encoders take."""
    known = np.asarray(values)
    if known.dtype in (np.dtype(np.float32), np.dtype(np.float64)) or known.dtype.kind in "iub":
        return known
    return known.astype(np.float64)
