"""The families of cases, by name. Importing this loads torch, and no kernel."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from siliform.kernels.bench.families.attentions import Attention, BlockSparse, Decode
from siliform.kernels.bench.families.base import Family
from siliform.kernels.bench.families.hashing import HashAttention, HashCodes, HashLookup
from siliform.kernels.bench.families.movement import Copy, Gather, Launch, TopK
from siliform.kernels.bench.families.narrow import WeightOnly
from siliform.kernels.bench.families.networks import Network
from siliform.kernels.bench.families.ofops import Rows
from siliform.kernels.bench.families.packed import PackedProduct, Packing
from siliform.kernels.bench.families.products import Matmul
from siliform.kernels.bench.families.ragged import PackRows, Varlen
from siliform.kernels.bench.families.recurrences import (
    DeltaRule,
    GatedLinear,
    LinearAttention,
    SelectiveScan,
    Ssd,
)
from siliform.kernels.bench.families.stepwise import LinearRecurrence, MatrixRecurrence

FAMILIES: Mapping[str, Family] = MappingProxyType(
    {
        family.name: family
        for family in (
            Matmul(),
            Attention(),
            Decode(),
            BlockSparse(),
            Varlen(),
            PackRows(),
            PackedProduct("binary_matmul"),
            PackedProduct("ternary_matmul"),
            Packing(),
            WeightOnly(),
            HashAttention(),
            HashCodes(),
            HashLookup(),
            LinearAttention(),
            GatedLinear(),
            DeltaRule(),
            Ssd(),
            SelectiveScan(),
            LinearRecurrence(),
            MatrixRecurrence(),
            Rows(),
            Gather(),
            TopK(),
            Copy(),
            Launch(),
            Network(),
        )
    }
)
