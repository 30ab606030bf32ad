"""torch dtypes and number formats, both ways, and tensors as NumPy arrays."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import ml_dtypes
import numpy as np
import torch

from siliform.graph_ir.formats import Format, format_named
from siliform.graph_ir.types import TensorType

#: The format of every torch dtype that a graph can hold.
FORMAT_OF: Mapping[torch.dtype, str] = MappingProxyType(
    {
        torch.float64: "fp64",
        torch.float32: "fp32",
        torch.float16: "fp16",
        torch.bfloat16: "bf16",
        torch.float8_e4m3fn: "fp8_e4m3",
        torch.float8_e5m2: "fp8_e5m2",
        torch.int64: "int64",
        torch.int32: "int32",
        torch.int16: "int16",
        torch.int8: "int8",
        torch.uint8: "uint8",
        torch.bool: "bool",
    }
)

#: The torch dtype that holds each format without loss; narrower or scaled formats have none.
DTYPE_OF: Mapping[str, torch.dtype] = MappingProxyType({name: dtype for dtype, name in FORMAT_OF.items()})


def format_of(dtype: torch.dtype) -> Format:
    """The format of a torch dtype; KeyError for one that a graph cannot hold (complex, quint8...)."""
    return format_named(FORMAT_OF[dtype])


def type_of(tensor: torch.Tensor) -> TensorType:
    """The type of a (fake, meta or real) tensor."""
    return TensorType(tuple(int(extent) for extent in tensor.shape), format_of(tensor.dtype))


def to_numpy(tensor: torch.Tensor) -> np.ndarray:
    """The tensor's bytes as an array, shared where the layout allows; bfloat16 and fp8 through ml_dtypes."""
    plain = tensor.detach().cpu().resolve_conj().resolve_neg()
    if plain.dtype is torch.bfloat16:
        return plain.contiguous().view(torch.int16).numpy().view(ml_dtypes.bfloat16)
    if plain.dtype is torch.float8_e4m3fn:
        return plain.contiguous().view(torch.uint8).numpy().view(ml_dtypes.float8_e4m3fn)
    if plain.dtype is torch.float8_e5m2:
        return plain.contiguous().view(torch.uint8).numpy().view(ml_dtypes.float8_e5m2)
    return plain.numpy()


def viewable(tensor: torch.Tensor, shape: tuple[int, ...]) -> bool:
    """Whether a strided tensor can be seen in `shape` without moving a byte."""
    try:
        torch.empty_strided(tensor.shape, tensor.stride(), device="meta").view(shape)
    except RuntimeError:
        return False
    return True
