"""Every unit there is in silicon, by its word. A new unit is a folder here and a line below."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType

from siliform.graph_ir.errors import UserError, nearest
from siliform.rtl.common.unit import HardwareUnit

#: Where each unit's class is, imported when it is asked for.
UNITS: Mapping[str, str] = MappingProxyType(
    {
        "activation": "siliform.rtl.activation.unit:ActivationUnit",
        "array": "siliform.rtl.array.unit:ArrayUnit",
        "binary": "siliform.rtl.binary.unit:BinaryMatrixUnit",
        "dma": "siliform.rtl.dma.unit:DmaUnit",
        "eltwise": "siliform.rtl.eltwise.unit:EltwiseUnit",
        "gather": "siliform.rtl.gather.unit:GatherUnit",
        "hash": "siliform.rtl.hash.unit:HashUnit",
        "log2": "siliform.rtl.log2.unit:Log2Unit",
        "lookup": "siliform.rtl.lookup.unit:LookupUnit",
        "norm": "siliform.rtl.norm.unit:NormUnit",
        "output_stationary": "siliform.rtl.output_stationary.unit:OutputStationaryUnit",
        "requantise": "siliform.rtl.requantise.unit:RequantiseUnit",
        "scan": "siliform.rtl.scan.unit:ScanHardware",
        "scratchpad": "siliform.rtl.scratchpad.unit:ScratchpadUnit",
        "softmax": "siliform.rtl.softmax.unit:SoftmaxUnit",
        "topk": "siliform.rtl.topk.unit:TopKUnit",
        "transpose": "siliform.rtl.transpose.unit:TransposeUnit",
    }
)


def unit_named(kind: str) -> type[HardwareUnit]:
    """The class of a unit; UserError with the nearest names where there is none."""
    if kind not in UNITS:
        raise UserError(
            asked=f"the hardware unit {kind!r}",
            found=f"units {', '.join(UNITS)}",
            where="rtl",
            next_step=f"use one of the nearest: {nearest(kind, list(UNITS))}",
        )
    module, _, name = UNITS[kind].removeprefix("siliform.rtl.").partition(":")
    found: type[HardwareUnit] = getattr(import_module(f"siliform.rtl.{module}"), name)
    return found
