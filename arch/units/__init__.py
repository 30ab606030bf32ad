"""The catalogue of units: an explicit list, so that it can be read and searched."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from siliform.arch.unit import Unit
from siliform.arch.units.activation import ActivationUnit
from siliform.arch.units.array import SystolicArray
from siliform.arch.units.binary import BinaryUnit
from siliform.arch.units.cuda import CudaCores
from siliform.arch.units.dma import Dma
from siliform.arch.units.eltwise import ElementwiseAdder
from siliform.arch.units.gather import GatherEngine
from siliform.arch.units.hash import HashEngine
from siliform.arch.units.launch import Launch
from siliform.arch.units.log2 import Log2Unit
from siliform.arch.units.lookup import LookupEngine
from siliform.arch.units.norm import NormUnit
from siliform.arch.units.requantise import Requantiser
from siliform.arch.units.rows import RowEngine
from siliform.arch.units.scan import ScanUnit
from siliform.arch.units.softmax import SoftmaxUnit
from siliform.arch.units.special import SpecialUnit
from siliform.arch.units.tensor import TensorCores
from siliform.arch.units.topk import TopKSelector
from siliform.arch.units.transpose import Transposer
from siliform.arch.units.vector import VectorUnit


def _catalogue(*units: type[Unit]) -> Mapping[str, type[Unit]]:
    found: dict[str, type[Unit]] = {}
    for unit in units:
        if unit.kind in found:
            raise ImportError(
                f"two units are of kind {unit.kind!r}: {found[unit.kind].__module__} and {unit.__module__}"
            )
        found[unit.kind] = unit
    return MappingProxyType(found)


#: Every unit by kind, the word a design uses for it.
UNITS = _catalogue(
    SystolicArray,
    BinaryUnit,
    VectorUnit,
    SpecialUnit,
    GatherEngine,
    TopKSelector,
    ScanUnit,
    HashEngine,
    LookupEngine,
    Transposer,
    SoftmaxUnit,
    Log2Unit,
    ActivationUnit,
    ElementwiseAdder,
    Requantiser,
    NormUnit,
    RowEngine,
    Dma,
    TensorCores,
    CudaCores,
    Launch,
)
