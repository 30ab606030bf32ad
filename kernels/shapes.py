"""A shape rule asked of tensors, and its refusal told to the user."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from siliform.graph_ir.errors import UserError
from siliform.graph_ir.opspec import OpSpec
from siliform.graph_ir.types import TensorType
from siliform.kernels.dtypes import type_of


def result_types(
    spec: OpSpec, operands: tuple[Any, ...], attributes: dict[str, Any], where: str
) -> tuple[TensorType, ...]:
    """The types of the results; operands are tensors, lists of them, or None.

    UserError, with `where` in it, in place of what the shape rule raises.
    """
    types = spread(operands, type_of)
    try:
        return spec.types(*types, **attributes)
    except (TypeError, ValueError, IndexError) as error:
        raise UserError(
            asked=f"{spec.name}({', '.join(map(str, types))}) with {attributes}",
            found=str(error),
            where=where,
            next_step="give operands whose shapes agree with the op's shape rule",
        ) from error


def spread(operands: tuple[Any, ...], turn: Callable[[torch.Tensor], Any]) -> list[Any]:
    """`turn` of every tensor, those of a list in its place, None for an optional one left out."""
    made: list[Any] = []
    for operand in operands:
        if isinstance(operand, (list, tuple)):
            made.extend(turn(t) for t in operand)
        else:
            made.append(None if operand is None else turn(operand))
    return made
