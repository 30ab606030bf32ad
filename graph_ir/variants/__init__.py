"""Numeric variants: ops as hardware computes them, bit for bit.

Each table holds the variants of one op by name, ready to be its ``variants``; a node chooses one by
the attribute ``numerics``. Their references take the op's own arguments.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from siliform.graph_ir.opspec import Variant
from siliform.graph_ir.variants.addition import ADD_VARIANTS
from siliform.graph_ir.variants.clipped_softmax import CLIPPED_SOFTMAX_VARIANTS
from siliform.graph_ir.variants.gelu import GELU_VARIANTS
from siliform.graph_ir.variants.hashing import (
    HASH_ATTENTION_VARIANTS,
    HASH_CODES_VARIANTS,
    HASH_LOOKUP_VARIANTS,
)
from siliform.graph_ir.variants.log_codes import LOG_CODES_VARIANTS, QUANTIZE_VARIANTS
from siliform.graph_ir.variants.norms import LAYER_NORM_VARIANTS, RMS_NORM_VARIANTS
from siliform.graph_ir.variants.products import LINEAR_VARIANTS, MATMUL_VARIANTS
from siliform.graph_ir.variants.recurrence import LINEAR_RECURRENCE_VARIANTS
from siliform.graph_ir.variants.relu import RELU_VARIANTS
from siliform.graph_ir.variants.sigmoid import SIGMOID_VARIANTS
from siliform.graph_ir.variants.silu import SILU_VARIANTS
from siliform.graph_ir.variants.softmax import SOFTMAX_VARIANTS


def _by_name(variants: tuple[Variant, ...]) -> Mapping[str, Variant]:
    return MappingProxyType({v.name: v for v in variants})


SOFTMAX = _by_name(SOFTMAX_VARIANTS)
CLIPPED_SOFTMAX = _by_name(CLIPPED_SOFTMAX_VARIANTS)
SIGMOID = _by_name(SIGMOID_VARIANTS)
GELU = _by_name(GELU_VARIANTS)
SILU = _by_name(SILU_VARIANTS)
RELU = _by_name(RELU_VARIANTS)
LAYER_NORM = _by_name(LAYER_NORM_VARIANTS)
RMS_NORM = _by_name(RMS_NORM_VARIANTS)
ADD = _by_name(ADD_VARIANTS)
HASH_CODES = _by_name(HASH_CODES_VARIANTS)
HASH_ATTENTION = _by_name(HASH_ATTENTION_VARIANTS)
HASH_LOOKUP = _by_name(HASH_LOOKUP_VARIANTS)
LOG_CODES = _by_name(LOG_CODES_VARIANTS)
QUANTIZE = _by_name(QUANTIZE_VARIANTS)
LINEAR = _by_name(LINEAR_VARIANTS)
LINEAR_RECURRENCE = _by_name(LINEAR_RECURRENCE_VARIANTS)
MATMUL = _by_name(MATMUL_VARIANTS)

__all__ = [
    "ADD",
    "CLIPPED_SOFTMAX",
    "GELU",
    "HASH_ATTENTION",
    "HASH_CODES",
    "HASH_LOOKUP",
    "LAYER_NORM",
    "LINEAR",
    "LINEAR_RECURRENCE",
    "LOG_CODES",
    "MATMUL",
    "QUANTIZE",
    "RELU",
    "RMS_NORM",
    "SIGMOID",
    "SILU",
    "SOFTMAX",
]
