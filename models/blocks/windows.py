"""Attention in windows, as products of blocks with their neighbours: no mask of all pairs is ever made.

Beltagy et al., Longformer (arXiv 2004.05150), section 3.1. The sequence is cut into blocks as long as a query
reaches, so that what a block's queries see lies in the block and its neighbours; overlapping windows of keys
are views of the same memory. The blocks at the ends, which lack a neighbour, stand apart, with what remains
where N is no multiple. Every pair that a query may see is computed once and no other pair is counted. Shapes:
B batch, H heads, N tokens, c width of a head, r reach, g extra keys, n blocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch.nn import functional


@dataclass(frozen=True)
class Extra:
    """Keys and values [B, H, g, c] that every query sees beside its window."""

    keys: torch.Tensor
    values: torch.Tensor


def window_attention(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    reach: int,
    causal: bool = False,
    extra: Extra | None = None,
) -> torch.Tensor:
    """Each query sees keys at most `reach` before it and, unless `causal`, behind it: [B, H, N, c]."""
    tokens = q.shape[2]
    if reach >= tokens - 1:
        return _seen(q, (k, v), _causal(q, tokens) if causal else None, extra)
    # Where nothing is reached, a query sees its own key alone, causal or not.
    both = reach > 0 and not causal
    return _blocks(q, k, v, reach, extra) if both else _causal_blocks(q, k, v, reach, extra)


def block_attention(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, block: int, causal: bool = False
) -> torch.Tensor:
    """Each query sees the keys of its own block of `block` tokens, the last one's fewer: [B, H, N, c]."""
    whole = q.shape[2] - q.shape[2] % block
    made = []
    if whole:
        q_in, k_in, v_in = (x[:, :, :whole].unflatten(2, (-1, block)) for x in (q, k, v))
        mixed = functional.scaled_dot_product_attention(q_in, k_in, v_in, is_causal=causal)
        made.append(mixed.flatten(2, 3))
    if whole < q.shape[2]:
        q, k, v = (x[:, :, whole:] for x in (q, k, v))
        made.append(functional.scaled_dot_product_attention(q, k, v, is_causal=causal))
    return made[0] if len(made) == 1 else torch.cat(made, dim=2)


def allowed(
    queries: int, keys: int, first: int, behind: int, ahead: int, device: torch.device
) -> torch.Tensor:
    """True where query i, which stands at key `first` + i, sees a key: [queries, keys]."""
    own = torch.arange(queries, device=device)[:, None] + first
    distance = torch.arange(keys, device=device)[None, :] - own
    return (distance >= -behind) & (distance <= ahead)


def _causal(q: torch.Tensor, tokens: int) -> torch.Tensor:
    return allowed(tokens, tokens, 0, tokens, 0, q.device)


def _causal_blocks(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, reach: int, extra: Extra | None
) -> torch.Tensor:
    """The first block alone, then blocks with the one before them, then the rest with as many before it."""
    device, block = q.device, reach + 1
    blocks, rest = divmod(q.shape[2], block)
    first = [x[:, :, :block] for x in (k, v)]
    made = [_seen(q[:, :, :block], first, _causal(q, block), extra)]
    if blocks > 1:
        end = blocks * block
        mask = allowed(block, 2 * block, block, reach, 0, device)
        inner = q[:, :, block:end].unflatten(2, (-1, block))
        windows = [_windows(x[:, :, :end], 2 * block, block) for x in (k, v)]
        made.append(_seen(inner, windows, mask, extra).flatten(2, 3))
    if rest:
        mask = allowed(rest, rest + reach, reach, reach, 0, device)
        last = [x[:, :, -rest - reach :] for x in (k, v)]
        made.append(_seen(q[:, :, -rest:], last, mask, extra))
    return torch.cat(made, dim=2)


def _blocks(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, reach: int, extra: Extra | None
) -> torch.Tensor:
    """The first block with its successor, inner blocks with both neighbours, the last one or two blocks."""
    tokens, device = q.shape[2], q.device
    blocks = tokens // reach
    if blocks < 2:
        return _seen(q, (k, v), allowed(tokens, tokens, 0, reach, reach, device), extra)
    head = [x[:, :, : 2 * reach] for x in (k, v)]
    made = [_seen(q[:, :, :reach], head, allowed(reach, 2 * reach, 0, reach, reach, device), extra)]
    if blocks > 2:
        mask = allowed(reach, 3 * reach, reach, reach, reach, device)
        inner = q[:, :, reach : (blocks - 1) * reach].unflatten(2, (-1, reach))
        windows = [_windows(x[:, :, : blocks * reach], 3 * reach, reach) for x in (k, v)]
        made.append(_seen(inner, windows, mask, extra).flatten(2, 3))
    left = tokens - (blocks - 1) * reach
    mask = allowed(left, left + reach, reach, reach, reach, device)
    tail = [x[:, :, -left - reach :] for x in (k, v)]
    made.append(_seen(q[:, :, -left:], tail, mask, extra))
    return torch.cat(made, dim=2)


def _windows(x: torch.Tensor, size: int, step: int) -> torch.Tensor:
    """[B, H, N, c] -> [B, H, n, size, c], windows that overlap."""
    return x.unfold(2, size, step).transpose(-1, -2)


def _seen(
    q: torch.Tensor, held: Sequence[torch.Tensor], mask: torch.Tensor | None, extra: Extra | None
) -> torch.Tensor:
    """Softmax attention of q [B, H, *n, m, c] to keys and values [B, H, *n, s, c] and extra ones."""
    k, v = held
    if extra is not None:
        keys, values = extra.keys, extra.values
        if mask is not None:
            always = torch.ones(mask.shape[0], keys.shape[2], dtype=torch.bool, device=mask.device)
            mask = torch.cat([always, mask], dim=1)
        for axis in range(2, k.dim() - 2):
            keys, values = keys.unsqueeze(axis), values.unsqueeze(axis)
        k = torch.cat([keys.expand(*k.shape[:-2], -1, -1), k], dim=-2)
        v = torch.cat([values.expand(*v.shape[:-2], -1, -1), v], dim=-2)
    return functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
