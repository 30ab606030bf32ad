"""Tokens in pieces of one length, and which of them lie behind others.

Shapes: B batch, N tokens, Q tokens of a piece.
"""

from __future__ import annotations

import torch
from torch.nn import functional

from siliform.graph_ir.errors import UserError


def check_multiple(count: int, piece: int, asked: str, where: str = "--seq", next_step: str = "") -> None:
    """UserError where `count` does not fall into pieces of `piece`; `asked` says of what they are."""
    if count % piece:
        raise UserError(
            asked=asked,
            found=f"{count} is no multiple of {piece}",
            where=where,
            next_step=next_step or f"give a multiple of {piece}",
        )


def filled_up(x: torch.Tensor, piece: int, axis: int) -> torch.Tensor:
    """x with zeros behind `axis`, a negative number, to a multiple of `piece`; x itself where it is one."""
    missing = -x.shape[axis] % piece
    return functional.pad(x, (*[0, 0] * (-1 - axis), 0, missing)) if missing else x


def in_pieces(x: torch.Tensor, piece: int, axis: int) -> torch.Tensor:
    """x [..., N, ...] with `axis`, a negative number, as two, [..., N / Q, Q, ...]; the last is filled up."""
    return filled_up(x, piece, axis).unflatten(axis, (-1, piece))


def ahead(scores: torch.Tensor, itself: bool = False) -> torch.Tensor:
    """Where the key of scores [..., queries, keys] comes after its query, or is `itself`: [queries, keys]."""
    shape = scores.shape[-2:]
    return torch.ones(shape, dtype=torch.bool, device=scores.device).triu(0 if itself else 1)
