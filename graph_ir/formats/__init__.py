"""Number formats as values: how a number is stored, and what its codes mean."""

from siliform.graph_ir.formats.accumulate import Accumulator, Range, accumulator
from siliform.graph_ir.formats.base import Format, Quantised
from siliform.graph_ir.formats.catalogue import ALIASES, FORMATS, format_named
from siliform.graph_ir.formats.packing import pack, unpack
from siliform.graph_ir.formats.scaled import Scaled, dequantise, quantise

__all__ = [
    "ALIASES",
    "FORMATS",
    "Accumulator",
    "Format",
    "Quantised",
    "Range",
    "Scaled",
    "accumulator",
    "dequantise",
    "format_named",
    "pack",
    "quantise",
    "unpack",
]
