"""Tokens as the positions of a square map, row by row. Shapes: B batch, N tokens, W width, S side, N = S²."""

from __future__ import annotations

import math

import torch

from siliform.graph_ir.errors import UserError


def side_of(tokens: int) -> int:
    """S of N tokens; UserError where N is no square."""
    side = math.isqrt(tokens)
    if side * side != tokens:
        raise UserError(
            asked=f"{tokens} tokens on a square map",
            found=f"{tokens} is no square number",
            where="--seq",
            next_step=f"give a square number such as {side * side} or {(side + 1) ** 2}",
        )
    return side


def as_map(x: torch.Tensor) -> torch.Tensor:
    """[B, N, W] -> [B, W, S, S]."""
    side = side_of(x.shape[1])
    return x.transpose(1, 2).unflatten(2, (side, side))


def as_tokens(x: torch.Tensor) -> torch.Tensor:
    """[B, W, S, S] -> [B, N, W]."""
    return x.flatten(2).transpose(1, 2)
