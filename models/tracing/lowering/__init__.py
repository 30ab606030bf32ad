"""The rules that turn aten operators into ops of ours, a file per family.

A rule is keyed by the operator's packet (``aten.add``), or by one overload (``aten.max.other``),
which comes first.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from siliform.models.tracing.lowerer import Rule
from siliform.models.tracing.lowering import (
    attention,
    convolution,
    creation,
    elementwise,
    fourier,
    indexing,
    looping,
    matmul,
    movement,
    normalisation,
    pooling,
    reduction,
    sampling,
    selection,
)
from siliform.models.tracing.lowering.own import own_rule

_FAMILIES = (
    attention,
    convolution,
    creation,
    elementwise,
    fourier,
    indexing,
    looping,
    matmul,
    movement,
    normalisation,
    pooling,
    reduction,
    sampling,
    selection,
)


def _merged() -> Mapping[str, Rule]:
    rules: dict[str, Rule] = {}
    for family in _FAMILIES:
        twice = rules.keys() & family.RULES.keys()
        if twice:
            raise ImportError(f"two rules for {sorted(twice)}; one of them in {family.__name__}")
        rules.update(family.RULES)
    return MappingProxyType(rules)


#: Every rule by operator.
RULES = _merged()


def rule_for(operator: str, further: Mapping[str, Rule] | None = None) -> Rule | None:
    """The rule of ``namespace.name.overload``: a further one first, then the overload's or packet's."""
    packet = operator.rpartition(".")[0]
    for table in (further or {}, RULES):
        found = table.get(operator) or table.get(packet)
        if found is not None:
            return found
    return own_rule(operator)
