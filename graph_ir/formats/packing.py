"""Codes laid bit behind bit, as a memory image holds them."""

from __future__ import annotations

import numpy as np

from siliform.graph_ir.formats.base import Format


def pack(codes: np.ndarray, format: Format) -> np.ndarray:
    """The codes of a tensor, in row-major order, as ``format.packed_bytes(codes.size)`` bytes.

    Element i takes the bits from ``i * bits`` on; bit n of the image is bit ``n % 8`` of byte
    ``n // 8``; a multi-bit code is stored least significant bit first, and the last byte is filled
    up with zeros. For 8 bits and more this is the little-endian array.
    """
    flat = np.ascontiguousarray(np.asarray(codes).astype(format.code_dtype)).ravel()
    little = flat.astype(format.code_dtype.newbyteorder("<")).view(np.uint8)
    bits = np.unpackbits(little.reshape(flat.size, -1), axis=1, bitorder="little")
    return np.packbits(bits[:, : format.bits], bitorder="little")


def unpack(image: np.ndarray, format: Format, shape: tuple[int, ...]) -> np.ndarray:
    """The codes of a tensor of `shape` from the image that `pack` makes; ValueError on a wrong size."""
    elements = int(np.prod(shape, dtype=np.int64))
    if image.size != format.packed_bytes(elements):
        raise ValueError(
            f"{format.name}{list(shape)} takes {format.packed_bytes(elements)} bytes, not {image.size}"
        )
    bits = np.unpackbits(image.astype(np.uint8), bitorder="little", count=elements * format.bits)
    wide = np.zeros((elements, 8 * format.code_dtype.itemsize), np.uint8)
    wide[:, : format.bits] = bits.reshape(elements, format.bits)
    packed = np.packbits(wide, axis=1, bitorder="little").ravel()
    return packed.view(format.code_dtype.newbyteorder("<")).astype(format.code_dtype).reshape(shape)
