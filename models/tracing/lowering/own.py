"""Our own ops, called in a user's module through the torch face of their specs."""

from __future__ import annotations

from typing import Any

from siliform.kernels.bridge import NAMESPACE, spec_of
from siliform.models.tracing.lowerer import Lowerer, Rule


def own_rule(operator: str) -> Rule | None:
    """The rule of ``siliform.<op>.default``: the op itself; None for any other operator."""
    if not operator.startswith(f"{NAMESPACE}."):
        return None
    spec = spec_of(operator)
    if spec is None:
        return None

    def rule(c: Lowerer, *operands: Any, **attributes: Any) -> Any:
        spread: list[Any] = []
        for operand in operands:
            spread.extend(operand) if isinstance(operand, (list, tuple)) else spread.append(operand)
        made = c.apply(spec, *spread, **{k: _plain(v) for k, v in attributes.items() if v is not None})
        return list(made) if isinstance(made, tuple) else made

    return rule


def _plain(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
