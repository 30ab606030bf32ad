"""The marks around a step that is run for each part of its input; see `siliform.models.blocks.steps`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from siliform.models.tracing.lowerer import Lowerer, Rule
from siliform.models.tracing.rolling import BEGIN, END


def _begin(c: Lowerer, carried: Sequence[Any], parts: Sequence[Any]) -> list[Any]:
    return _listed(c.apply(BEGIN, *carried, *parts, carried=len(carried)))


def _end(
    c: Lowerer, begun: Sequence[Any], carried: Sequence[Any], results: Sequence[Any], steps: int
) -> list[Any]:
    counts = {"begun": len(begun), "carried": len(carried), "steps": steps}
    return _listed(c.apply(END, *begun, *carried, *results, **counts))


def _listed(made: Any) -> list[Any]:
    return list(made) if isinstance(made, tuple) else [made]


RULES: Mapping[str, Rule] = MappingProxyType({"siliform_loop.begin": _begin, "siliform_loop.end": _end})
