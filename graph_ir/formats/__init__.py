"""Number formats as values: how a number is stored, and what its codes mean."""

from siliform.graph_ir.formats.base import Format, Quantised
from siliform.graph_ir.formats.catalogue import FORMATS, format_named

__all__ = ["FORMATS", "Format", "Quantised", "format_named"]
