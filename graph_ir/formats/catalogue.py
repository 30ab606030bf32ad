"""Formats by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import ml_dtypes
import numpy as np

from siliform.graph_ir.errors import UserError, nearest
from siliform.graph_ir.formats.base import Format, Kind


@dataclass(frozen=True, eq=False, repr=False)
class NumpyFormat(Format):
    """A format that NumPy or ml_dtypes stores and rounds natively."""

    label: str
    family: Kind
    dtype: np.dtype

    @property
    def name(self) -> str:
        return self.label

    @property
    def bits(self) -> int:
        return 1 if self.family == "boolean" else self.dtype.itemsize * 8

    @property
    def kind(self) -> Kind:
        return self.family

    def encode(self, values: np.ndarray) -> np.ndarray:
        if self.family == "integer":
            info = np.iinfo(self.dtype)
            values = np.clip(np.rint(values), info.min, info.max)
        return values.astype(self.dtype).view(f"u{self.dtype.itemsize}")

    def decode(self, codes: np.ndarray) -> np.ndarray:
        wide = np.int64 if self.family in ("integer", "boolean") else np.float64
        return codes.astype(f"u{self.dtype.itemsize}").view(self.dtype).astype(wide)


def _numpy(label: str, family: Kind, dtype: object) -> NumpyFormat:
    return NumpyFormat(label, family, np.dtype(dtype))


#: Every element format by name.
FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        f.name: f
        for f in (
            _numpy("fp64", "float", np.float64),
            _numpy("fp32", "float", np.float32),
            _numpy("fp16", "float", np.float16),
            _numpy("bf16", "float", ml_dtypes.bfloat16),
            _numpy("int64", "integer", np.int64),
            _numpy("int32", "integer", np.int32),
            _numpy("int16", "integer", np.int16),
            _numpy("int8", "integer", np.int8),
            _numpy("uint8", "integer", np.uint8),
            _numpy("bool", "boolean", np.bool_),
        )
    }
)


def format_named(name: str) -> Format:
    """The format of that name; UserError with the nearest names otherwise."""
    if name not in FORMATS:
        raise UserError(
            asked=f"the number format {name!r}",
            found="no format of that name",
            where="graph_ir/formats",
            next_step=f"use one of the nearest: {nearest(name, FORMATS)}",
        )
    return FORMATS[name]
